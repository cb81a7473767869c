//! The interface of a database that can keep a store.
//!
//! A write is a [`Work`]: it gets one transaction, as a [`Change`] over a [`Unit`] of the engine, and reads and writes rows in
//! it. An engine commits many works in one transaction, or runs a work again if the database requires a retry, so a work must
//! not consume anything in its first run. [`format`](super::format) defines the rows and what they bind; an engine only stores
//! their columns.

use std::future::Future;

use spike_domain::{SecretPath, UnixNanos};

use super::change::Change;
use super::error::StoreError;
use super::format::head::{HeadRow, VersionRow};
use super::format::import::ImportRecord;
use super::format::policy::PolicyRow;
use super::format::policy_list::PolicyListRow;
use super::format::row::{Cipher, Sealed};

/// One transaction. A read sees earlier writes of the same transaction.
///
/// A row with columns that no writer produces is refused by name. It is never treated as missing.
pub(super) trait Unit: Send {
    /// The row of a path. `None`: neither that row nor a row of a version exists.
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

    /// Writes the row of a path, in place of an existing one.
    fn put_head(
        &mut self,
        row: &Sealed<HeadRow<'_>>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Writes the row of a version, in place of an existing one.
    fn put_version(
        &mut self,
        row: &Sealed<VersionRow<'_>>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Writes the row of a policy, in place of an existing one.
    fn put_policy(
        &mut self,
        row: &Sealed<PolicyRow<'_>>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Writes a list of policies, in place of an existing one.
    fn put_policy_list(
        &mut self,
        row: &Sealed<PolicyListRow>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Writes the record of an import.
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

/// The work of one transaction, independent of the engine.
pub(super) trait Work: Send + 'static {
    /// The result, returned once the transaction is committed.
    type Output: Send + 'static;

    /// Does the work. An error undoes all of it.
    fn run<U: Unit>(
        &self,
        change: &mut Change<'_, U>,
    ) -> impl Future<Output = Result<Self::Output, StoreError>> + Send;
}

/// A database that keeps a store.
pub(super) trait Engine {
    /// Carries `work` out and commits it. Once this returns, the work is as durable as the database promises. The future may be
    /// dropped: once it was polled, the work is done all the same.
    fn write<W: Work>(
        &self,
        now: UnixNanos,
        work: W,
    ) -> impl Future<Output = Result<W::Output, StoreError>> + Send;
}
