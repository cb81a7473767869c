//! What an error of the store means to those who handle it.

use rusqlite::ErrorCode;

use super::StoreError;

impl StoreError {
    /// Whether the same operation may succeed later: it waited too long in the queue, or another process holds a lock on the
    /// database. Nothing was changed.
    pub fn is_busy(&self) -> bool {
        match self {
            Self::NotCommitted(error) => error.is_busy(),
            Self::TimedOut | Self::Locked => true,
            _ => false,
        }
    }

    /// Whether the content of the files was refused. Only other files can help then, or another key.
    pub const fn is_about_content(&self) -> bool {
        matches!(
            self,
            Self::Damaged { .. }
                | Self::Foreign { .. }
                | Self::NewerSchema { .. }
                | Self::Tampered { .. }
                | Self::WrongRootKey { .. }
                | Self::Upstream { .. }
                | Self::UpstreamKey { .. }
        )
    }

    /// Whether a page that was read is not what was written. Another read may succeed, and the page stays as it is.
    pub(in crate::store) fn is_of_a_damaged_file(&self) -> bool {
        let Self::Sqlite(error) = self else { return false };
        let code = error.sqlite_error().map(|error| error.extended_code);
        // Pages behind the end of a file that was cut are read short.
        code == Some(rusqlite::ffi::SQLITE_IOERR_SHORT_READ)
            || matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
            )
    }

    /// Whether the error is about the whole database and not about this operation. A damaged page is not: the other pages can
    /// be written.
    pub(in crate::store) fn is_of_the_disk(&self) -> bool {
        match self {
            Self::Full { .. }
            | Self::NoRoomToOpen(_)
            | Self::OutcomeUnknown(_)
            | Self::Locked
            | Self::Misplaced { .. }
            | Self::LockLost { .. }
            | Self::LogChanged { .. }
            | Self::DatabaseChanged { .. }
            | Self::Stranded(_) => true,
            Self::Sqlite(error) => error.sqlite_error_code().is_some_and(|code| {
                matches!(
                    code,
                    ErrorCode::DiskFull
                        | ErrorCode::SystemIoFailure
                        | ErrorCode::ReadOnly
                        | ErrorCode::CannotOpen
                        | ErrorCode::PermissionDenied
                        | ErrorCode::FileLockingProtocolFailed
                        | ErrorCode::OutOfMemory
                )
            }),
            _ => false,
        }
    }

    /// Whether nothing was written because an open file is no longer at its path.
    pub fn is_misplaced(&self) -> bool {
        match self {
            Self::NotCommitted(error) => error.is_misplaced(),
            Self::Misplaced { .. } | Self::LockLost { .. } => true,
            _ => false,
        }
    }

    /// The file that another process has changed, in words; `None`: it is another error.
    pub fn changed_file(&self) -> Option<&'static str> {
        match self {
            Self::NotCommitted(error) | Self::Stranded(error) => error.changed_file(),
            Self::LogChanged { .. } => Some("the write-ahead log of the store"),
            Self::DatabaseChanged { .. } => Some("the database of the store"),
            _ => None,
        }
    }

    /// Whether nothing was written because the disk is full.
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::NotCommitted(error) => error.is_disk_full(),
            Self::Full { .. } | Self::NoRoomToOpen(_) => true,
            Self::Sqlite(error) => error.sqlite_error_code() == Some(ErrorCode::DiskFull),
            _ => false,
        }
    }
}
