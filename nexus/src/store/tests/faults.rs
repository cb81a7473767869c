//! Injected failures of the disk during a commit.

use std::cell::Cell;

use rusqlite::ffi;

use super::sqlite::transaction::Transaction;
use super::*;

/// The outcome of the next commit of the thread that sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Fault {
    /// The commit is kept, and an error is returned.
    Kept,
    /// The commit is not kept, and an error is returned.
    Lost,
    /// The disk is full.
    Full,
}

thread_local! {
    static NEXT: Cell<Option<Fault>> = const { Cell::new(None) };
}

/// The next fault.
pub(in crate::store) fn due() -> Option<Fault> {
    NEXT.take()
}

impl Fault {
    pub(in crate::store) fn instead_of(self, transaction: Transaction<'_>) -> StoreError {
        if self == Self::Kept {
            transaction.commit().unwrap();
        }
        let code = if self == Self::Full { ffi::SQLITE_FULL } else { ffi::SQLITE_IOERR_FSYNC };
        StoreError::at_commit(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None))
    }
}

/// Lets the next commit of this thread end in `fault`.
pub(super) fn set(fault: Fault) {
    NEXT.set(Some(fault));
}

/// A write that lets the commit of its batch end in `fault`.
pub(super) fn fail(store: &Store, fault: Fault) -> impl Future<Output = Result<(), StoreError>> {
    store.queue.submit(NOON, move |_change| {
        set(fault);
        Ok(())
    })
}
