//! Group commit: what shares a transaction, and how the failure of one write affects the others.

use std::sync::mpsc::{Receiver, Sender, channel};

use spike_daemon::threads::Place;

use super::*;

/// Keeps the writer busy until the sender is dropped, so that everything in the queue becomes one batch. Returns when the
/// writer has begun.
async fn hold_writer(store: &Arc<Store>) -> (Sender<()>, tokio::task::JoinHandle<()>) {
    let (release, released): (_, Receiver<()>) = channel();
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let store = Arc::clone(store);
    let held = tokio::spawn(async move {
        let operation = move |_change: &mut sqlite::unit::SqliteChange<'_>| {
            begun.send(()).unwrap();
            released.recv().unwrap_err();
            Ok(())
        };
        store.queue.submit(NOON, operation).await.unwrap();
    });
    has_begun.await.unwrap();
    (release, held)
}

fn spawn_put(store: &Arc<Store>, name: &str) -> tokio::task::JoinHandle<Result<i64, StoreError>> {
    let store = Arc::clone(store);
    let path = path(name);
    tokio::spawn(async move { store.put(&path, value("x"), NOON).await })
}

/// Queues `operation` as part of the next batch.
fn spawn<T: Send + 'static>(
    store: &Arc<Store>,
    operation: impl FnOnce(&mut sqlite::unit::SqliteChange<'_>) -> Result<T, StoreError>
    + Send
    + 'static,
) -> tokio::task::JoinHandle<Result<T, StoreError>> {
    let store = Arc::clone(store);
    tokio::spawn(async move { store.queue.submit(NOON, operation).await })
}

/// Lets spawned tasks run until they wait.
async fn settle(store: &Store, queued: usize) {
    while store.queue.waiting() < queued {
        tokio::task::yield_now().await;
    }
}

fn stores() -> Vec<(Arc<Store>, Option<TempDir>)> {
    homes(&options()).into_iter().map(|home| (Arc::new(home.store), home.directory)).collect()
}

#[tokio::test]
async fn one_failing_write_does_not_undo_the_others_of_its_batch() {
    for (store, _directory) in stores() {
        let (release, held) = hold_writer(&store).await;
        let first = spawn_put(&store, "first");
        let failing = spawn(&store, |change| {
            change.unit.connection.execute("DELETE FROM secrets", [])?;
            change.identity.policy_epoch += 7;
            Err::<(), _>(StoreError::TimedOut)
        });
        let last = spawn_put(&store, "last");
        settle(&store, 3).await;
        let epoch = store.policy_epoch();
        drop(release);
        held.await.unwrap();
        assert_eq!(first.await.unwrap().unwrap(), 1);
        assert!(matches!(failing.await.unwrap(), Err(StoreError::TimedOut)));
        assert_eq!(last.await.unwrap().unwrap(), 1);
        assert_eq!(store.list("", None, 10).unwrap(), ["first", "last"]);
        assert_eq!(store.policy_epoch(), epoch);
    }
}

#[tokio::test]
async fn a_panic_in_one_write_is_answered_and_undone_and_the_writer_lives_on() {
    for (store, _directory) in stores() {
        let failing = spawn(&store, |change| -> Result<(), StoreError> {
            change.unit.connection.execute("CREATE TABLE leftover (x)", [])?;
            panic!("a bug");
        });
        assert!(matches!(failing.await.unwrap(), Err(StoreError::Bug)));
        assert_eq!(store.put(&path("p"), value("x"), NOON).await.unwrap(), 1);
        let tables = store.readers.read(|connection| {
            let sql = "SELECT count(*) FROM sqlite_schema WHERE name = 'leftover'";
            Ok(connection.query_row(sql, [], |row| row.get::<_, i64>(0))?)
        });
        assert_eq!(tables.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_commit_that_fails_is_told_to_everyone_and_keeps_nothing() {
    for (store, _directory) in stores() {
        let (release, held) = hold_writer(&store).await;
        let first = spawn_put(&store, "first");
        // A deferred constraint is checked by COMMIT, and only there.
        let spoiler = spawn(&store, |change| {
            change.unit.connection.execute_batch(
                "CREATE TABLE parent (id INTEGER PRIMARY KEY);
                 CREATE TABLE child (id REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
                 INSERT INTO child VALUES (9);",
            )?;
            change.identity.policy_epoch += 1;
            Ok(())
        });
        let last = spawn_put(&store, "last");
        settle(&store, 3).await;
        let epoch = store.policy_epoch();
        drop(release);
        held.await.unwrap();
        for put in [first, last] {
            assert!(matches!(put.await.unwrap(), Err(StoreError::NotCommitted(_))));
        }
        assert!(matches!(spoiler.await.unwrap(), Err(StoreError::NotCommitted(_))));
        assert_eq!(store.list("", None, 10).unwrap(), Vec::<String>::new());
        assert_eq!(store.policy_epoch(), epoch);
        assert_eq!(store.put(&path("first"), value("x"), NOON).await.unwrap(), 1);
    }
}

// SQLite rolls the whole transaction back when the disk is full. Nothing may be answered as done, and no part may be committed
// later.
#[tokio::test]
async fn a_transaction_that_sqlite_gave_up_is_told_to_everyone() {
    for (store, _directory) in stores() {
        let (release, held) = hold_writer(&store).await;
        let first = spawn_put(&store, "first");
        let spoiler = spawn(&store, |change| {
            change.unit.connection.execute_batch("ROLLBACK")?;
            Ok(())
        });
        let last = spawn_put(&store, "last");
        settle(&store, 3).await;
        drop(release);
        held.await.unwrap();
        for put in [first, last] {
            assert!(matches!(put.await.unwrap(), Err(StoreError::NotCommitted(_))));
        }
        assert!(matches!(spoiler.await.unwrap(), Err(StoreError::NotCommitted(_))));
        assert_eq!(store.list("", None, 10).unwrap(), Vec::<String>::new());
        assert_eq!(store.put(&path("first"), value("x"), NOON).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn a_full_disk_fails_the_write_and_the_store_goes_on() {
    for (store, _directory) in stores() {
        let limit = |pages: i64| {
            move |change: &mut sqlite::unit::SqliteChange<'_>| {
                let limit = change.unit.connection.query_row(
                    &format!("PRAGMA max_page_count = {pages}"),
                    [],
                    |row| row.get::<_, i64>(0),
                )?;
                Ok(limit)
            }
        };
        let full = store.queue.submit(NOON, limit(1)).await.unwrap();
        let big = Zeroizing::new(vec![7; 1 << 20]);
        let error = store.put(&path("big"), big.clone(), NOON).await.unwrap_err();
        assert!(matches!(error, StoreError::Sqlite(_)), "{error:?}");
        store.queue.submit(NOON, limit(full + 1000)).await.unwrap();
        assert_eq!(store.get(&path("big"), Selector::Current).unwrap(), None);
        assert_eq!(store.put(&path("big"), big, NOON).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn a_write_whose_time_is_up_before_its_turn_is_not_done() {
    let timeout = Some(Duration::ZERO);
    for home in homes(&Options { operation_timeout: timeout, ..options() }) {
        let error = home.store.put(&path("p"), value("x"), NOON).await.unwrap_err();
        assert!(matches!(error, StoreError::TimedOut), "{error:?}");
        assert_eq!(home.get("p", 0), None);
    }
}

#[tokio::test]
async fn a_write_whose_caller_has_left_is_done_all_the_same() {
    for (store, _directory) in stores() {
        let (release, held) = hold_writer(&store).await;
        let put = spawn_put(&store, "p");
        settle(&store, 1).await;
        put.abort();
        assert!(put.await.unwrap_err().is_cancelled());
        drop(release);
        held.await.unwrap();
        assert_eq!(store.put(&path("p"), value("x"), NOON).await.unwrap(), 2);
    }
}

#[tokio::test]
async fn after_close_everything_is_answered_with_closed() {
    for (store, _directory) in stores() {
        store.put(&path("p"), value("x"), NOON).await.unwrap();
        store.close().await.unwrap();
        let error = store.put(&path("p"), value("x"), NOON).await.unwrap_err();
        assert!(matches!(error, StoreError::Closed));
        assert!(matches!(store.get(&path("p"), Selector::Current), Err(StoreError::Closed)));
        assert!(matches!(store.stats(), Err(StoreError::Closed)));
        assert!(matches!(store.close().await, Err(StoreError::Closed)));
    }
}

#[tokio::test]
async fn writes_accepted_before_close_are_done() {
    for (store, directory) in stores() {
        let Some(directory) = directory else { continue };
        let (release, held) = hold_writer(&store).await;
        let put = spawn_put(&store, "p");
        settle(&store, 1).await;
        let closing = Arc::clone(&store);
        let close = tokio::spawn(async move { closing.close().await });
        settle(&store, 2).await;
        drop(release);
        held.await.unwrap();
        assert_eq!(put.await.unwrap().unwrap(), 1);
        close.await.unwrap().unwrap();
        let home = Home::File(directory.path().to_owned());
        let store = Store::open_or_create(&home, &root_key(1), &options(), NOON).unwrap();
        assert_eq!(store.list("", None, 10).unwrap(), ["p"]);
    }
}

// Design 2: a data key is replaced before its encryptions could repeat a nonce.
#[tokio::test]
async fn a_worn_data_key_is_replaced_and_the_old_rows_stay_readable() {
    let directory = tempfile::tempdir().unwrap();
    let home = Home::File(directory.path().to_owned());
    let store =
        Store::open_with_key_limit(&home, &root_key(1), &options(), opening_at(&home), 10, NOON)
            .unwrap();
    for number in 1..=20 {
        store.put(&path(&format!("p{number}")), value("x"), NOON).await.unwrap();
    }
    let keys = store.stats().unwrap().active_key;
    assert!(keys >= 4, "40 encryptions at 10 each, but key {keys} is active");
    store.close().await.unwrap();
    let store = Store::open_or_create(&home, &root_key(1), &options(), NOON).unwrap();
    assert_eq!(store.stats().unwrap().active_key, keys);
    for number in 1..=20 {
        let got = store.get(&path(&format!("p{number}")), Selector::Current).unwrap();
        assert_eq!(got.unwrap().as_slice(), b"x");
    }
}

#[tokio::test]
async fn how_far_the_data_key_is_used_up_is_shown_and_begins_again_with_the_next() {
    let store = Store::open_with_key_limit(
        &Home::Memory,
        &root_key(1),
        &options(),
        opening_at(&Home::Memory),
        10,
        NOON,
    );
    let store = store.unwrap();
    let mut before = store.condition().key_use();
    assert_eq!((before.number, before.limit), (1, 10));
    let mut replaced = 0;
    for number in 1..=20 {
        store.put(&path(&format!("p{number}")), value("x"), NOON).await.unwrap();
        let now = store.condition().key_use();
        if now.number == before.number {
            assert!(now.encryptions > before.encryptions, "{before:?}, then {now:?}");
        } else {
            assert!(before.encryptions >= 10 && now.encryptions < 10, "{before:?}, then {now:?}");
            replaced += 1;
        }
        before = now;
    }
    assert!(replaced >= 3, "{before:?}");
}

#[tokio::test]
async fn a_data_key_whose_row_was_not_committed_is_not_used() {
    let options = options();
    let store = Store::open_with_key_limit(
        &Home::Memory,
        &root_key(1),
        &options,
        opening_at(&Home::Memory),
        10,
        NOON,
    );
    let store = Arc::new(store.unwrap());
    // The first batch exhausts key 1, and the second one starts by making key 2. Both are rolled back.
    for _ in 0..2 {
        let spoiler = spawn(&store, |change| {
            for _ in 0..10 {
                // Encryptions count even if their transaction is rolled back.
                drop(change.ring.seal(change.identity.clone(), b"x")?);
            }
            change.unit.connection.execute_batch("ROLLBACK")?;
            Ok(change.ring.active())
        });
        assert!(matches!(spoiler.await.unwrap(), Err(StoreError::NotCommitted(_))));
        assert_eq!(store.stats().unwrap().active_key, 1);
    }
    store.put(&path("p"), value("x"), NOON).await.unwrap();
    assert_eq!(store.stats().unwrap().active_key, 2);
    assert!(store.get(&path("p"), Selector::Current).unwrap().is_some());
}

#[tokio::test]
async fn a_database_that_another_process_holds_is_busy_and_not_broken() {
    for journal_mode in [JournalMode::Wal, JournalMode::Delete] {
        let busy_timeout = Duration::from_millis(10);
        let home = in_file(Options { journal_mode, busy_timeout, ..options() });
        let other = rusqlite::Connection::open(home.file()).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let error = home.store.put(&path("a"), value("x"), NOON).await.unwrap_err();
        assert!(error.is_busy(), "{error:?}");
        let error = crate::error::Error::from(error);
        assert_eq!(error.wire().0, 503);
        assert_eq!(error.not_ready(), Some(spike_wire::NotReady::Busy));
        drop(other);
        assert_eq!(home.store.put(&path("a"), value("x"), NOON).await.unwrap(), 1);
    }
}

/// It waited for the writer for ever, and its connections with it.
#[tokio::test]
async fn a_thread_that_serves_and_drops_the_store_last_does_not_wait_for_a_writer_that_a_disk_holds()
 {
    for (store, _directory) in stores() {
        let (release, held) = hold_writer(&store).await;
        held.abort();
        assert!(held.await.unwrap_err().is_cancelled());
        let (dropped, is_dropped) = channel();
        std::thread::spawn(move || {
            Place::become_serving(0);
            assert_eq!(Arc::strong_count(&store), 1);
            drop(store);
            dropped.send(()).unwrap();
        });
        is_dropped.recv_timeout(Duration::from_secs(9)).expect("the store is dropped");
        release.send(()).unwrap_or_else(|_| panic!("the writer is not held"));
    }
}
