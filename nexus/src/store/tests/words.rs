//! What the errors say.

use super::*;

/// A line that was broken without a `\` left ten spaces in the text.
#[test]
fn no_error_has_more_than_one_space_between_two_words() {
    let path = || PathBuf::from("/data/nexus.db");
    let what = || "this".to_owned();
    let fingerprint = root_key(1).fingerprint();
    for error in [
        StoreError::Unusable { path: path(), source: std::io::ErrorKind::NotFound.into() },
        StoreError::InUse { directory: path() },
        StoreError::Replaced { directory: path() },
        StoreError::Missing { path: path() },
        StoreError::Exists { path: path() },
        StoreError::MayNotCreate { path: path() },
        StoreError::Foreign { path: path() },
        StoreError::NewerSchema { path: path(), found: 3, known: 2 },
        StoreError::WrongRootKey { stored: fingerprint, given: fingerprint },
        StoreError::Upstream { path: path(), what: what() },
        StoreError::UpstreamKey { path: path(), given: fingerprint, opened: 1, refused: 1 },
        StoreError::ImportIncomplete { path: path(), count: 1, first: vec![what()] },
        StoreError::UpstreamInUse { path: path() },
        StoreError::UnsafeJournal { mode: "off" },
        StoreError::JournalNotSet { wanted: "wal", got: what() },
        StoreError::Damaged { path: path(), what: what() },
        StoreError::Altered { path: path(), what: what() },
        StoreError::Tampered { table: "versions", path: "a".to_owned(), version: Some(1) },
        StoreError::TimedOut,
        StoreError::NotCommitted(Arc::new(StoreError::Locked)),
        StoreError::OutcomeUnknown(Arc::new(rusqlite::Error::InvalidQuery)),
        StoreError::Misplaced { path: path(), what: what() },
        StoreError::LockLost { path: path(), what: what() },
        StoreError::LogChanged { path: path(), what: "it is shorter", since: Some(NOON) },
        StoreError::DatabaseChanged { path: path(), since: NOON },
        StoreError::Stranded(Arc::new(StoreError::Locked)),
        StoreError::Full { directory: path() },
        StoreError::Locked,
        StoreError::NoRoomToOpen(rusqlite::Error::InvalidQuery),
        StoreError::Sqlite(rusqlite::Error::InvalidQuery),
        StoreError::Closed,
        StoreError::WriterDied,
        StoreError::Bug,
    ] {
        let text = error.to_string();
        assert!(!text.contains("  ") && !text.contains('\n'), "{text}");
    }
}
