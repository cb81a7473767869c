//! An attacker who writes to the file can neither move, revive, undelete nor re-date a row without the store refusing it by
//! name; other rows stay readable (design 2).

mod policies;

use rusqlite::{Connection, params};

use super::*;

/// A closed store with two paths of three versions each, version 1 of both deleted, and two
/// policies.
async fn stored() -> Fixture {
    let home = in_file(options());
    for name in ["a", "b"] {
        for text in ["one", "two", "three"] {
            home.put(name, &format!("{name} {text}")).await;
        }
        home.store.delete(&path(name), selectors(&[1]), NOON + MINUTE).await.unwrap();
        let text = PolicyText {
            spiffe_id_pattern: "x".to_owned(),
            path_pattern: name.to_owned(),
            permissions: vec![],
        };
        home.store.put_policy(name, text, NOON).await.unwrap();
    }
    home.store.close().await.unwrap();
    home
}

impl Fixture {
    /// Runs SQL on the closed file, as an attacker might.
    fn tamper(self, sql: &str) -> Self {
        let changed = Connection::open(self.file()).unwrap().execute_batch(sql);
        changed.unwrap_or_else(|error| panic!("{sql}: {error}"));
        self.opened_again()
    }

    fn refused(&self, name: &str, version: i64) -> Option<(&'static str, String, Option<i64>)> {
        let answer = self.store.get(&path(name), Selector::from(version));
        match answer {
            Ok(_) => None,
            Err(StoreError::Tampered { table, path, version }) => Some((table, path, version)),
            Err(other) => panic!("{other:?}"),
        }
    }

    /// Version `version` of path `a` is refused by name, the other versions and paths are not.
    fn assert_version_refused(&self, version: i64, what: &str) {
        let expected = Some(("versions", "a".to_owned(), Some(version)));
        assert_eq!(self.refused("a", version), expected, "{what}");
        for other in [2, 3].into_iter().filter(|other| *other != version) {
            assert!(self.get("a", other).is_some(), "{what}: version {other} should be readable");
        }
        self.assert_b_readable(what);
    }

    /// All of path `a` is refused by the name of the path, the others are not.
    fn assert_path_refused(&self, what: &str) {
        let expected = Some(("secrets", "a".to_owned(), None));
        for version in [0, 2, 3] {
            assert_eq!(self.refused("a", version), expected, "{what}");
        }
        let metadata = self.store.metadata(&path("a"));
        assert!(matches!(metadata, Err(StoreError::Tampered { .. })), "{what}: {metadata:?}");
        self.assert_b_readable(what);
    }

    fn assert_b_readable(&self, what: &str) {
        assert_eq!(self.get("b", 0).as_deref(), Some("b three"), "{what}");
        assert_eq!(self.get("b", 2).as_deref(), Some("b two"), "{what}");
    }
}

#[tokio::test]
async fn a_version_that_was_changed_in_any_way_is_refused_by_name() {
    for change in [
        "created = created + 1",
        "deleted = 5",
        "key_number = 2",
        "key_number = -1",
        "key_number = 99999999999",
        "nonce = zeroblob(12)",
        "nonce = x'00'",
        "ciphertext = zeroblob(40)",
        "ciphertext = substr(ciphertext, 1, length(ciphertext) - 1)",
        "ciphertext = x''",
        "ciphertext = CAST(ciphertext || x'00' AS BLOB)",
        "path = 'c'",
        "path = 'b', version = 9",
        "version = 9",
        // The content of another row, with and without its nonce and times.
        "ciphertext = (SELECT ciphertext FROM versions WHERE path = 'b' AND version = 3)",
        "(nonce, ciphertext) = (SELECT nonce, ciphertext FROM versions WHERE path = 'b' AND version = 3)",
        "(created, deleted, nonce, ciphertext) =
            (SELECT created, deleted, nonce, ciphertext FROM versions WHERE path = 'a' AND version = 2)",
    ] {
        let sql = format!("UPDATE versions SET {change} WHERE path = 'a' AND version = 3");
        stored().await.tamper(&sql).assert_version_refused(3, change);
    }
}

#[tokio::test]
async fn two_versions_that_were_swapped_are_both_refused() {
    let home = stored().await.tamper(
        "UPDATE versions SET version = -version WHERE path = 'a' AND version IN (2, 3);
         UPDATE versions SET version = 5 + version WHERE path = 'a' AND version < 0;",
    );
    assert_eq!(home.refused("a", 2), Some(("versions", "a".to_owned(), Some(2))));
    assert_eq!(home.refused("a", 3), Some(("versions", "a".to_owned(), Some(3))));
    home.assert_b_readable("swapped");
}

#[tokio::test]
async fn the_same_version_of_two_paths_swapped_is_refused_on_both() {
    let home = stored().await.tamper(
        "UPDATE versions SET path = 'x' WHERE path = 'a' AND version = 3;
         UPDATE versions SET path = 'a' WHERE path = 'b' AND version = 3;
         UPDATE versions SET path = 'b' WHERE path = 'x';",
    );
    assert_eq!(home.refused("a", 3), Some(("versions", "a".to_owned(), Some(3))));
    assert_eq!(home.refused("b", 3), Some(("versions", "b".to_owned(), Some(3))));
    assert_eq!(home.get("a", 2).as_deref(), Some("a two"));
    assert_eq!(home.get("b", 2).as_deref(), Some("b two"));
}

#[tokio::test]
async fn a_version_that_was_removed_is_refused_and_not_just_gone() {
    let home = stored().await.tamper("DELETE FROM versions WHERE path = 'a' AND version = 3");
    home.assert_version_refused(3, "removed");
    assert_eq!(home.refused("a", 0), Some(("versions", "a".to_owned(), Some(3))));
}

#[tokio::test]
async fn a_deleted_version_cannot_be_revived_by_its_deletion_mark() {
    let home = stored().await.tamper("UPDATE versions SET deleted = NULL");
    assert_eq!(home.get("a", 1), None);
    let error = home.store.undelete(&path("a"), selectors(&[1]), NOON).await.unwrap_err();
    assert!(matches!(error, StoreError::Tampered { version: Some(1), .. }), "{error:?}");
    home.assert_b_readable("revived");
}

// Rows of an earlier state are authentic; only the list of the path shows that they are old.
#[tokio::test]
async fn a_version_put_back_from_an_earlier_copy_is_refused() {
    let home = in_file(options());
    home.put("a", "a one").await;
    home.put("a", "a two").await;
    home.put("a", "a three").await;
    home.put("b", "b one").await;
    home.put("b", "b two").await;
    home.put("b", "b three").await;
    let home = home.reopened().await;
    let earlier = home.directory().join("earlier.db");
    std::fs::copy(home.file(), &earlier).unwrap();
    home.store.delete(&path("a"), selectors(&[3]), NOON).await.unwrap();
    home.store.close().await.unwrap();
    let back = |table: &str, also: &str| {
        format!(
            "ATTACH '{}' AS earlier;
             REPLACE INTO main.{table} SELECT * FROM earlier.{table} WHERE path = 'a' {also};",
            earlier.display()
        )
    };
    let home = home.tamper(&back("versions", "AND version = 3"));
    assert_eq!(home.get("a", 3), None, "the path still lists it as deleted");
    let undeleted = home.store.undelete(&path("a"), selectors(&[3]), NOON).await;
    assert!(matches!(undeleted, Err(StoreError::Tampered { version: Some(3), .. })));
    home.assert_b_readable("version put back");
}

// Same value and times, but another encryption: not the row that the path lists.
#[tokio::test]
async fn only_the_very_row_that_the_path_lists_is_accepted() {
    let home = stored().await.opened_again();
    let earlier = home.directory().join("earlier.db");
    std::fs::copy(home.file(), &earlier).unwrap();
    home.store.delete(&path("a"), selectors(&[3]), NOON).await.unwrap();
    home.store.undelete(&path("a"), selectors(&[3]), NOON).await.unwrap();
    home.store.close().await.unwrap();
    let home = home.tamper(&format!(
        "ATTACH '{}' AS earlier;
         REPLACE INTO main.versions SELECT * FROM earlier.versions WHERE path = 'a' AND version = 3;",
        earlier.display()
    ));
    home.assert_version_refused(3, "an earlier encryption");
}

#[tokio::test]
async fn a_path_put_back_from_an_earlier_copy_revives_nothing() {
    let home = in_file(options());
    for name in ["a", "b"] {
        home.put(name, &format!("{name} one")).await;
        home.put(name, &format!("{name} two")).await;
        home.put(name, &format!("{name} three")).await;
    }
    let home = home.reopened().await;
    let earlier = home.directory().join("earlier.db");
    std::fs::copy(home.file(), &earlier).unwrap();
    home.store.delete(&path("a"), selectors(&[3]), NOON).await.unwrap();
    home.store.close().await.unwrap();
    let home = home.tamper(&format!(
        "ATTACH '{}' AS earlier;
         REPLACE INTO main.secrets SELECT * FROM earlier.secrets WHERE path = 'a';",
        earlier.display()
    ));
    home.assert_version_refused(3, "path put back");
}

#[tokio::test]
async fn a_path_that_was_changed_in_any_way_is_refused_by_name() {
    for change in [
        "last_version = last_version + 1",
        "last_version = 2",
        "max_versions = 1",
        "max_versions = 0",
        "max_versions = 99999999999",
        "created = created - 1",
        "updated = updated + 1",
        "key_number = 7",
        "nonce = zeroblob(12)",
        "ciphertext = substr(ciphertext, 38)",
        "ciphertext = x''",
        "(nonce, ciphertext) = (SELECT nonce, ciphertext FROM secrets WHERE path = 'b')",
        "(last_version, max_versions, created, updated, key_number, nonce, ciphertext) =
         (SELECT last_version, max_versions, created, updated, key_number, nonce, ciphertext
            FROM secrets WHERE path = 'b')",
    ] {
        let home = stored().await;
        let home = home.tamper(&format!("UPDATE secrets SET {change} WHERE path = 'a'"));
        home.assert_path_refused(change);
        let put = home.store.put(&path("a"), value("x"), NOON).await;
        assert!(matches!(put, Err(StoreError::Tampered { .. })), "{change}: {put:?}");
    }
}

#[tokio::test]
async fn a_path_whose_row_was_removed_or_renamed_is_refused_and_cannot_be_begun_anew() {
    for sql in
        ["DELETE FROM secrets WHERE path = 'a'", "UPDATE secrets SET path = 'c' WHERE path = 'a'"]
    {
        let home = stored().await.tamper(sql);
        home.assert_path_refused(sql);
        let put = home.store.put(&path("a"), value("x"), NOON).await;
        assert!(matches!(put, Err(StoreError::Tampered { .. })), "{sql}: {put:?}");
    }
}

#[tokio::test]
async fn a_copied_path_is_refused_under_its_new_name() {
    let home = stored().await.tamper(
        "INSERT INTO secrets SELECT 'c', last_version, max_versions, created, updated, key_number,
            nonce, ciphertext FROM secrets WHERE path = 'a';
         INSERT INTO versions SELECT 'c', version, created, deleted, key_number, nonce, ciphertext
            FROM versions WHERE path = 'a';",
    );
    assert_eq!(home.refused("c", 0), Some(("secrets", "c".to_owned(), None)));
    assert_eq!(home.get("a", 0).as_deref(), Some("a three"));
    home.assert_b_readable("copied");
}

#[tokio::test]
async fn names_that_are_no_text_do_not_keep_the_others_from_being_listed() {
    let home = stored().await.tamper(
        "UPDATE secrets SET path = CAST(x'ff' AS TEXT) WHERE path = 'a';
         UPDATE policies SET name = CAST(x'ff' AS TEXT) WHERE name = 'a';",
    );
    assert_eq!(home.store.list("", None, 10).unwrap(), ["b"]);
    assert_eq!(home.store.policy_names().unwrap(), ["b"]);
    let set = home.store.policies().unwrap();
    // The row without a name, and the policy that is missing.
    assert_eq!((set.policies.len(), set.refused.len()), (1, 2));
    home.assert_b_readable("no text");
}

#[tokio::test]
async fn a_version_that_was_slipped_in_is_not_there() {
    let home = stored().await.tamper(
        "INSERT INTO versions SELECT 'a', 4, created, deleted, key_number, nonce, ciphertext
            FROM versions WHERE path = 'a' AND version = 3",
    );
    assert_eq!(home.get("a", 4), None);
    assert_eq!(home.get("a", 0).as_deref(), Some("a three"));
    assert_eq!(home.put("a", "four").await, 4);
    assert_eq!(home.get("a", 4).as_deref(), Some("four"));
}

#[tokio::test]
async fn a_store_whose_keyring_or_identity_was_changed_is_refused_at_opening() {
    for (table, sql) in [
        ("keyring", "UPDATE keyring SET created = 1"),
        ("keyring", "UPDATE keyring SET reserved = 1"),
        ("keyring", "UPDATE keyring SET number = 2"),
        ("keyring", "UPDATE keyring SET key_number = 2"),
        ("keyring", "UPDATE keyring SET wrapped = zeroblob(48)"),
        ("keyring", "UPDATE keyring SET wrapped_nonce = x''"),
        ("keyring", "UPDATE keyring SET ciphertext = zeroblob(16)"),
        ("keyring", "DELETE FROM keyring"),
        (
            "keyring",
            "INSERT INTO keyring SELECT 2, created, reserved, wrapped_nonce, wrapped, 2,
                        nonce, ciphertext FROM keyring",
        ),
        ("keyring", "UPDATE store SET active_key = 2"),
        ("store", "UPDATE store SET policy_epoch = 1"),
        ("store", "UPDATE store SET created = 1"),
        ("store", "UPDATE store SET generation = 2"),
        ("store", "UPDATE store SET shares = 5, threshold = 3"),
        ("store", "UPDATE store SET shares = 5"),
        ("store", "UPDATE store SET root_key_fingerprint = zeroblob(8)"),
        ("store", "UPDATE store SET ciphertext = x''"),
        ("store", "UPDATE store SET active_key = -1"),
        ("store", "DELETE FROM store"),
    ] {
        let home = stored().await;
        Connection::open(home.file()).unwrap().execute_batch(sql).unwrap();
        let Fixture { store, directory, options } = home;
        drop(store);
        let place = Home::File(directory.as_ref().unwrap().path().to_owned());
        let error = Store::open_or_create(&place, &root_key(1), &options, NOON).unwrap_err();
        let named = matches!(&error, StoreError::Tampered { table: named, .. } if *named == table);
        assert!(named, "{sql}: {error:?}");
    }
}

#[tokio::test]
async fn tables_that_were_altered_are_refused_at_opening() {
    for sql in [
        "CREATE TRIGGER t AFTER INSERT ON versions BEGIN DELETE FROM versions; END",
        "CREATE VIEW v AS SELECT 1",
        "CREATE TABLE extra (x)",
        "DROP TABLE policies",
        "ALTER TABLE versions ADD COLUMN extra ANY",
    ] {
        let home = stored().await;
        Connection::open(home.file()).unwrap().execute_batch(sql).unwrap();
        let Fixture { store, directory, options } = home;
        drop(store);
        let place = Home::File(directory.as_ref().unwrap().path().to_owned());
        let error = Store::open_or_create(&place, &root_key(1), &options, NOON).unwrap_err();
        assert!(matches!(error, StoreError::Altered { .. }), "{sql}: {error:?}");
    }
}

// A page of ciphertext that changed on the disk without SQLite noticing.
#[tokio::test]
async fn one_flipped_bit_spoils_one_row_only() {
    let home = stored().await;
    let file = home.file();
    let nonce: Vec<u8> = Connection::open(&file)
        .unwrap()
        .query_row(
            "SELECT nonce FROM versions WHERE path = ?1 AND version = ?2",
            params!["a", 3],
            |row| row.get(0),
        )
        .unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    let at = bytes.windows(nonce.len()).position(|window| window == nonce).unwrap();
    bytes[at + nonce.len() + 2] ^= 0x10;
    std::fs::write(&file, bytes).unwrap();
    home.opened_again().assert_version_refused(3, "flipped");
}

/// Every value was read before anybody knew its length.
#[tokio::test]
async fn of_a_value_above_the_limit_of_a_read_only_the_length_is_read() {
    const LENGTH: usize = 100_000;
    let home = in_file(options());
    home.store.put(&path("a"), Zeroizing::new(vec![b'x'; LENGTH]), NOON).await.unwrap();
    let mut out = Vec::new();
    for _ in 0..2 {
        let got = home.store.get_up_to(&path("a"), Selector::Current, LENGTH - 1, &mut out);
        assert_eq!(got.unwrap(), Got::Longer(LENGTH), "in the file, and in the cache");
        assert!(out.is_empty());
        assert!(home.store.get(&path("a"), Selector::Current).unwrap().is_some());
    }
    let got = home.store.get_up_to(&path("a"), Selector::Number(1), LENGTH, &mut out);
    assert_eq!((got.unwrap(), out.len()), (Got::Value, LENGTH));
    home.store.close().await.unwrap();
    let home = home.tamper("UPDATE versions SET ciphertext = zeroblob(length(ciphertext))");
    let got = home.store.get_up_to(&path("a"), Selector::Current, LENGTH - 1, &mut out);
    assert_eq!(got.unwrap(), Got::Longer(LENGTH), "nothing of the ciphertext was looked at");
    let value = home.store.stored_value(&path("a"), Selector::Current).unwrap().unwrap();
    let refused = value.open_to(&mut vec![0; value.plaintext_len()]);
    assert!(matches!(refused, Err(StoreError::Tampered { .. })), "{refused:?}");
}
