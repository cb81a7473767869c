//! A policy that was changed, removed, added or put back allows nothing, and is refused by name.

use super::*;

#[tokio::test]
async fn a_policy_that_was_changed_in_any_way_is_refused_by_name_and_can_be_repaired() {
    for change in [
        "created = created - 1",
        "updated = updated + 1",
        "key_number = 2",
        "nonce = zeroblob(12)",
        "ciphertext = x'00'",
        "(created, updated, nonce, ciphertext) =
            (SELECT created, updated, nonce, ciphertext FROM policies WHERE name = 'b')",
    ] {
        let home = stored().await;
        let home = home.tamper(&format!("UPDATE policies SET {change} WHERE name = 'a'"));
        let single = home.store.policy("a").unwrap_err();
        assert!(
            matches!(&single, StoreError::Tampered { table: "policies", path, .. } if path == "a"),
            "{change}: {single:?}"
        );
        let set = home.store.policies().unwrap();
        assert_eq!(set.policies.len(), 1, "{change}");
        assert_eq!(set.policies[0].name, "b", "{change}");
        assert_eq!(set.refused.len(), 1, "{change}");
        let text = set.policies[0].text.clone();
        home.store.put_policy("a", text, NOON + MINUTE).await.unwrap();
        assert_eq!(home.store.policy("a").unwrap().unwrap().created, NOON + MINUTE);
    }
}

#[tokio::test]
async fn a_renamed_policy_is_refused_and_can_be_deleted() {
    let home = stored().await.tamper("UPDATE policies SET name = 'z' WHERE name = 'a'");
    assert_eq!(refused_policies(&home.store), ["z", "a"]);
    for name in ["z", "a"] {
        assert!(home.store.policy(name).is_err(), "{name}");
        assert!(home.store.delete_policy(name, NOON).await.unwrap());
        assert_eq!(home.store.policy(name).unwrap(), None);
    }
    assert!(home.store.policies().unwrap().refused.is_empty());
}

/// The names of the refused policies, in the order in which they are reported.
fn refused_policies(store: &Store) -> Vec<String> {
    let refused = store.policies().unwrap().refused.into_iter();
    refused
        .map(|error| match error {
            StoreError::Tampered { table: "policies", path, .. } => path,
            other => panic!("{other:?}"),
        })
        .collect()
}

fn policy_names(store: &Store) -> Vec<String> {
    store.policies().unwrap().policies.into_iter().map(|policy| policy.name).collect()
}

#[tokio::test]
async fn a_policy_that_was_removed_is_refused_by_name_and_not_just_gone() {
    let home = stored().await.tamper("DELETE FROM policies WHERE name = 'a'");
    assert_eq!((policy_names(&home.store), refused_policies(&home.store)), (one("b"), one("a")));
    let single = home.store.policy("a").unwrap_err();
    assert!(matches!(&single, StoreError::Tampered { table: "policies", path, .. } if path == "a"));
    let text = home.store.policy("b").unwrap().unwrap().text;
    let created = home.store.create_policy("a", text.clone(), NOON).await;
    assert!(matches!(created, Err(StoreError::Tampered { .. })), "{created:?}");
    home.store.put_policy("a", text, NOON + MINUTE).await.unwrap();
    assert_eq!(home.store.policy("a").unwrap().unwrap().created, NOON + MINUTE);
    assert!(home.store.policies().unwrap().refused.is_empty());
}

fn one(name: &str) -> Vec<String> {
    vec![name.to_owned()]
}

/// A store whose policy `a` was changed and then, depending on `done`, deleted or not. Then rows are put back from an earlier
/// copy.
async fn policies_put_back(delete: bool, tables: &[&str]) -> Fixture {
    let home = stored().await.opened_again();
    home.store.close().await.unwrap();
    let earlier = home.directory().join("earlier.db");
    std::fs::copy(home.file(), &earlier).unwrap();
    let home = home.opened_again();
    if delete {
        assert!(home.store.delete_policy("a", NOON).await.unwrap());
    } else {
        let text = home.store.policy("b").unwrap().unwrap().text;
        home.store.put_policy("a", text, NOON + MINUTE).await.unwrap();
    }
    home.store.close().await.unwrap();
    let put_back = tables
        .iter()
        .map(|table| format!("REPLACE INTO main.{table} SELECT * FROM earlier.{table};"));
    let sql =
        format!("ATTACH '{}' AS earlier; {}", earlier.display(), put_back.collect::<String>());
    home.tamper(&sql)
}

#[tokio::test]
async fn a_deleted_policy_that_is_put_back_from_an_earlier_copy_allows_nothing() {
    let home = policies_put_back(true, &["policies"]).await;
    assert_eq!((policy_names(&home.store), refused_policies(&home.store)), (one("b"), one("a")));
    assert!(matches!(home.store.policy("a"), Err(StoreError::Tampered { .. })));
}

#[tokio::test]
async fn an_older_state_of_a_policy_that_is_put_back_allows_nothing() {
    let home = policies_put_back(false, &["policies"]).await;
    assert_eq!((policy_names(&home.store), refused_policies(&home.store)), (one("b"), one("a")));
}

#[tokio::test]
async fn an_older_list_of_policies_that_is_put_back_with_them_is_refused() {
    for delete in [true, false] {
        let home = policies_put_back(delete, &["policies", "policy_lists"]).await;
        let set = home.store.policies().unwrap();
        assert!(set.policies.iter().all(|policy| policy.name == "b"), "{delete}");
        let list = set
            .refused
            .iter()
            .find(|error| matches!(error, StoreError::Tampered { table: "policy_lists", .. }));
        assert!(list.is_some(), "{delete}: {:?}", set.refused);
        // An operator who puts the policy again determines its content.
        home.store.put_policy("a", set.policies[0].text.clone(), NOON).await.unwrap();
        assert_eq!(policy_names(&home.store), ["a", "b"], "{delete}");
        assert!(home.store.policies().unwrap().refused.is_empty(), "{delete}");
    }
}

#[tokio::test]
async fn a_list_of_policies_that_was_changed_in_any_way_is_refused() {
    for change in [
        "DELETE FROM policy_lists",
        "UPDATE policy_lists SET ciphertext = x'00'",
        "UPDATE policy_lists SET nonce = zeroblob(12)",
        "UPDATE policy_lists SET key_number = 9",
        "UPDATE policy_lists SET number = number + 1",
    ] {
        let home = stored().await.tamper(change);
        let set = home.store.policies().unwrap();
        assert!(set.policies.is_empty(), "{change}");
        assert_eq!(set.refused.len(), 4, "{change}: two lists, two policies: {:?}", set.refused);
        assert!(home.store.policy("a").is_err(), "{change}");
        home.assert_b_readable(change);
    }
}

// The first delete reported that there was none, and the policy was still refused when it was read.
#[tokio::test]
async fn a_policy_of_a_list_that_was_changed_can_be_deleted_and_is_gone_then() {
    for change in ["DELETE FROM policy_lists", "UPDATE policy_lists SET ciphertext = x'00'"] {
        let home = stored().await.tamper(change);
        assert!(home.store.delete_policy("a", NOON).await.unwrap(), "{change}");
        assert_eq!(home.store.policy("a").unwrap(), None, "{change}");
        assert!(!home.store.delete_policy("a", NOON).await.unwrap(), "{change}");
        assert!(home.store.policy("b").is_err(), "{change}: its own list is still refused");
    }
}
