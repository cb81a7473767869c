//! From an older schema to this one, with the golden databases.

use std::fs;

use rusqlite::Connection;
use spike_crypto::Quorum;

use super::golden::fixture;
use super::*;

/// A copy of the golden database of schema 1, changed as `sql` says.
fn first(sql: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("nexus.db");
    fs::copy(fixture(1, "plain", "db"), &file).unwrap();
    Connection::open(&file).unwrap().execute_batch(sql).unwrap();
    directory
}

fn open(directory: &Path, options: &Options) -> Result<Store, StoreError> {
    Store::open_or_create(&Home::File(directory.to_owned()), &root_key(1), options, NOON)
}

fn number(directory: &Path, sql: &str) -> i64 {
    let connection = Connection::open(directory.join("nexus.db")).unwrap();
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn a_migrated_store_has_the_tables_of_a_new_one_and_keeps_the_numbers_of_its_rows() {
    let directory = first("");
    let heads = "SELECT max(rowid) FROM secrets";
    let before = number(directory.path(), heads);
    open(directory.path(), &options()).unwrap().close().await.unwrap();
    assert_eq!(number(directory.path(), "PRAGMA user_version"), 2);
    assert_eq!(number(directory.path(), heads), before);
    let store = open(directory.path(), &options()).unwrap();
    assert!(store.loss().is_none());
    store.close().await.unwrap();
}

// A row that schema 1 refused must not become valid by being written again.
#[tokio::test]
async fn a_row_that_was_tampered_with_before_the_migration_is_refused_after_it() {
    let directory = first(
        "UPDATE secrets SET updated = updated + 1 WHERE path = 'app/db';
         UPDATE versions SET created = created + 1 WHERE path = 'large';
         UPDATE policies SET updated = updated + 1 WHERE name = 'web';",
    );
    let store = open(directory.path(), &options()).unwrap();
    let error = store.get(&path("app/db"), Selector::Current).unwrap_err();
    assert!(matches!(error, StoreError::Tampered { table: "secrets", .. }), "{error:?}");
    let error = store.get(&path("large"), Selector::Current).unwrap_err();
    assert!(matches!(error, StoreError::Tampered { table: "versions", .. }), "{error:?}");
    assert!(store.get(&path("empty"), Selector::Current).unwrap().is_some());
    let set = store.policies().unwrap();
    assert_eq!(set.policies.iter().map(|policy| &policy.name).collect::<Vec<_>>(), ["batch"]);
    assert!(matches!(&set.refused[..], [StoreError::Tampered { path, .. }] if path == "web"));
}

#[tokio::test]
async fn a_row_of_a_path_from_before_the_migration_is_refused_after_it() {
    let directory = first("");
    open(directory.path(), &options()).unwrap().close().await.unwrap();
    let connection = Connection::open(directory.path().join("nexus.db")).unwrap();
    connection
        .execute_batch(&format!(
            "ATTACH '{}' AS earlier;
             REPLACE INTO main.secrets SELECT * FROM earlier.secrets WHERE path = 'app/db';",
            fixture(1, "plain", "db").display()
        ))
        .unwrap();
    drop(connection);
    let store = open(directory.path(), &options()).unwrap();
    let error = store.get(&path("app/db"), Selector::Current).unwrap_err();
    assert!(matches!(error, StoreError::Tampered { table: "secrets", .. }), "{error:?}");
}

#[test]
fn a_row_of_the_store_that_was_tampered_with_is_not_migrated_and_not_a_byte_is_written() {
    let directory = first("UPDATE store SET policy_epoch = 1");
    let file = directory.path().join("nexus.db");
    let before = fs::read(&file).unwrap();
    let error = open(directory.path(), &options()).unwrap_err();
    assert!(matches!(error, StoreError::Tampered { table: "store", .. }), "{error:?}");
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn a_database_of_schema_1_with_tables_that_are_not_its_own_is_refused() {
    for sql in ["CREATE TABLE policy_lists (x)", "ALTER TABLE store ADD COLUMN extra ANY"] {
        let error = open(first(sql).path(), &options()).unwrap_err();
        assert!(matches!(error, StoreError::Altered { .. }), "{sql}: {error:?}");
    }
}

#[tokio::test]
async fn the_quorum_is_recorded_when_a_store_is_made_migrated_or_opened_with_another() {
    let quorum = |shares, threshold| Some(Quorum::new(shares, threshold).unwrap());
    let with = |quorum| Options { quorum, ..options() };
    let directory = first("");
    for (given, recorded) in [
        (None, None),
        (quorum(3, 2), quorum(3, 2)),
        (None, quorum(3, 2)),
        (quorum(5, 3), quorum(5, 3)),
    ] {
        let store = open(directory.path(), &with(given)).unwrap();
        let record = store.root_key_record().unwrap();
        assert_eq!((record.generation, record.quorum), (1, recorded));
        store.close().await.unwrap();
    }
    let made = in_file(with(quorum(4, 4)));
    assert_eq!(made.store.root_key_record().unwrap().quorum, quorum(4, 4));
}

// A crash leaves a transaction without its end: the copy is made while it is open.
#[test]
fn a_crash_in_the_middle_of_a_migration_leaves_the_old_schema_and_the_next_start_migrates() {
    let directory = first("");
    let connection = Connection::open(directory.path().join("nexus.db")).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    connection.pragma_update(None, "cache_size", 1).unwrap();
    connection
        .execute_batch(
            "BEGIN IMMEDIATE; UPDATE secrets SET nonce = zeroblob(12), ciphertext = zeroblob(9000);
             DROP TABLE store; PRAGMA user_version = 2;",
        )
        .unwrap();
    let crashed = tempfile::tempdir().unwrap();
    for file in ["nexus.db", "nexus.db-wal"] {
        fs::copy(directory.path().join(file), crashed.path().join(file)).unwrap();
    }
    assert!(fs::metadata(crashed.path().join("nexus.db-wal")).unwrap().len() > 9000);
    let store = open(crashed.path(), &options()).unwrap();
    let value = store.get(&path("app/db"), Selector::Current).unwrap().unwrap();
    assert_eq!(value.as_slice(), b"{\"password\":\"three\"}");
}
