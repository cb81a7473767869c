//! A transaction of SQLite as a [`Unit`]. Every call is synchronous: its future is ready.

use std::future::{Future, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use rusqlite::Connection;
use spike_domain::SecretPath;

use super::{policy_rows, rows};
use crate::store::change::Change;
use crate::store::engine::Unit;
use crate::store::error::StoreError;
use crate::store::format::head::{HeadRow, VersionRow};
use crate::store::format::import::ImportRecord;
use crate::store::format::policy::PolicyRow;
use crate::store::format::policy_list::PolicyListRow;
use crate::store::format::row::{Cipher, Sealed};

/// See the [module](self).
#[derive(Debug)]
pub(in crate::store) struct SqliteUnit<'a> {
    pub(in crate::store) connection: &'a mut Connection,
    /// The row number of the last path that was written. It grows with every write.
    pub(in crate::store) head: &'a mut Option<i64>,
}

/// The context of a write to SQLite.
pub(in crate::store) type SqliteChange<'a> = Change<'a, SqliteUnit<'a>>;

/// The result of a future that waits for nothing but a [`SqliteUnit`].
pub(in crate::store) fn done<T>(
    future: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => Err(StoreError::Bug),
    }
}

impl Unit for SqliteUnit<'_> {
    fn head<'p>(
        &mut self,
        path: &'p SecretPath,
    ) -> impl Future<Output = Result<Option<(HeadRow<'p>, Cipher)>, StoreError>> + Send {
        ready(rows::with_head(self.connection, path, Ok))
    }

    fn version<'p>(
        &mut self,
        path: &'p SecretPath,
        number: i64,
    ) -> impl Future<Output = Result<Option<(VersionRow<'p>, Cipher)>, StoreError>> + Send {
        ready(rows::version(self.connection, path, number))
    }

    fn policy<'n>(
        &mut self,
        name: &'n str,
    ) -> impl Future<Output = Result<Option<(PolicyRow<'n>, Cipher)>, StoreError>> + Send {
        ready(policy_rows::policy(self.connection, name))
    }

    fn policy_list(
        &mut self,
        number: u8,
    ) -> impl Future<Output = Result<Option<Cipher>, StoreError>> + Send {
        ready(policy_rows::policy_list(self.connection, number))
    }

    fn put_head(
        &mut self,
        row: &Sealed<HeadRow<'_>>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send {
        let written = rows::write(self.connection, row);
        *self.head = Some(self.connection.last_insert_rowid());
        ready(written.map_err(StoreError::from))
    }

    fn put_version(
        &mut self,
        row: &Sealed<VersionRow<'_>>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send {
        ready(rows::write(self.connection, row).map_err(StoreError::from))
    }

    fn put_policy(
        &mut self,
        row: &Sealed<PolicyRow<'_>>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send {
        ready(rows::write(self.connection, row).map_err(StoreError::from))
    }

    fn put_policy_list(
        &mut self,
        row: &Sealed<PolicyListRow>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send {
        ready(rows::write(self.connection, row).map_err(StoreError::from))
    }

    fn put_import(
        &mut self,
        row: &Sealed<ImportRecord>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send {
        ready(rows::write(self.connection, row).map_err(StoreError::from))
    }

    fn erase_version(
        &mut self,
        path: &SecretPath,
        number: i64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send {
        ready(rows::erase_version(self.connection, path, number).map_err(StoreError::from))
    }

    fn erase_policy(
        &mut self,
        name: &str,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send {
        ready(policy_rows::erase_policy(self.connection, name).map_err(StoreError::from))
    }
}
