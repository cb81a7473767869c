//! A write-ahead log that somebody else writes to while the store is open.

use std::fs;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rusqlite::Connection;
use spike_daemon::progress::Progress;

use super::*;

/// What is done to the log, and its name.
type Change = (&'static str, fn(&mut Vec<u8>));

const CHANGES: [Change; 7] = [
    ("emptied", Vec::clear),
    ("cut", |log| log.truncate(log.len() / 2)),
    ("cut within its last page", |log| log.truncate(log.len() - 1)),
    ("header zeroed", |log| log[..32].fill(0)),
    ("last page zeroed", |log| {
        let at = log.len() - 4096 - 24;
        log[at..].fill(0);
    }),
    ("overwritten in its middle", |log| {
        let at = log.len() / 2;
        log[at..at + 100].iter_mut().for_each(|byte| *byte ^= 1);
    }),
    ("all zeroed", |log| log.fill(0)),
];

/// Overwrites the file as `cp` does: it stays the same file.
fn overwrite(directory: &Path, file: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let path = directory.join(file);
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

fn is_told(error: &StoreError) {
    assert_eq!(error.changed_file(), Some("the write-ahead log of the store"), "{error:?}");
}

/// Writes were acknowledged that the next start did not find.
#[tokio::test]
async fn a_log_that_is_overwritten_is_noticed_before_a_write_is_acknowledged() {
    for (name, change) in CHANGES {
        let home = in_file(options());
        for number in 0..5 {
            home.put("a", &format!("{number}")).await;
        }
        overwrite(home.directory(), "nexus.db-wal", change);
        let error = home.store.put(&path("a"), value("lost"), NOON).await.unwrap_err();
        is_told(&error);
        assert!(matches!(error, StoreError::NotCommitted(_)), "{name}: {error:?}");
        let reason = home.store.condition().write_failure().unwrap().reason;
        assert!(reason.contains("nexus.db-wal was changed by another process"), "{name}: {reason}");
    }
}

#[tokio::test]
async fn it_is_noticed_without_a_write_and_stays_so() {
    for (name, change) in CHANGES {
        let home = in_file(options());
        for number in 0..5 {
            home.put("a", &format!("{number}")).await;
        }
        let log = home.directory().join("nexus.db-wal");
        let whole = fs::read(&log).unwrap();
        overwrite(home.directory(), "nexus.db-wal", change);
        is_told(&home.store.in_place().expect_err(name));
        fs::write(log, whole).unwrap();
        is_told(&home.store.in_place().expect_err(name));
        is_told(&home.store.put(&path("a"), value("lost"), NOON).await.unwrap_err());
    }
}

/// The files of an older copy, or of another store, over the open ones.
#[tokio::test]
async fn a_copy_over_the_log_and_its_index_is_noticed() {
    let both = |home: &Fixture| {
        ["nexus.db-wal", "nexus.db-shm"].map(|file| fs::read(home.directory().join(file)).unwrap())
    };
    let other = in_file(options());
    other.put("b", "one").await;
    other.put("b", "two").await;
    for of_another in [false, true] {
        let home = in_file(options());
        home.put("a", "one").await;
        let [log, index] = both(if of_another { &other } else { &home });
        home.put("a", "two").await;
        home.put("a", "three").await;
        // The index is not cut: SQLite has mapped it.
        let file = home.directory().join("nexus.db-shm");
        fs::File::options().write(true).open(file).unwrap().write_all(&index).unwrap();
        overwrite(home.directory(), "nexus.db-wal", |bytes| *bytes = log);
        is_told(&home.store.put(&path("a"), value("lost"), NOON).await.unwrap_err());
    }
}

#[tokio::test]
async fn a_log_that_is_overwritten_during_a_commit_leaves_it_open_whether_the_write_is_kept() {
    let home = in_file(options());
    home.put("a", "one").await;
    let log = home.directory().join("nexus.db-wal");
    let put = home.store.queue.submit(NOON, move |change| {
        change.unit.connection.execute("UPDATE secrets SET updated = updated + 1", [])?;
        fs::write(log, "others").unwrap();
        Ok(())
    });
    let error = put.await.unwrap_err();
    is_told(&error);
    assert!(matches!(error, StoreError::Stranded(_)), "{error:?}");
}

/// The pages of the other log were written into the database, at the numbers that those of the first one had.
#[tokio::test]
async fn a_changed_log_is_not_moved_into_the_database_when_the_store_is_closed() {
    let home = in_file(options());
    for number in 0..5 {
        home.put("a", &format!("{number}")).await;
    }
    let before = fs::read(home.file()).unwrap();
    overwrite(home.directory(), "nexus.db-wal", |log| {
        let (_, frames) = log.split_at_mut(32);
        frames.fill(7);
    });
    let changed = fs::read(home.directory().join("nexus.db-wal")).unwrap();
    is_told(&home.store.close().await.unwrap_err());
    assert!(fs::read(home.file()).unwrap() == before);
    assert!(fs::read(home.directory().join("nexus.db-wal")).unwrap() == changed);
}

/// Everything that SQLite itself does to a log, by this process and by others.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn nothing_that_sqlite_does_is_taken_for_a_change() {
    let mut home = in_file(options());
    for round in 0..3 {
        let store = Arc::new(home.store);
        let ends = Arc::new(AtomicBool::new(false));
        let file = home.directory.as_ref().unwrap().path().join("nexus.db");
        let others = std::thread::spawn({
            let ends = Arc::clone(&ends);
            move || others(&file, &ends)
        });
        let looks = std::thread::spawn({
            let (ends, store) = (Arc::clone(&ends), Arc::clone(&store));
            move || {
                while !ends.load(Ordering::Relaxed) {
                    store.in_place().unwrap();
                }
            }
        });
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..4 {
            let store = Arc::clone(&store);
            writers.spawn(async move {
                for number in 0..60 {
                    let name = path(&format!("{writer}/{}", number % 7));
                    let size = if number % 5 == 0 { 300_000 } else { 500 };
                    let value = Zeroizing::new(vec![b'x'; size]);
                    match store.put(&name, value, NOON).await {
                        Ok(_) | Err(StoreError::Locked) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                    if number % 10 == 3 {
                        store.queue.submit(NOON, roll_back).await.unwrap_err();
                    }
                }
            });
        }
        writers.join_all().await;
        ends.store(true, Ordering::Relaxed);
        looks.join().unwrap();
        assert!(others.join().unwrap() > 0, "round {round}");
        store.in_place().unwrap();
        let Ok(store) = Arc::try_unwrap(store) else { panic!("it is still in use") };
        home = Fixture { store, directory: home.directory, options: home.options };
        home = if round == 1 { home.reopened().await } else { home.opened_again() };
    }
}

/// A write that puts frames into the log, and is rolled back.
fn roll_back(change: &mut sqlite::unit::SqliteChange<'_>) -> Result<(), StoreError> {
    change.unit.connection.pragma_update(None, "cache_size", 1)?;
    change.unit.connection.execute_batch(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
         INSERT INTO policy_lists (number, key_number, nonce, ciphertext)
         SELECT i + 1000, 1, zeroblob(12), zeroblob(4000) FROM n",
    )?;
    Err(StoreError::Bug)
}

/// What other programs may do with SQLite. Returns how much it was.
fn others(file: &Path, ends: &AtomicBool) -> usize {
    let mut done = 0;
    for number in 0.. {
        if ends.load(Ordering::Relaxed) {
            break;
        }
        let connection = Connection::open(file).unwrap();
        connection.busy_timeout(Duration::from_millis(100)).unwrap();
        let outcome = match number % 6 {
            0 => connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_row| Ok(())),
            1 => connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_row| Ok(())),
            2 => connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_row| Ok(())),
            3 => connection.execute_batch("ANALYZE"),
            4 => connection.execute_batch("BEGIN; SELECT count(*) FROM versions; COMMIT"),
            _ => {
                let directory = tempfile::tempdir().unwrap();
                let backup = directory.path().join("backup");
                let source = file.parent().unwrap();
                backup::back_up(source, &backup, NOON, &Progress::on_terminal()).unwrap();
                Ok(())
            }
        };
        done += usize::from(outcome.is_ok());
    }
    done
}

/// Its write-ahead log was beside the target, and when that was moved away nobody noticed.
#[test]
fn a_database_that_is_a_link_is_refused_because_its_log_would_be_elsewhere() {
    let home = in_file(options());
    let (file, elsewhere) = (home.file(), tempfile::tempdir().unwrap());
    let Fixture { store, directory, .. } = home;
    drop(store);
    let directory = directory.unwrap();
    let home = Home::File(directory.path().to_owned());
    let open = || Store::open(&home, &root_key(1), &options(), NOON);
    let target = elsewhere.path().join("nexus.db");
    fs::rename(&file, &target).unwrap();
    std::os::unix::fs::symlink(&target, &file).unwrap();
    let before = fs::read(&target).unwrap();
    let error = open().unwrap_err();
    assert!(matches!(&error, StoreError::Unusable { path, .. } if *path == file), "{error}");
    assert_eq!(fs::read(&target).unwrap(), before);
    fs::remove_file(&file).unwrap();
    fs::rename(&target, &file).unwrap();
    open().unwrap();
}

/// What was acknowledged by one name was lost when the other was opened.
#[test]
fn a_database_with_a_second_name_is_refused_and_what_a_creation_left_is_none() {
    let home = in_file(options());
    let file = home.file();
    let Fixture { store, directory, .. } = home;
    drop(store);
    let home = Home::File(directory.as_ref().unwrap().path().to_owned());
    let open = || Store::open(&home, &root_key(1), &options(), NOON);
    let other = tempfile::tempdir_in(directory.as_ref().unwrap()).unwrap();
    fs::hard_link(&file, other.path().join("nexus.db")).unwrap();
    let error = open().unwrap_err();
    let StoreError::Unusable { path, source } = error else { panic!("{error:?}") };
    assert!(path == file && source.to_string().contains("it has 2 names"), "{source}");
    fs::remove_file(other.path().join("nexus.db")).unwrap();
    fs::hard_link(&file, file.with_file_name("nexus.db.new")).unwrap();
    open().unwrap();
}

/// Any other missing file hid that the log was another one: its pages were moved into the database.
#[tokio::test]
async fn a_changed_log_is_not_moved_into_the_database_whatever_else_is_missing() {
    for gone in ["nexus.lock", "nexus.db-wal", "nexus.db-shm", "nexus.db"] {
        let home = in_file(options());
        for number in 0..5 {
            home.put("a", &format!("{number}")).await;
        }
        overwrite(home.directory(), "nexus.db-wal", |log| log[32..].fill(7));
        let open = fs::File::open(home.file()).unwrap();
        let content = || {
            let mut bytes = vec![0; usize::try_from(open.metadata().unwrap().len()).unwrap()];
            std::os::unix::fs::FileExt::read_exact_at(&open, &mut bytes, 0).unwrap();
            bytes
        };
        let before = content();
        fs::rename(home.directory().join(gone), home.directory().join("away")).unwrap();
        is_told(&home.store.close().await.expect_err(gone));
        assert!(content() == before, "without {gone}");
    }
}

/// Another process made an index of its own, and neither saw the locks of the other.
#[tokio::test]
async fn a_removed_index_of_the_log_is_a_lost_lock() {
    let home = in_file(options());
    home.put("a", "kept").await;
    fs::remove_file(home.directory().join("nexus.db-shm")).unwrap();
    let error = home.store.in_place().unwrap_err();
    assert!(matches!(error, StoreError::LockLost { .. }), "{error}");
    assert!(home.store.put(&path("a"), value("refused"), NOON).await.is_err());
    assert_eq!(home.reopened().await.get("a", 0).as_deref(), Some("kept"));
}

/// SQLite moved the frames into the database by itself, without reading them back: what was acknowledged was lost, and nothing told.
#[tokio::test]
async fn a_log_that_is_overwritten_during_a_commit_is_not_moved_into_the_database() {
    let home = in_file(options());
    home.put("a", "kept").await;
    let home = home.reopened().await;
    for number in 0..9 {
        let value = Zeroizing::new(vec![b'x'; 400_000]);
        home.store.put(&path(&format!("{number}")), value, NOON).await.unwrap();
    }
    let before = fs::read(home.file()).unwrap();
    let log = home.directory().join("nexus.db-wal");
    assert!((700..1000).contains(&(fs::metadata(&log).unwrap().len() / 4120)), "its length");
    let put = home.store.queue.submit(NOON, move |change| {
        let file = fs::File::options().write(true).open(&log).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &vec![0; 12 * 4120], 32 + 500 * 4120)
            .unwrap();
        // The log has more than a thousand frames with it.
        change.unit.connection.execute_batch(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
             INSERT INTO policy_lists (number, key_number, nonce, ciphertext)
             SELECT i + 1000, 1, zeroblob(12), zeroblob(4000) FROM n",
        )?;
        Ok(())
    });
    drop(put.await);
    is_told(&home.store.put(&path("a"), value("lost"), NOON).await.unwrap_err());
    assert!(fs::read(home.file()).unwrap() == before, "it was moved");
}

#[tokio::test]
async fn a_log_is_moved_into_the_database_and_does_not_grow() {
    let home = in_file(options());
    let before = fs::metadata(home.file()).unwrap().len();
    for number in 0..60 {
        let value = Zeroizing::new(vec![b'x'; 400_000]);
        home.store.put(&path(&format!("{}", number % 20)), value, NOON).await.unwrap();
        home.store.in_place().unwrap();
    }
    let log = fs::metadata(home.directory().join("nexus.db-wal")).unwrap().len();
    assert!(log < 5_500_000, "{log} bytes");
    assert!(fs::metadata(home.file()).unwrap().len() > before + 10_000_000);
}

/// A reader in this process is seen by no lock. It was tried again only once the log had grown by an eighth.
#[tokio::test]
async fn small_writes_move_a_log_that_a_reader_has_kept() {
    let home = in_file(options());
    let log = || fs::metadata(home.directory().join("nexus.db-wal")).unwrap().len();
    let kept = u64::try_from(wal::KEPT_BYTES).unwrap();
    let mut reader = Connection::open(home.file()).unwrap();
    let old_state = reader.transaction().unwrap();
    old_state.query_row("SELECT count(*) FROM sqlite_schema", [], |_row| Ok(())).unwrap();
    while log() < 2 * kept {
        home.store.put(&path("a"), Zeroizing::new(vec![b'x'; 400_000]), NOON).await.unwrap();
    }
    old_state.rollback().unwrap();
    for number in 0..20 {
        home.put("b", &number.to_string()).await;
        if log() <= kept {
            return;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    panic!("{} bytes", log());
}
