//! Repeated starts: an import is done once, and a crash in the middle leaves nothing half-done.

use std::fs;
use std::time::{Duration, SystemTime};

use rusqlite::Connection;

use super::*;
use crate::store::format::keyring::ENCRYPTIONS_PER_KEY;
use crate::store::format::keyring::Ring;
use crate::store::import::Plan;
use crate::store::sqlite::transaction::Transaction;
use crate::store::sqlite::unit::{SqliteChange, SqliteUnit};

// Upstream checkpoints nothing at its end (K12).
#[test]
fn what_is_only_in_the_log_comes_in_and_the_files_stay_as_they_are() {
    let upstream = Upstream::filled(Generation::Current);
    let directory = upstream.left();
    let database = fs::read(directory.path().join("spike.db")).unwrap();
    let log = fs::read(directory.path().join("spike.db-wal")).unwrap();
    assert!(database.len() <= 4096 && log.len() > 4096, "the data must be in the log");
    let before = originals(directory.path());
    let (store, report) = imported(directory.path());
    assert_eq!((report.secrets, report.versions, report.policies), (2, 3, 2));
    drop(store);
    assert_eq!(originals(directory.path()), before);
    let mut left: Vec<_> = files(directory.path()).into_keys().collect();
    left.retain(|path| !before.contains_key(path));
    assert_eq!(left, [directory.path().join("nexus.db")]);
}

// Upstream in another journal mode, killed while it wrote.
#[test]
fn a_write_that_upstream_did_not_finish_is_undone_in_the_copy() {
    let upstream = Upstream::filled(Generation::Current);
    upstream.connection.pragma_update(None, "journal_mode", "DELETE").unwrap();
    upstream.connection.pragma_update(None, "cache_size", 1).unwrap();
    upstream.execute(
        "BEGIN; DELETE FROM policies; UPDATE secrets SET version = version + 10;
         CREATE TABLE filler AS WITH RECURSIVE n(i) AS
            (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200) SELECT zeroblob(4000) FROM n;",
    );
    let crashed = tempfile::tempdir().unwrap();
    for file in ["spike.db", "spike.db-journal"] {
        fs::copy(upstream.directory.path().join(file), crashed.path().join(file)).unwrap();
    }
    let before = originals(crashed.path());
    assert!(before[&crashed.path().join("spike.db-journal")].0.len() > 512);
    let (store, report) = imported(crashed.path());
    assert_eq!((report.versions, report.policies), (3, 2));
    assert_eq!(numbers(&store, "app/db"), [1, 2]);
    assert_eq!(originals(crashed.path()), before);
}

#[tokio::test]
async fn a_second_start_imports_nothing_and_keeps_what_was_done_since() {
    let directory = Upstream::filled(Generation::Current).left();
    let (store, _) = imported(directory.path());
    store.delete(&path("web"), vec![Selector::Current], NOON).await.unwrap();
    store.put(&path("app/db"), value("{}"), NOON).await.unwrap();
    store.delete_policy("all", NOON).await.unwrap();
    store.close().await.unwrap();
    for _ in 0..2 {
        let store = open_with(directory.path(), &root_key(1), NOON + MINUTE).unwrap();
        let Import::Earlier(record) = store.import() else { panic!("{:?}", store.import()) };
        assert_eq!((record.file.as_str(), record.imported), ("spike.db", NOON));
        assert_eq!((record.secrets, record.versions, record.policies), (2, 3, 2));
        assert_eq!(numbers(&store, "app/db"), [1, 2, 3]);
        assert_eq!(get(&store, "web", 0), None);
        assert_eq!(store.policy_names().unwrap(), ["web-read"]);
    }
}

#[test]
fn the_record_has_the_digest_that_other_tools_compute() {
    let directory = Upstream::filled(Generation::Current).stopped();
    drop(imported(directory.path()));
    let store = open(directory.path()).unwrap();
    let Import::Earlier(record) = store.import() else { panic!("{:?}", store.import()) };
    let bytes = fs::read(directory.path().join("spike.db")).unwrap();
    let expected: [u8; 32] = <sha2::Sha256 as sha2::Digest>::digest(&bytes).into();
    assert_eq!((record.sha256, record.bytes), (expected, bytes.len() as u64));
    assert_eq!(record.digest().len(), 64);
}

#[test]
fn a_file_is_known_by_its_content_when_only_its_time_is_another() {
    let directory = Upstream::filled(Generation::Current).stopped();
    drop(imported(directory.path()));
    let file = fs::File::options().write(true).open(directory.path().join("spike.db")).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1)).unwrap();
    assert!(matches!(open(directory.path()).unwrap().import(), Import::Earlier(_)));
}

#[test]
fn another_database_that_lies_there_later_is_told_and_not_imported() {
    let directory = Upstream::filled(Generation::Current).stopped();
    drop(imported(directory.path()));
    let later = Upstream::filled(Generation::Current);
    later.execute("DELETE FROM policies");
    let later = later.stopped();
    fs::copy(later.path().join("spike.db"), directory.path().join("spike.db")).unwrap();
    let store = open(directory.path()).unwrap();
    let Import::Not(NotImported::Another(record)) = store.import() else {
        panic!("{:?}", store.import())
    };
    assert_eq!(record.imported, NOON);
    assert_eq!(store.policy_names().unwrap().len(), 2);
    fs::remove_file(directory.path().join("spike.db")).unwrap();
    drop(store);
    assert!(matches!(open(directory.path()).unwrap().import(), Import::None));
}

#[test]
fn a_store_that_holds_nothing_takes_in_what_is_put_beside_it_later() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()).unwrap());
    let theirs = Upstream::filled(Generation::V0_8_0).stopped();
    fs::copy(theirs.path().join("spike.db"), directory.path().join("spike.db")).unwrap();
    let (store, report) = imported(directory.path());
    assert_eq!((report.secrets, names(&store).len()), (2, 2));
    drop(store);
    assert!(matches!(open(directory.path()).unwrap().import(), Import::Earlier(_)));
}

#[test]
fn an_import_needs_no_leave_to_create() {
    let directory = Upstream::filled(Generation::Current).stopped();
    let options = Options { create: false, ..options() };
    let home = Home::File(directory.path().to_owned());
    let store = Store::open_or_create(&home, &root_key(1), &options, NOON).unwrap();
    assert!(matches!(store.import(), Import::Done(_)));
}

#[test]
fn an_import_that_was_cut_off_by_a_crash_is_done_again_as_a_whole() {
    let directory = Upstream::filled(Generation::Current).left();
    let half = directory.path().join("nexus.db.new");
    let connection = Connection::open(&half).unwrap();
    connection.execute_batch("CREATE TABLE store (half)").unwrap();
    drop(connection);
    fs::write(directory.path().join("nexus.db.new-journal"), "half").unwrap();
    fs::create_dir(directory.path().join("nexus.import")).unwrap();
    fs::write(directory.path().join("nexus.import/spike.db"), "half").unwrap();
    let before = originals(directory.path());
    let (store, report) = imported(directory.path());
    assert_eq!((report.secrets, report.versions, report.policies), (2, 3, 2));
    drop(store);
    let mut left: Vec<_> = files(directory.path()).into_keys().collect();
    left.retain(|path| !before.contains_key(path));
    assert_eq!(left, [directory.path().join("nexus.db")]);
}

// The same into an existing file: after a crash there is a transaction without its end.
#[test]
fn a_crash_in_the_middle_of_an_import_leaves_nothing_of_it() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()).unwrap());
    let mut upstream = Upstream::new(Generation::Current);
    for number in 0..300 {
        let name = format!("p{number}");
        upstream.live(&name, 1, &"x".repeat(20_000));
        upstream.metadata(&name, Metadata::with_current(1));
    }
    let theirs = upstream.stopped();
    fs::copy(theirs.path().join("spike.db"), directory.path().join("spike.db")).unwrap();

    let mut connection = Connection::open(directory.path().join("nexus.db")).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    let root = root_key(1);
    let keyring = rows::keyring(&connection).unwrap();
    let mut ring = Ring::load(keyring, &root, 1, ENCRYPTIONS_PER_KEY).unwrap().unwrap();
    let mut identity = rows::identity(&connection, ring.keys()).unwrap();
    let plan =
        Plan::for_existing(directory.path(), &root, &connection, ring.keys(), &identity).unwrap();
    let mut transaction = Transaction::begin(&mut connection).unwrap();
    let mut head = None;
    let mut change = SqliteChange {
        unit: SqliteUnit { connection: transaction.connection(), head: &mut head },
        ring: &mut ring,
        identity: &mut identity,
        effects: &mut change::Effects::default(),
    };
    let Import::Done(report) = plan.carry_out(&mut change, &options(), NOON).unwrap() else {
        panic!("nothing was imported")
    };
    assert_eq!(report.secrets, 300);
    let crashed = tempfile::tempdir().unwrap();
    for file in ["nexus.db", "nexus.db-wal", "spike.db"] {
        fs::copy(directory.path().join(file), crashed.path().join(file)).unwrap();
    }
    let log = fs::metadata(crashed.path().join("nexus.db-wal")).unwrap().len();
    assert!(log > 1_000_000, "half of the import must be on the disk");

    let unchanged = Connection::open(crashed.path().join("nexus.db")).unwrap();
    for table in ["secrets", "versions", "policies", "imports"] {
        let sql = format!("SELECT count(*) FROM {table}");
        let count: i64 = unchanged.query_row(&sql, [], |row| row.get(0)).unwrap();
        assert_eq!(count, 0, "{table}");
    }
    drop(unchanged);
    let (store, report) = imported(crashed.path());
    assert_eq!((report.secrets, names(&store).len()), (300, 300));
}

// The record of an import is bound as every row is.
#[tokio::test]
async fn a_record_that_was_removed_changed_or_put_back_is_refused_by_name() {
    for sql in [
        "DELETE FROM imports",
        "UPDATE imports SET secrets = 5",
        "UPDATE imports SET imported = imported + 1",
        "UPDATE imports SET sha256 = zeroblob(32)",
        "UPDATE imports SET ciphertext = x''",
    ] {
        let directory = Upstream::filled(Generation::Current).stopped();
        imported(directory.path()).0.close().await.unwrap();
        let file = directory.path().join("nexus.db");
        assert_eq!(Connection::open(&file).unwrap().execute(sql, []).unwrap(), 1, "{sql}");
        let store = open(directory.path()).unwrap();
        let Import::Not(NotImported::Record(error)) = store.import() else {
            panic!("{sql}: {:?}", store.import())
        };
        assert!(matches!(error, StoreError::Tampered { table: "imports", .. }), "{sql}: {error}");
        assert!(get(&store, "web", 0).is_some(), "{sql}");
    }
}

#[test]
fn a_store_is_there_when_there_is_one_or_one_to_import() {
    let exists = |directory: &Path| Store::exists(&Home::File(directory.to_owned()));
    assert!(!Store::exists(&Home::Memory));
    let directory = tempfile::tempdir().unwrap();
    assert!(!exists(directory.path()));
    assert!(!exists(&directory.path().join("missing")));
    for file in ["spike.db", "nexus.db"] {
        fs::write(directory.path().join(file), "").unwrap();
        assert!(exists(directory.path()), "{file}");
        fs::remove_file(directory.path().join(file)).unwrap();
    }
    fs::write(directory.path().join("nexus.db-wal"), "what is left of a store").unwrap();
    assert!(exists(directory.path()));
}
