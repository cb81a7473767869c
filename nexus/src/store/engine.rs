//! What a database must be able to do to keep a store.
//!
//! A write is a [`Work`]: it is handed one transaction, as a [`Change`] over a [`Unit`] of the engine, and reads and writes
//! rows in it. An engine commits many works in one transaction, or runs a work again from the start when the database
//! asks for that; a work holds nothing that a first run would use up. Which rows there are and what they bind is said in
//! [`format`](super::format); an engine only finds and keeps their columns.

use std::future::Future;

use spike_domain::{SecretPath, UnixNanos};

use super::change::Change;
use super::error::StoreError;
use super::format::head::{HeadRow, VersionRow};
use super::format::import::ImportRecord;
use super::format::policy::PolicyRow;
use super::format::policy_list::PolicyListRow;
use super::format::row::{Cipher, Sealed};

/// One transaction. A read sees what was written before it.
///
/// A row that is there and whose columns no writer leaves like that is refused by name, and never passes for none.
pub(super) trait Unit: Send {
    /// The row of a path. `None`: there is neither the row nor a row of a version.
    fn head<'p>(
        &mut self,
        path: &'p SecretPath,
    ) -> impl Future<Output = Result<Option<(HeadRow<'p>, Cipher)>, StoreError>> + Send;

    /// The row of a version.
    fn version<'p>(
        &mut self,
        path: &'p SecretPath,
        number: i64,
    ) -> impl Future<Output = Result<Option<(VersionRow<'p>, Cipher)>, StoreError>> + Send;

    /// The row of a policy.
    fn policy<'n>(
        &mut self,
        name: &'n str,
    ) -> impl Future<Output = Result<Option<(PolicyRow<'n>, Cipher)>, StoreError>> + Send;

    /// The encrypted end of a list of policies.
    fn policy_list(
        &mut self,
        number: u8,
    ) -> impl Future<Output = Result<Option<Cipher>, StoreError>> + Send;

    /// Writes the row of a path, in place of the one that is there.
    fn put_head(
        &mut self,
        row: &Sealed<HeadRow<'_>>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Writes the row of a version, in place of the one that is there.
    fn put_version(
        &mut self,
        row: &Sealed<VersionRow<'_>>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Writes the row of a policy, in place of the one that is there.
    fn put_policy(
        &mut self,
        row: &Sealed<PolicyRow<'_>>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Writes a list of policies, in place of the one that is there.
    fn put_policy_list(
        &mut self,
        row: &Sealed<PolicyListRow>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Writes what the store remembers of an import.
    fn put_import(
        &mut self,
        row: &Sealed<ImportRecord>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Erases the row of a version.
    fn erase_version(
        &mut self,
        path: &SecretPath,
        number: i64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Erases the row of a policy. `false`: there was none.
    fn erase_policy(&mut self, name: &str)
    -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// What is to be done in one transaction, whatever the engine.
pub(super) trait Work: Send + 'static {
    /// What it answers once it is committed.
    type Output: Send + 'static;

    /// Does it. An error undoes all of it.
    fn run<U: Unit>(
        &self,
        change: &mut Change<'_, U>,
    ) -> impl Future<Output = Result<Self::Output, StoreError>> + Send;
}

/// Where a store is kept.
pub(super) trait Engine {
    /// Has `work` done and committed. An answer means that it survives whatever the database promises to survive. The
    /// future may be dropped: once it was polled, the work is done all the same.
    fn write<W: Work>(
        &self,
        now: UnixNanos,
        work: W,
    ) -> impl Future<Output = Result<W::Output, StoreError>> + Send;
}
