//! When nothing is imported: another key, an unknown file, a store with data of its own. No byte of any file is changed.

use std::fs;
use std::os::unix::fs::symlink;

use super::*;

#[test]
fn another_root_key_imports_nothing_and_changes_no_byte() {
    for generation in [Generation::Current, Generation::Between, Generation::V0_8_0] {
        let directory = Upstream::filled(generation).left();
        let before = files(directory.path());
        for _ in 0..2 {
            let error = open_with(directory.path(), &root_key(2), NOON).unwrap_err();
            let StoreError::UpstreamKey { path, given, opened: 0, .. } = &error else {
                panic!("{error:?}")
            };
            assert_eq!(*path, directory.path().join("spike.db"));
            assert_eq!(*given, root_key(2).fingerprint());
            assert!(error.to_string().contains("nothing was imported"), "{error}");
            assert_eq!(files(directory.path()), before, "{generation}");
        }
        let (store, report) = imported(directory.path());
        assert_eq!((report.secrets, names(&store).len()), (2, 2));
    }
}

#[test]
fn another_root_key_changes_no_byte_of_a_store_that_is_there_and_holds_nothing() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()).unwrap());
    let other = Upstream::new(Generation::Current).under([2; 32]);
    let theirs = fill_one(other).stopped();
    fs::copy(theirs.path().join("spike.db"), directory.path().join("spike.db")).unwrap();
    let before = files(directory.path());
    let error = open(directory.path()).unwrap_err();
    assert!(matches!(error, StoreError::UpstreamKey { .. }), "{error}");
    assert_eq!(files(directory.path()), before);
}

// F1: upstream lets a second key into one database.
#[test]
fn a_key_under_which_the_fewer_rows_were_written_is_refused() {
    let mut upstream = Upstream::new(Generation::V0_8_0);
    for name in ["a", "b", "c"] {
        upstream.live(name, 1, "x");
        upstream.metadata(name, Metadata::with_current(1));
    }
    let mut upstream = upstream.under([2; 32]);
    for name in ["d", "e"] {
        upstream.live(name, 1, "y");
        upstream.metadata(name, Metadata::with_current(1));
    }
    let directory = upstream.stopped();
    let before = files(directory.path());
    let error = open_with(directory.path(), &root_key(2), NOON).unwrap_err();
    assert!(matches!(error, StoreError::UpstreamKey { opened: 2, refused: 3, .. }), "{error}");
    assert_eq!(files(directory.path()), before);
    let (store, report) = imported(directory.path());
    assert_eq!((report.versions, report.refused.len()), (3, 2));
    assert!(get(&store, "a", 0).is_some());
    assert!(get(&store, "d", 0).is_none());
}

#[test]
fn a_file_that_is_no_database_of_upstream_is_refused_by_name_and_no_store_is_made() {
    let whole = fs::read(Upstream::filled(Generation::Current).stopped().path().join("spike.db"));
    let whole = whole.unwrap();
    let foreign = tempfile::tempdir().unwrap();
    let foreign = foreign.path().join("x.db");
    let connection = rusqlite::Connection::open(&foreign).unwrap();
    connection.execute_batch("CREATE TABLE secrets (path TEXT)").unwrap();
    for (what, bytes) in [
        ("emptied", Vec::new()),
        ("cut to the header", whole[..100].to_vec()),
        ("cut in half", whole[..whole.len() / 2].to_vec()),
        ("text", b"upstream".to_vec()),
        ("somebody else's", fs::read(&foreign).unwrap()),
    ] {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("spike.db"), bytes).unwrap();
        let before = files(directory.path());
        let error = open(directory.path()).unwrap_err();
        let StoreError::Upstream { path, .. } = &error else { panic!("{what}: {error:?}") };
        assert_eq!(*path, directory.path().join("spike.db"), "{what}");
        assert_eq!(files(directory.path()), before, "{what}");
    }
}

// A view could compute, and a trigger could write: neither is run.
#[test]
fn tables_that_are_views_are_refused() {
    let upstream = Upstream::filled(Generation::Current);
    upstream.execute(
        "ALTER TABLE secrets RENAME TO hidden; CREATE VIEW secrets AS SELECT * FROM hidden;",
    );
    let directory = upstream.stopped();
    let error = open(directory.path()).unwrap_err();
    assert!(matches!(error, StoreError::Upstream { .. }), "{error}");
}

#[tokio::test]
async fn a_store_with_data_of_its_own_imports_nothing_and_says_so() {
    let home = in_file(options());
    home.put("p", "mine").await;
    home.store.close().await.unwrap();
    let theirs = Upstream::filled(Generation::Current).stopped();
    fs::copy(theirs.path().join("spike.db"), home.directory().join("spike.db")).unwrap();
    let before = originals(home.directory());
    let home = home.opened_again();
    assert!(matches!(home.store.import(), Import::Not(NotImported::HoldsData)));
    assert_eq!(names(&home.store), ["p"]);
    assert!(home.store.policy_names().unwrap().is_empty());
    assert_eq!(originals(home.directory()), before);
}

// Even if it cannot be imported: the data of the store must stay readable.
#[tokio::test]
async fn a_file_that_cannot_be_imported_does_not_keep_a_store_with_data_from_opening() {
    let home = in_file(options());
    home.put("p", "mine").await;
    fs::write(home.directory().join("spike.db"), "upstream").unwrap();
    let home = home.reopened().await;
    assert!(matches!(home.store.import(), Import::Not(NotImported::HoldsData)));
    assert_eq!(home.get("p", 0).as_deref(), Some("mine"));
}

// In case of doubt there may be data, and a new store beside it would hide that.
#[tokio::test]
async fn a_file_that_cannot_be_looked_at_keeps_a_store_from_being_made_and_no_other_from_opening() {
    let directory = tempfile::tempdir().unwrap();
    symlink("spike.db", directory.path().join("spike.db")).unwrap();
    assert!(Store::exists(&Home::File(directory.path().to_owned())));
    let error = open(directory.path()).unwrap_err();
    assert!(matches!(error, StoreError::Unusable { .. }), "{error}");
    assert!(!directory.path().join("nexus.db").exists());

    let home = in_file(options());
    home.put("p", "mine").await;
    symlink("spike.db", home.directory().join("spike.db")).unwrap();
    let home = home.reopened().await;
    assert!(matches!(home.store.import(), Import::Not(NotImported::Unreadable(_))));
    assert_eq!(home.get("p", 0).as_deref(), Some("mine"));
}

#[test]
fn a_store_in_memory_imports_nothing() {
    let home = in_memory(options());
    assert!(matches!(home.store.import(), Import::None));
}

fn fill_one(mut upstream: Upstream) -> Upstream {
    upstream.live("p", 1, "x");
    upstream.metadata("p", Metadata::with_current(1));
    upstream
}
