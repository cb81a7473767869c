//! Failed commits: the errors of the callers, the condition of the store, and the decisions afterwards.

use std::sync::Mutex;
use std::time::Instant;

use rusqlite::ffi;

use super::faults::{Fault, fail};
use super::*;

fn text(pattern: &str) -> PolicyText {
    PolicyText {
        spiffe_id_pattern: "^spiffe://example\\.org/app$".to_owned(),
        path_pattern: pattern.to_owned(),
        permissions: vec!["read".to_owned()],
    }
}

/// The names of the policies, as the follower of a store received them.
fn followed(store: &Store) -> Arc<Mutex<Vec<String>>> {
    let names = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&names);
    store.follow_policies(Box::new(move |changes| {
        let mut names = seen.lock().unwrap();
        for change in changes {
            match change {
                PolicyChange::Put(policy) => {
                    names.retain(|name| *name != policy.name);
                    names.push(policy.name);
                }
                PolicyChange::Removed(gone) => names.retain(|name| *name != gone),
                PolicyChange::All(set) => {
                    *names = set.policies.into_iter().map(|policy| policy.name).collect();
                }
            }
        }
        names.sort();
    }));
    names
}

/// Waits until the writer has noticed that it can write again.
async fn mended(store: &Store) {
    for _ in 0..600 {
        if store.condition().write_failure().is_none() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{:?}", store.condition());
}

// It was answered as not kept, and came back after a crash.
#[tokio::test]
async fn a_commit_that_ends_in_an_error_of_the_disk_is_told_as_unknown_and_not_as_undone() {
    for fault in [Fault::Kept, Fault::Lost] {
        for home in homes(&options()) {
            let store = &home.store;
            let (p, q) = (path("p"), path("q"));
            let (failed, first, second) = tokio::join!(
                fail(store, fault),
                store.put(&p, value("x"), NOON),
                store.put(&q, value("x"), NOON)
            );
            assert!(matches!(failed, Err(StoreError::OutcomeUnknown(_))), "{failed:?}");
            // All writes of the transaction have its outcome; later ones succeed.
            for put in [first, second] {
                assert!(
                    matches!(put, Ok(_) | Err(StoreError::OutcomeUnknown(_))),
                    "{fault:?}: {put:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn after_a_commit_of_unknown_outcome_decisions_and_reads_go_by_what_is_in_the_database() {
    for fault in [Fault::Kept, Fault::Lost] {
        for home in homes(&options()) {
            let store = Arc::new(home.store);
            let followed = followed(&store);
            store.put_policy("old", text("a"), NOON).await.unwrap();
            let before = store.policy_epoch();
            let operation = {
                move |change: &mut sqlite::unit::SqliteChange<'_>| {
                    faults::set(fault);
                    change.unit.connection.execute("DELETE FROM policies", [])?;
                    change.identity.policy_epoch += 1;
                    change.effects.policies.push(PolicyChange::Removed("old".to_owned()));
                    Ok(())
                }
            };
            let outcome = store.queue.submit(NOON, operation).await;
            assert!(matches!(outcome, Err(StoreError::OutcomeUnknown(_))), "{outcome:?}");
            let stored = store.policy_names().unwrap();
            assert_eq!(stored.is_empty(), fault == Fault::Kept);
            assert_eq!(*followed.lock().unwrap(), stored, "{fault:?}");
            assert_eq!(store.policy_epoch(), before + u64::from(fault == Fault::Kept));
            assert_eq!(store.policies().unwrap().epoch, store.policy_epoch());
            store.put_policy("new", text("b"), NOON).await.unwrap();
            assert_eq!(*followed.lock().unwrap(), store.policy_names().unwrap());
            assert_eq!(store.policies().unwrap().epoch, store.policy_epoch());
        }
    }
}

// Also if the lost commit made a data key that is in use if the commit was kept.
#[tokio::test]
async fn a_data_key_of_a_commit_of_unknown_outcome_is_the_one_that_the_database_names() {
    for fault in [Fault::Kept, Fault::Lost] {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::File(directory.path().to_owned());
        let store =
            Store::open_with_key_limit(&home, &root_key(1), &options(), opening_at(&home), 4, NOON)
                .unwrap();
        for number in 0..3 {
            store.put(&path(&format!("p{number}")), value("x"), NOON).await.unwrap();
        }
        let before = store.stats().unwrap().active_key;
        let outcome = fail(&store, fault).await;
        assert!(matches!(outcome, Err(StoreError::OutcomeUnknown(_))), "{outcome:?}");
        let after = store.stats().unwrap().active_key;
        assert_eq!(after, before + u32::from(fault == Fault::Kept));
        store.put(&path("later"), value("x"), NOON).await.unwrap();
        drop(store);
        let store = Store::open_or_create(&home, &root_key(1), &options(), NOON).unwrap();
        for name in ["p0", "p2", "later"] {
            assert!(store.get(&path(name), Selector::Current).unwrap().is_some(), "{name}");
        }
    }
}

#[tokio::test]
async fn a_failed_commit_is_a_failure_until_a_write_is_tried_again_and_an_idle_store_tries_by_itself()
 {
    for home in homes(&options()) {
        let store = &home.store;
        for fault in [Fault::Lost, Fault::Full] {
            fail(store, fault).await.unwrap_err();
            let failure = store.condition().write_failure();
            assert!(failure.is_some_and(|failure| !failure.reason.is_empty()));
            mended(store).await;
        }
        assert_eq!(store.condition().failed_commits(), 2);
        assert_eq!(store.condition().commits(), 0);
        fail(store, Fault::Full).await.unwrap_err();
        store.put(&path("p"), value("x"), NOON).await.unwrap();
        assert_eq!(store.condition().write_failure(), None);
        assert_eq!(store.condition().commits(), 1);
        assert!(store.condition().last_commit().is_some());
    }
}

/// Panics when nobody takes it.
struct Grenade;

impl Drop for Grenade {
    fn drop(&mut self) {
        panic!("nobody took the answer");
    }
}

// This was not reported: every write failed with "the store is closed", and Nexus stayed ready.
#[tokio::test]
async fn a_writer_that_died_is_told_of_and_its_callers_are_not_told_that_the_store_is_closed() {
    for home in homes(&options()) {
        let store = &home.store;
        assert!(store.condition().writer_is_alive());
        let (release, released) = std::sync::mpsc::channel::<()>();
        let mut dropped = Box::pin(store.queue.submit(NOON, move |_change| {
            released.recv().unwrap_err();
            Ok(Grenade)
        }));
        assert!(futures_util::poll!(&mut dropped).is_pending());
        let p = path("p");
        let queued = store.put(&p, value("x"), NOON);
        tokio::pin!(queued);
        assert!(futures_util::poll!(&mut queued).is_pending());
        drop(dropped);
        drop(release);
        assert!(matches!(queued.await, Err(StoreError::WriterDied | StoreError::Closed)));
        while store.condition().writer_is_alive() {
            tokio::task::yield_now().await;
        }
        let error = store.put(&path("p"), value("x"), NOON).await.unwrap_err();
        assert!(matches!(error, StoreError::WriterDied), "{error:?}");
    }
}

// The answer was 500, and the documentation says 503.
#[tokio::test]
async fn a_database_that_another_process_has_locked_is_told_as_locked() {
    let home = in_file(Options { busy_timeout: Duration::from_millis(50), ..options() });
    let other = rusqlite::Connection::open(home.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = home.store.put(&path("p"), value("x"), NOON).await.unwrap_err();
    assert!(matches!(error, StoreError::Locked), "{error:?}");
    assert!(home.store.condition().write_failure().is_some());
    other.execute_batch("ROLLBACK").unwrap();
    mended(&home.store).await;
    home.put("p", "x").await;
}

// It was answered 500, while readiness was well again with the next page that was whole.
#[test]
fn a_damaged_page_stays_a_failure_whatever_other_pages_say() {
    let home = in_memory(options());
    let condition = home.store.condition();
    let error =
        |code| StoreError::Sqlite(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
    condition.cannot_read("busy".to_owned(), NOON);
    condition.can_read();
    assert_eq!(condition.read_failure(), None, "another failure ends with a success");
    for code in [ffi::SQLITE_CORRUPT, ffi::SQLITE_NOTADB, ffi::SQLITE_IOERR_SHORT_READ] {
        assert!(error(code).is_of_a_damaged_file(), "{code}");
    }
    assert!(!error(ffi::SQLITE_IOERR_READ).is_of_a_damaged_file());
    condition.found_damage("a page", NOON);
    home.store.try_read().unwrap();
    let reason = condition.read_failure().map(|failure| failure.reason);
    assert!(
        reason.as_deref().is_some_and(|reason| reason.contains("until every page")),
        "{reason:?}"
    );
    let now = Instant::now();
    assert!(condition.begins_examination(now));
    assert!(!condition.begins_examination(now + Duration::from_mins(1)), "one runs at a time");
    home.store.examine();
    assert_eq!(condition.read_failure(), None, "all pages are well");
    assert!(!condition.begins_examination(now + Duration::from_secs(1)), "not all the time");
    assert!(condition.begins_examination(now + Duration::from_secs(10)), "but again");
}
