//! Store and decisions agree after every request, whatever its outcome.

use std::pin::Pin;

use futures_util::poll;
use spike_domain::{SecretPath, Selector};
use zeroize::Zeroizing;

use super::*;
use crate::store::{Home, Options};

const ID: &str = "spiffe://example.org/app";
const NOON: i64 = 1_800_000_000_000_000_000;
/// More polls than any future here needs.
const POLLS: usize = 6;

fn store(directory: &tempfile::TempDir) -> Store {
    let key = spike_crypto::RootKey::from_bytes(&[1; 32]).unwrap();
    let home = Home::File(directory.path().to_owned());
    Store::open_or_create(&home, &key, &Options::default(), NOON).unwrap()
}

fn policy(name: &str, path: &str) -> Policy {
    let at = clock::at(NOON);
    let permissions = ["read".to_owned()];
    Policy::validate_new(name, &format!("^{ID}$"), path, &permissions, at).unwrap()
}

/// Polls up to `count` times, with pauses for the writer, and then drops the future.
async fn drop_after<T>(future: impl Future<Output = T>, count: usize) {
    let mut future: Pin<Box<dyn Future<Output = T>>> = Box::pin(future);
    for _ in 0..count {
        if poll!(&mut future).is_ready() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}

/// Waits until the writer has done what was queued.
async fn settle(store: &Store) {
    store.note_export(NOON).await.unwrap();
}

fn may_read(policies: &Policies, path: &str) -> bool {
    let decision = policies.set().decide(ID, path, Permission::Read);
    matches!(decision, crate::policy::Decision::Allowed { .. })
}

fn agree(store: &Store, policies: &Policies, count: usize) {
    let stored: Vec<String> = store.policy_names().unwrap();
    assert_eq!(stored.contains(&"new".to_owned()), may_read(policies, "new"), "put, {count} polls");
    assert_eq!(
        stored.contains(&"old".to_owned()),
        may_read(policies, "old"),
        "delete, {count} polls"
    );
    assert_eq!(
        stored.contains(&"one".to_owned()),
        may_read(policies, "one"),
        "create, {count} polls"
    );
    let changed = store.policy("changed").unwrap().unwrap();
    let path = changed.text.path_pattern.trim_matches(['^', '$']).to_owned();
    assert!(may_read(policies, &path), "change, {count} polls");
    assert!(!may_read(policies, if path == "before" { "after" } else { "before" }));
    assert_eq!(policies.set().len(), stored.len());
}

// A deleted policy was removed from the store but stayed in force until the next start. A new one was stored and not in force.
#[tokio::test]
async fn a_policy_change_whose_request_was_dropped_is_in_store_and_decisions_or_in_neither() {
    for count in 0..POLLS {
        let directory = tempfile::tempdir().unwrap();
        let store = store(&directory);
        let policies = Policies::load(&store).unwrap();
        policies.put(&store, policy("old", "^old$"), false).await.unwrap();
        policies.put(&store, policy("changed", "^before$"), false).await.unwrap();
        drop_after(policies.put(&store, policy("new", "^new$"), false), count).await;
        drop_after(policies.put(&store, policy("changed", "^after$"), false), count).await;
        drop_after(policies.put(&store, policy("one", "^one$"), true), count).await;
        drop_after(policies.delete(&store, "old", NOON), count).await;
        settle(&store).await;
        agree(&store, &policies, count);
        store.close().await.unwrap();
        drop(store);
        let store = self::store(&directory);
        let again = Policies::load(&store).unwrap();
        agree(&store, &again, count);
        assert_eq!(policies.set().len(), again.set().len());
    }
}

#[tokio::test]
async fn a_change_of_a_secret_whose_request_was_dropped_is_read_as_it_is_stored() {
    let path = SecretPath::parse("a/b").unwrap();
    let value = |text: &str| Zeroizing::new(text.as_bytes().to_vec());
    let current = |store: &Store| store.get(&path, Selector::Current).unwrap();
    // The content of the database, whatever was cached.
    let stored = |store: &Store| {
        let history = store.metadata(&path).unwrap().unwrap();
        let number = history.current().map(|version| version.number);
        number.and_then(|number| store.get(&path, Selector::Number(number)).unwrap())
    };
    for count in 0..POLLS {
        for what in ["put", "delete", "undelete"] {
            let directory = tempfile::tempdir().unwrap();
            let store = store(&directory);
            store.put(&path, value("one"), NOON).await.unwrap();
            store.put(&path, value("two"), NOON).await.unwrap();
            if what == "undelete" {
                store.delete(&path, vec![Selector::Number(2)], NOON).await.unwrap();
            }
            // This fills the cache.
            assert!(current(&store).is_some() && current(&store).is_some());
            let chosen = vec![Selector::Number(2)];
            match what {
                "put" => drop_after(store.put(&path, value("three"), NOON), count).await,
                "delete" => drop_after(store.delete(&path, chosen, NOON), count).await,
                _ => drop_after(store.undelete(&path, chosen, NOON), count).await,
            }
            settle(&store).await;
            assert_eq!(current(&store), stored(&store), "{what}, {count} polls");
            let before = current(&store);
            store.close().await.unwrap();
            drop(store);
            assert_eq!(current(&self::store(&directory)), before, "{what}, {count} polls");
        }
    }
}

#[tokio::test]
async fn an_export_whose_request_was_dropped_is_remembered_or_not_and_stays_so() {
    for count in 0..POLLS {
        let directory = tempfile::tempdir().unwrap();
        let store = store(&directory);
        drop_after(store.note_export(NOON + 1), count).await;
        store.put(&SecretPath::parse("a").unwrap(), Zeroizing::default(), NOON).await.unwrap();
        let remembered = store.last_export().unwrap();
        assert_eq!(remembered.is_some(), count > 0);
        store.close().await.unwrap();
        drop(store);
        assert_eq!(self::store(&directory).last_export().unwrap(), remembered);
    }
}

// The check was outside of the transaction that creates the policy.
#[tokio::test]
async fn of_several_requests_that_make_one_name_only_one_makes_it() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory);
    let policies = Policies::load(&store).unwrap();
    let made = futures_util::future::join_all(
        ["^a$", "^b$", "^c$"].map(|path| policies.put(&store, policy("one", path), true)),
    );
    let made: Vec<bool> = made.await.into_iter().map(Result::unwrap).collect();
    assert_eq!(made.iter().filter(|made| **made).count(), 1);
    let first = ["a", "b", "c"][made.iter().position(|made| *made).unwrap()];
    assert!(may_read(&policies, first));
    assert_eq!(policies.set().len(), 1);
}

#[tokio::test]
async fn a_policy_that_is_put_again_keeps_the_time_when_it_was_made_also_in_the_set() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory);
    let policies = Policies::load(&store).unwrap();
    policies.put(&store, policy("p", "^a$"), false).await.unwrap();
    let later = Policy { updated_at: clock::at(0), ..policy("p", "^b$") };
    policies.put(&store, later, false).await.unwrap();
    let stored = store.policy("p").unwrap().unwrap();
    assert_eq!((stored.created, stored.updated), (NOON, 0));
    assert!(may_read(&policies, "b") && !may_read(&policies, "a"));
}

/// They were imported without a report, and the policy allowed nothing, or less than it states.
#[test]
fn an_imported_policy_that_does_not_do_what_it_says_is_told() {
    let judged = |pattern: &str, permissions: &[&str]| {
        judge(&PolicyText {
            spiffe_id_pattern: pattern.to_owned(),
            path_pattern: "^a$".to_owned(),
            permissions: permissions.iter().map(|word| (*word).to_owned()).collect(),
        })
    };
    assert_eq!(judged(".*", &["read", "list"]), Ok(()));
    assert!(judged(".*", &["read", "admin"]).unwrap_err().contains("\"admin\" is no permission"));
    let told = judged("(?=x)", &["read"]).unwrap_err();
    assert!(told.contains("(?="), "{told}");
}

// 300,000 rows that somebody had put in were as many lines at each start.
#[test]
fn of_many_altered_policies_the_log_names_a_hundred_and_counts_the_others() {
    for (all, named, more) in [(0, 0, 0), (100, 100, 0), (101, 100, 1), (300_000, 100, 299_900)] {
        let mut seen = 0;
        assert_eq!((name_first(0..all, |_| seen += 1), seen), (more, named));
    }
}
