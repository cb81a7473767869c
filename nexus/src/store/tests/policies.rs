//! Policies as rows, in every home.

use super::*;

fn text(permissions: &[&str]) -> PolicyText {
    PolicyText {
        spiffe_id_pattern: r"^spiffe://example\.org/app/.*$".to_owned(),
        path_pattern: "^tenants/\u{e9}\"acme/.*$".to_owned(),
        permissions: permissions.iter().map(ToString::to_string).collect(),
    }
}

#[tokio::test]
async fn a_policy_comes_back_as_it_was_put() {
    for home in homes(&options()) {
        home.store.put_policy("web", text(&["write", "read", "read"]), NOON).await.unwrap();
        let stored = home.store.policy("web").unwrap().unwrap();
        assert_eq!(stored.name, "web");
        assert_eq!(stored.text, text(&["write", "read", "read"]));
        assert_eq!((stored.created, stored.updated), (NOON, NOON));
        assert_eq!(home.store.policy("Web").unwrap(), None);
    }
}

// N7.
#[tokio::test]
async fn putting_a_name_again_replaces_the_text_and_keeps_the_creation_time() {
    for home in homes(&options()) {
        home.store.put_policy("web", text(&["read"]), NOON).await.unwrap();
        home.store.put_policy("web", text(&["list"]), NOON + MINUTE).await.unwrap();
        let stored = home.store.policy("web").unwrap().unwrap();
        assert_eq!(stored.text, text(&["list"]));
        assert_eq!((stored.created, stored.updated), (NOON, NOON + MINUTE));
        assert_eq!(home.store.stats().unwrap().policies, 1);
    }
}

// Q-47.
#[tokio::test]
async fn names_and_policies_come_sorted() {
    for home in homes(&options()) {
        for name in ["b", "a 2", "B", "a-1"] {
            home.store.put_policy(name, text(&["read"]), NOON).await.unwrap();
        }
        assert_eq!(home.store.policy_names().unwrap(), ["B", "a 2", "a-1", "b"]);
        let set = home.store.policies().unwrap();
        let names: Vec<_> = set.policies.iter().map(|policy| policy.name.as_str()).collect();
        assert_eq!(names, ["B", "a 2", "a-1", "b"]);
        assert!(set.refused.is_empty());
    }
}

#[tokio::test]
async fn every_change_moves_the_epoch_and_nothing_else_does() {
    for home in homes(&options()) {
        let mut last = home.store.policy_epoch();
        let mut moved = || {
            let before = std::mem::replace(&mut last, home.store.policy_epoch());
            assert_eq!(home.store.policies().unwrap().epoch, last);
            last > before
        };
        home.store.put_policy("web", text(&["read"]), NOON).await.unwrap();
        assert!(moved());
        home.store.put_policy("web", text(&["read"]), NOON).await.unwrap();
        assert!(moved());
        home.put("p", "x").await;
        assert!(!moved());
        assert!(!home.store.delete_policy("none", NOON).await.unwrap());
        assert!(!moved());
        assert!(home.store.delete_policy("web", NOON).await.unwrap());
        assert!(moved());
        assert_eq!(home.store.policy("web").unwrap(), None);
    }
}

#[tokio::test]
async fn policies_and_their_epoch_survive_a_restart() {
    let home = in_file(options());
    home.store.put_policy("web", text(&["read"]), NOON).await.unwrap();
    let epoch = home.store.policy_epoch();
    let home = home.reopened().await;
    assert_eq!(home.store.policy_epoch(), epoch);
    assert_eq!(home.store.policy("web").unwrap().unwrap().text, text(&["read"]));
}
