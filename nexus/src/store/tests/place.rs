//! Files that are moved, removed or replaced while the store is open.

use std::fs;

use super::*;

fn is_refused<T: fmt::Debug>(put: Result<T, StoreError>, part: &str) {
    let error = put.unwrap_err();
    let StoreError::NotCommitted(cause) = &error else { panic!("{error:?}") };
    assert!(matches!(**cause, StoreError::Misplaced { .. }), "{cause:?}");
    assert!(cause.to_string().contains(part), "{cause}");
}

/// Acknowledged writes went into files without a name, and were lost with the process.
#[tokio::test]
async fn a_write_into_files_that_were_moved_away_is_refused_until_they_are_back() {
    let Fixture { store, directory, .. } = in_file(options());
    let data = directory.as_ref().unwrap().path().to_owned();
    let away = tempfile::tempdir().unwrap();
    store.put(&path("a"), value("one"), NOON).await.unwrap();
    let away = away.path().join("away");
    fs::rename(&data, &away).unwrap();
    assert!(store.in_place().is_err());
    is_refused(store.put(&path("a"), value("two"), NOON).await, "it is not there");
    let got = store.get(&path("a"), Selector::Current).unwrap().unwrap();
    assert_eq!(got.as_slice(), b"one", "reads go on");
    fs::rename(&away, &data).unwrap();
    assert!(store.in_place().is_ok());
    store.put(&path("a"), value("two"), NOON).await.unwrap();
}

/// The same after a backup was put in place with `mv` while Nexus ran.
#[tokio::test]
async fn a_write_is_refused_where_the_database_or_its_log_is_another_file() {
    for file in ["nexus.db", "nexus.db-wal"] {
        let Fixture { store, directory, .. } = in_file(options());
        store.put(&path("a"), value("one"), NOON).await.unwrap();
        let path_of = directory.as_ref().unwrap().path().join(file);
        let copy = path_of.with_extension("copy");
        fs::copy(&path_of, &copy).unwrap();
        fs::rename(&copy, &path_of).unwrap();
        is_refused(store.put(&path("a"), value("two"), NOON).await, "another file is there");
        assert!(store.condition().write_failure().unwrap().reason.contains(file));
    }
}

#[tokio::test]
async fn a_store_whose_files_nobody_touches_is_in_place_in_every_journal_mode() {
    let modes =
        [JournalMode::Wal, JournalMode::Delete, JournalMode::Truncate, JournalMode::Persist];
    for journal_mode in modes {
        let Fixture { store, directory: _directory, .. } =
            in_file(Options { journal_mode, ..options() });
        for text in ["one", "two"] {
            store.put(&path("a"), value(text), NOON).await.unwrap();
            store.in_place().unwrap();
        }
    }
}
