//! Put, get, delete, undelete, metadata and list, in every home (crypto-and-storage 6).

use std::num::NonZeroU32;
use std::sync::Arc;

use spike_crypto::TAG_LEN;

use super::*;

#[tokio::test]
async fn what_was_put_comes_back_byte_for_byte() {
    for home in homes(&options()) {
        let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        home.store.put(&path("a/b"), Zeroizing::new(bytes.clone()), NOON).await.unwrap();
        let got = home.store.get(&path("a/b"), Selector::Current).unwrap().unwrap();
        assert_eq!(*got, bytes);
        home.put("empty", "").await;
        assert_eq!(home.get("empty", 0).as_deref(), Some(""));
    }
}

#[tokio::test]
async fn a_read_reserves_no_more_than_the_value_and_its_tag() {
    for home in homes(&options()) {
        home.put("p", "short").await;
        for from in ["the file", "memory"] {
            let mut out = b"{".to_vec();
            assert!(home.store.get_into(&path("p"), Selector::Current, &mut out).unwrap());
            assert!(out.capacity() <= out.len() + TAG_LEN, "from {from}: {}", out.capacity());
        }
    }
}

#[tokio::test]
async fn each_put_makes_a_version_of_its_own() {
    for home in homes(&options()) {
        assert_eq!(home.put("p", "one").await, 1);
        assert_eq!(home.put("p", "two").await, 2);
        assert_eq!(home.put("q", "other").await, 1);
        assert_eq!(home.get("p", 1).as_deref(), Some("one"));
        assert_eq!(home.get("p", 2).as_deref(), Some("two"));
        assert_eq!(home.get("p", 0).as_deref(), Some("two"));
    }
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    for home in homes(&options()) {
        home.put("p", "one").await;
        for (name, version) in [("none", 0), ("none", 1), ("p", 2), ("p", -1), ("p", i64::MIN)] {
            assert_eq!(home.get(name, version), None, "{name} {version}");
        }
        assert_eq!(home.store.metadata(&path("none")).unwrap(), None);
        assert!(!home.store.delete(&path("none"), vec![], NOON).await.unwrap());
        assert!(!home.store.undelete(&path("none"), vec![], NOON).await.unwrap());
    }
}

#[tokio::test]
async fn deleted_versions_are_hidden_until_they_are_undeleted() {
    for home in homes(&options()) {
        home.put("p", "one").await;
        home.put("p", "two").await;
        assert!(home.store.delete(&path("p"), selectors(&[0]), NOON + MINUTE).await.unwrap());
        assert_eq!(home.get("p", 2), None);
        assert_eq!(home.get("p", 0).as_deref(), Some("one"));
        assert!(home.store.undelete(&path("p"), selectors(&[2]), NOON).await.unwrap());
        assert_eq!(home.get("p", 0).as_deref(), Some("two"));
        assert!(!home.store.undelete(&path("p"), selectors(&[2]), NOON).await.unwrap());
    }
}

//
#[tokio::test]
async fn a_put_after_deleting_everything_leaves_the_old_versions_to_be_undeleted() {
    for home in homes(&options()) {
        home.put("p", "one").await;
        home.put("p", "two").await;
        home.store.delete(&path("p"), selectors(&[1, 2]), NOON).await.unwrap();
        assert_eq!(home.get("p", 0), None);
        assert_eq!(home.put("p", "three").await, 3);
        assert!(home.store.undelete(&path("p"), selectors(&[2, 1]), NOON).await.unwrap());
        assert_eq!(home.get("p", 1).as_deref(), Some("one"));
        assert_eq!(home.get("p", 2).as_deref(), Some("two"));
        assert_eq!(home.get("p", 0).as_deref(), Some("three"));
    }
}

// F9, Q-21: upstream answers a single version 0.
#[tokio::test]
async fn metadata_tells_every_version_under_its_number() {
    for home in homes(&options()) {
        home.store.put(&path("p"), value("one"), NOON).await.unwrap();
        home.store.put(&path("p"), value("two"), NOON + MINUTE).await.unwrap();
        home.store.delete(&path("p"), selectors(&[1]), NOON + 2 * MINUTE).await.unwrap();
        let history = home.store.metadata(&path("p")).unwrap().unwrap();
        let told: Vec<_> =
            history.versions().iter().map(|v| (v.number, v.created, v.deleted)).collect();
        assert_eq!(told, [(1, NOON, Some(NOON + 2 * MINUTE)), (2, NOON + MINUTE, None)]);
        assert_eq!((history.created(), history.updated()), (NOON, NOON + MINUTE));
        assert_eq!(history.current().unwrap().number, 2);
        assert_eq!(history.oldest().unwrap().number, 2);
        assert_eq!(history.max_versions().get(), 10);
    }
}

// F8, Q-22: upstream keeps the rows, and they can still be read by number.
#[tokio::test]
async fn versions_beyond_the_limit_are_erased() {
    let limit = NonZeroU32::new(3).unwrap();
    for home in homes(&Options { max_versions: limit, ..options() }) {
        for number in 1..=5 {
            home.put("p", &format!("value {number}")).await;
        }
        home.put("q", "other").await;
        assert_eq!(home.numbers("p"), [3, 4, 5]);
        assert_eq!(home.get("p", 2), None);
        assert_eq!(home.get("p", 3).as_deref(), Some("value 3"));
        assert_eq!(home.store.stats().unwrap().versions, 4);
    }
}

#[tokio::test]
async fn the_limit_stays_with_the_path_as_it_was_created() {
    let home = in_file(Options { max_versions: NonZeroU32::new(2).unwrap(), ..options() });
    home.put("old", "1").await;
    let mut home = home;
    home.options.max_versions = NonZeroU32::new(4).unwrap();
    let home = home.reopened().await;
    for _ in 0..6 {
        home.put("old", "x").await;
        home.put("new", "x").await;
    }
    assert_eq!(home.numbers("old").len(), 2);
    assert_eq!(home.numbers("new").len(), 4);
}

#[tokio::test]
async fn names_are_listed_in_byte_order_with_fully_deleted_ones() {
    for home in homes(&options()) {
        for name in ["b", "a/z", "a", "B", "a/a", "_", "a//", "~".replace('~', "z").as_str()] {
            home.put(name, "x").await;
        }
        home.store.delete(&path("a/a"), vec![], NOON).await.unwrap();
        let all = home.store.list("", None, usize::MAX).unwrap();
        assert_eq!(all, ["B", "_", "a", "a//", "a/a", "a/z", "b", "z"]);
    }
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_overlap() {
    for home in homes(&options()) {
        for number in 0..25 {
            home.put(&format!("t/{number:02}"), "x").await;
        }
        home.put("s", "x").await;
        home.put("u", "x").await;
        let mut pages = Vec::new();
        let mut after = None;
        loop {
            let page = home.store.list("t/", after.as_deref(), 10).unwrap();
            let Some(last) = page.last().cloned() else { break };
            pages.push(page.len());
            assert!(page.iter().all(|name| name.starts_with("t/")), "{page:?}");
            assert!(after.as_ref() < page.first());
            after = Some(last);
        }
        assert_eq!(pages, [10, 10, 5]);
    }
}

#[tokio::test]
async fn a_prefix_is_text_and_not_a_pattern() {
    for home in homes(&options()) {
        for name in ["a.b", "aXb", "a*", "a", "ab"] {
            home.put(name, "x").await;
        }
        assert_eq!(home.store.list("a.", None, 10).unwrap(), ["a.b"]);
        assert_eq!(home.store.list("a*", None, 10).unwrap(), ["a*"]);
        assert_eq!(home.store.list("ab", Some("a"), 10).unwrap(), ["ab"]);
        assert_eq!(home.store.list("a.", Some("b"), 10).unwrap(), Vec::<String>::new());
        assert_eq!(home.store.list("\u{e9}'\"%", None, 10).unwrap(), Vec::<String>::new());
        assert_eq!(home.store.list("", None, 0).unwrap(), Vec::<String>::new());
    }
}

// F7, Q-33: upstream lost 13 of 20.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_puts_to_one_path_each_get_a_version() {
    let limit = NonZeroU32::new(100).unwrap();
    for home in homes(&Options { max_versions: limit, ..options() }) {
        let home = Arc::new(home);
        let mut puts = tokio::task::JoinSet::new();
        for writer in 0..64 {
            let home = Arc::clone(&home);
            puts.spawn(async move { (home.put("p", &format!("by {writer}")).await, writer) });
        }
        let mut answers = puts.join_all().await;
        answers.sort_unstable();
        let given: Vec<i64> = answers.iter().map(|(number, _)| *number).collect();
        assert_eq!(given, (1..=64).collect::<Vec<_>>());
        for (number, writer) in answers {
            assert_eq!(home.get("p", number), Some(format!("by {writer}")));
        }
    }
}

// A reader must never see a path without the version that its row names, or a version without its path.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_beside_writes_see_whole_states() {
    let limit = NonZeroU32::new(2).unwrap();
    for home in homes(&Options { max_versions: limit, ..options() }) {
        let home = Arc::new(home);
        home.put("p", "1").await;
        let reader = Arc::clone(&home);
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        // On a crowded machine all writes could be done before the first read.
        let (has_read, first_read) = tokio::sync::oneshot::channel();
        let reads = tokio::task::spawn_blocking(move || {
            let mut last: i64 = reader.get("p", 0).unwrap().parse().unwrap();
            has_read.send(()).unwrap();
            while stopped.try_recv() != Err(std::sync::mpsc::TryRecvError::Disconnected) {
                let seen: i64 = reader.get("p", 0).unwrap().parse().unwrap();
                assert!(seen >= last, "{seen} after {last}");
                last = seen;
            }
            last
        });
        first_read.await.unwrap();
        for number in 2..=60 {
            assert_eq!(home.put("p", &number.to_string()).await, number);
        }
        drop(stop);
        assert!(reads.await.unwrap() >= 1);
        assert_eq!(home.get("p", 0).as_deref(), Some("60"));
    }
}

#[tokio::test]
async fn stats_count_what_is_stored() {
    for home in homes(&options()) {
        home.put("p", "1").await;
        home.put("p", "2").await;
        home.put("q", "1").await;
        let stats = home.store.stats().unwrap();
        assert_eq!((stats.paths, stats.versions, stats.policies), (2, 3, 0));
        assert_eq!(stats.active_key, 1);
        assert!(stats.bytes >= 4096 && stats.bytes % 512 == 0, "{}", stats.bytes);
    }
}
