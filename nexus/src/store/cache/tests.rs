use std::sync::atomic::{AtomicI64, Ordering};

use spike_domain::{SecretPath, Selector};
use zeroize::Zeroizing;

use super::super::{Home, Options, Store};
use super::*;

const NOON: i64 = 1_800_000_000_000_000_000;

fn path(text: &str) -> SecretPath {
    SecretPath::parse(text).unwrap()
}

/// A store in memory with a cache of this many bytes.
fn store(read_cache: usize) -> Store {
    let options = Options { read_cache, ..Options::default() };
    let key = spike_crypto::RootKey::from_bytes(&[1; 32]).unwrap();
    Store::create(&Home::Memory, &key, &options, NOON).unwrap()
}

async fn put(store: &Store, name: &str, text: &str) -> i64 {
    let value = Zeroizing::new(text.as_bytes().to_vec());
    store.put(&path(name), value, NOON).await.unwrap()
}

fn get(store: &Store, name: &str) -> Option<String> {
    let value = store.get(&path(name), Selector::Current).unwrap()?;
    Some(String::from_utf8(value.to_vec()).unwrap())
}

/// A value as the store keeps it.
async fn sealed() -> Arc<SealedValue> {
    let store = store(1 << 20);
    put(&store, "x", "some value").await;
    get(&store, "x");
    match store.cache.find("x") {
        Found::Value(value) => value,
        Found::Nothing(_) => panic!("nothing was kept"),
    }
}

fn ticket(cache: &ValueCache, path: &str) -> Ticket {
    match cache.find(path) {
        Found::Nothing(ticket) => ticket,
        Found::Value(_) => panic!("{path} is there"),
    }
}

fn is_there(cache: &ValueCache, path: &str) -> bool {
    matches!(cache.find(path), Found::Value(_))
}

#[tokio::test]
async fn only_the_first_read_of_a_value_asks_the_database() {
    let store = store(1 << 20);
    put(&store, "a", "one").await;
    for _ in 0..5 {
        assert_eq!(get(&store, "a").as_deref(), Some("one"));
    }
    let stats = store.cache_stats();
    assert_eq!((stats.hits, stats.misses, stats.values), (4, 1, 1));
    assert!(stats.bytes > 0);
}

#[tokio::test]
async fn every_change_of_a_path_shows_in_the_next_read() {
    let store = store(1 << 20);
    let current = [Selector::Current].to_vec();
    put(&store, "a", "one").await;
    assert_eq!(get(&store, "a").as_deref(), Some("one"));
    put(&store, "a", "two").await;
    assert_eq!(get(&store, "a").as_deref(), Some("two"));
    store.delete(&path("a"), current, NOON).await.unwrap();
    assert_eq!(get(&store, "a").as_deref(), Some("one"));
    store.undelete(&path("a"), vec![Selector::Number(2)], NOON).await.unwrap();
    assert_eq!(get(&store, "a").as_deref(), Some("two"));
    store.delete(&path("a"), vec![Selector::Number(1), Selector::Number(2)], NOON).await.unwrap();
    assert_eq!(get(&store, "a"), None);
}

#[tokio::test]
async fn a_version_by_number_is_never_mistaken_for_the_current_one() {
    let store = store(1 << 20);
    put(&store, "a", "one").await;
    put(&store, "a", "two").await;
    let first = || store.get(&path("a"), Selector::Number(1)).unwrap().unwrap();
    assert_eq!(first().as_slice(), b"one");
    assert_eq!(get(&store, "a").as_deref(), Some("two"));
    assert_eq!(first().as_slice(), b"one");
}

// In every order of threads: every read after an acknowledged put finds it, and no reader that has seen a version sees an older
// one later.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_older_than_an_answered_put_is_ever_read() {
    let store = Arc::new(store(1 << 20));
    let answered = Arc::new(AtomicI64::new(put(&store, "a", "1").await));
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let (store, answered) = (Arc::clone(&store), Arc::clone(&answered));
            tokio::task::spawn_blocking(move || {
                let mut least = 0;
                while least < 300 {
                    least = least.max(answered.load(Ordering::Acquire));
                    let value: i64 = get(&store, "a").unwrap().parse().unwrap();
                    assert!(value >= least, "{value} after {least}");
                    let history = store.metadata(&path("a")).unwrap().unwrap();
                    let current = history.current().unwrap().number;
                    assert!(current >= value, "version {current} after {value}");
                    least = current;
                }
            })
        })
        .collect();
    for number in 2..=300 {
        assert_eq!(put(&store, "a", &number.to_string()).await, number);
        answered.store(number, Ordering::Release);
    }
    for reader in readers {
        reader.await.unwrap();
    }
}

#[tokio::test]
async fn what_was_read_before_a_commit_is_turned_away_during_and_after_it() {
    let (cache, value) = (ValueCache::new(1 << 20), sealed().await);
    let before = ticket(&cache, "a");
    let changing = cache.changing(&["a".to_owned(), "a".to_owned()]);
    cache.keep(before, "a", Arc::clone(&value));
    assert!(!is_there(&cache, "a"));
    let during = ticket(&cache, "a");
    cache.keep(during, "a", Arc::clone(&value));
    assert!(!is_there(&cache, "a"));
    drop(changing);
    for old in [before, during] {
        cache.keep(old, "a", Arc::clone(&value));
        assert!(!is_there(&cache, "a"));
    }
    cache.keep(ticket(&cache, "a"), "a", value);
    assert!(is_there(&cache, "a"));
}

#[tokio::test]
async fn the_budget_is_kept_and_what_was_not_used_for_longest_goes_first() {
    let (cache, value) = (ValueCache::new(64 << 10), sealed().await);
    for number in 0..10_000 {
        let name = number.to_string();
        cache.keep(ticket(&cache, &name), &name, Arc::clone(&value));
        // This one is used all the time.
        if number > 0 {
            assert!(is_there(&cache, "0"), "after {number}");
        }
        assert!(is_there(&cache, &name));
    }
    let stats = cache.stats();
    assert!(stats.bytes <= 64 << 10, "{stats:?}");
    assert!((16..1000).contains(&stats.values), "{stats:?}");
}

#[tokio::test]
async fn without_room_nothing_is_kept() {
    let store = store(0);
    put(&store, "a", "one").await;
    for _ in 0..3 {
        assert_eq!(get(&store, "a").as_deref(), Some("one"));
    }
    let stats = store.cache_stats();
    assert_eq!((stats.hits, stats.values, stats.bytes), (0, 0, 0));
}

#[tokio::test]
async fn no_value_is_kept_in_clear() {
    let store = store(1 << 20);
    let planted = "a value that can be found";
    put(&store, "a", planted).await;
    get(&store, "a");
    let number = store.cache.number("a");
    let shard = store.cache.lock(number);
    let bytes = shard.values.get("a").unwrap().as_bytes();
    assert!(bytes.len() > planted.len());
    assert!(!bytes.windows(8).any(|window| window == &planted.as_bytes()[..8]));
}

#[tokio::test]
async fn a_closed_store_answers_nothing_from_memory() {
    let store = store(1 << 20);
    put(&store, "a", "one").await;
    get(&store, "a");
    store.close().await.unwrap();
    let answer = store.get(&path("a"), Selector::Current);
    assert!(matches!(answer, Err(super::super::StoreError::Closed)), "{answer:?}");
    assert_eq!(store.cache_stats().values, 0);
}
