//! Failures of the disk at the moment of a commit, which nothing else brings about at will.

use std::cell::Cell;

use rusqlite::ffi;

use super::sqlite::transaction::Transaction;
use super::*;

/// What becomes of the next commit of the thread that sets it.
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

/// The fault that is due now.
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

/// The next commit of this thread ends in `fault`.
pub(super) fn set(fault: Fault) {
    NEXT.set(Some(fault));
}

/// A write that has the commit of its batch end in `fault`.
pub(super) fn fail(store: &Store, fault: Fault) -> impl Future<Output = Result<(), StoreError>> {
    store.queue.submit(NOON, move |_change| {
        set(fault);
        Ok(())
    })
}
