//! An import preserves the content.

use super::*;

// Every form that upstream has ever written, including the one between releases.
#[test]
fn each_generation_comes_in_with_equal_contents() {
    for generation in
        [Generation::Current, Generation::Between, Generation::V0_8_0, Generation::V0_5_0]
    {
        let directory = Upstream::filled(generation).left();
        let before = originals(directory.path());
        let (store, report) = imported(directory.path());
        assert_eq!(report.generation, generation);
        assert_eq!((report.secrets, report.versions, report.policies), (2, 3, 2));
        assert_eq!(report.refused, [], "{generation}");
        assert_eq!(report.changed, [], "{generation}");

        assert_eq!(names(&store), ["app/db", "web"]);
        let put = SECOND * NANOS + 18_713_996;
        let history = store.metadata(&path("app/db")).unwrap().unwrap();
        assert_eq!(
            history.versions(),
            [
                Version { number: 1, created: put, deleted: Some((SECOND + 1) * NANOS + 1) },
                Version { number: 2, created: put, deleted: None },
            ]
        );
        assert_eq!(history.current().map(|version| version.number), Some(2));
        assert_eq!(history.oldest().map(|version| version.number), Some(2));
        assert_eq!(history.max_versions().get(), 7);
        assert_eq!(history.created(), SECOND * NANOS);
        assert_eq!(history.updated(), (SECOND + 60) * NANOS);
        assert_eq!(get(&store, "app/db", 1), None);
        let value = r#"{"password":"two","user":"admin"}"#;
        assert_eq!(get(&store, "app/db", 2).as_deref(), Some(value));
        assert_eq!(get(&store, "web", 0).as_deref(), Some("{\"v\":\"caf\u{e9}\"}"));

        let policy = store.policy("web-read").unwrap().unwrap();
        assert_eq!(policy.text.spiffe_id_pattern, r"^spiffe://example\.org/web$");
        assert_eq!(policy.text.path_pattern, "^app/.*$");
        assert_eq!(policy.text.permissions, ["read", "list"]);
        assert_eq!(policy.updated, (SECOND + 5) * NANOS);
        let created = if generation == Generation::V0_5_0 { SECOND + 5 } else { SECOND };
        assert_eq!(policy.created, created * NANOS);
        assert_eq!(store.policy_names().unwrap(), ["all", "web-read"]);
        assert_eq!(originals(directory.path()), before, "{generation}");
    }
}

#[tokio::test]
async fn a_deleted_version_can_be_revived_with_its_value() {
    let directory = Upstream::filled(Generation::Current).left();
    let (store, _) = imported(directory.path());
    assert!(store.undelete(&path("app/db"), selectors(&[1]), NOON).await.unwrap());
    assert_eq!(get(&store, "app/db", 1).as_deref(), Some(r#"{"password":"p\u003c1\u003e"}"#));
}

// crypto-and-storage, appendix A: bytes that upstream has written.
#[tokio::test]
async fn rows_that_upstream_itself_wrote_come_in() {
    let upstream = Upstream::new(Generation::Current);
    upstream.execute(include_str!("appendix_a.sql"));
    let directory = upstream.left();
    let key: Vec<u8> = (1..=32).collect();
    let key = RootKey::from_bytes(key.as_slice().try_into().unwrap()).unwrap();
    let store = open_with(directory.path(), &key, NOON).unwrap();
    let Import::Done(report) = store.import() else { panic!("{:?}", store.import()) };
    assert_eq!((report.secrets, report.versions, report.policies), (1, 2, 1));
    assert_eq!((report.refused.len(), report.changed.len()), (0, 0));

    let history = store.metadata(&path("app/db")).unwrap().unwrap();
    let version = |number, created, deleted: Option<i64>| Version {
        number,
        created: SECOND * NANOS + created,
        deleted: deleted.map(|nanos| SECOND * NANOS + nanos),
    };
    assert_eq!(
        history.versions(),
        [version(1, 18_713_996, Some(19_719_622)), version(2, 19_382_071, None)]
    );
    assert_eq!((history.created(), history.updated()), (SECOND * NANOS, SECOND * NANOS));
    assert_eq!(history.max_versions().get(), 10);
    let second = r#"{"password":"two","user":"admin"}"#;
    assert_eq!(get(&store, "app/db", 0).as_deref(), Some(second));
    let policy = store.policy("web-read").unwrap().unwrap();
    assert_eq!(policy.text.spiffe_id_pattern, r"^spiffe://example\.org/web$");
    assert_eq!(policy.text.path_pattern, "^app/.*$");
    assert_eq!(policy.text.permissions, ["read", "list"]);

    assert!(store.undelete(&path("app/db"), selectors(&[1]), NOON).await.unwrap());
    let first = r#"{"password":"p\u003c1\u003e\u0026","user":"admin"}"#;
    assert_eq!(get(&store, "app/db", 1).as_deref(), Some(first));
}

// F28.
#[test]
fn a_version_without_values_comes_in_with_an_empty_set() {
    let mut upstream = Upstream::new(Generation::Current);
    upstream.version("p", 1, "null", "2026-11-22 03:34:19+00:00", None);
    upstream.metadata("p", Metadata::with_current(1));
    let directory = upstream.stopped();
    let (store, report) = imported(directory.path());
    assert_eq!(get(&store, "p", 1).as_deref(), Some("{}"));
    assert_eq!(report.refused, []);
}

// F8: upstream never erases a version. The first put erased those beyond the limit, which upstream still served.
#[tokio::test]
async fn versions_beyond_the_limit_come_in_and_are_kept_beside_those_that_are_put_since() {
    let mut upstream = Upstream::new(Generation::V0_8_0);
    for number in 1..=6 {
        upstream.live("p", number, "x");
    }
    upstream.metadata("p", Metadata { oldest: 4, max: 3, ..Metadata::with_current(6) });
    let directory = upstream.stopped();
    let (store, report) = imported(directory.path());
    assert_eq!(report.versions, 6);
    assert_eq!(numbers(&store, "p"), [1, 2, 3, 4, 5, 6]);
    assert!(get(&store, "p", 1).is_some());
    for number in 7..=10 {
        assert_eq!(store.put(&path("p"), value("{}"), NOON).await.unwrap(), number);
    }
    // The limit of 3 counts versions that were put later.
    assert_eq!(numbers(&store, "p"), [1, 2, 3, 4, 5, 6, 8, 9, 10]);
    assert!(get(&store, "p", 1).is_some());
    store.close().await.unwrap();
    drop(store);

    let options = Options { prune_imported: true, ..Options::default() };
    let home = Home::File(directory.path().to_owned());
    let store = Store::open_or_create(&home, &root_key(1), &options, NOON).unwrap();
    assert_eq!(numbers(&store, "p").len(), 9);
    store.put(&path("p"), value("{}"), NOON).await.unwrap();
    assert_eq!(numbers(&store, "p"), [9, 10, 11]);
}

// F6: upstream would overwrite version 3, whose value can still be undeleted.
#[tokio::test]
async fn a_put_after_the_import_never_gets_the_number_of_a_deleted_version() {
    let mut upstream = Upstream::new(Generation::Current);
    upstream.live("p", 1, "one");
    upstream.live("p", 2, "two");
    let at = "2026-11-22 03:34:19+00:00";
    upstream.version("p", 3, r#"{"v":"three"}"#, at, Some(at));
    upstream.metadata("p", Metadata::with_current(2));
    let directory = upstream.stopped();
    let (store, _) = imported(directory.path());
    assert_eq!(store.put(&path("p"), value("{}"), NOON).await.unwrap(), 4);
    assert!(store.undelete(&path("p"), selectors(&[3]), NOON).await.unwrap());
    assert_eq!(get(&store, "p", 3).as_deref(), Some(r#"{"v":"three"}"#));
}

#[test]
fn a_path_whose_versions_are_all_deleted_and_one_without_versions_are_listed() {
    let mut upstream = Upstream::new(Generation::Current);
    upstream.live("live", 1, "x");
    upstream.metadata("live", Metadata::with_current(1));
    let at = "2026-11-22 03:34:19+00:00";
    upstream.version("deleted", 1, "{}", at, Some(at));
    upstream.metadata("deleted", Metadata { oldest: 0, ..Metadata::with_current(0) });
    upstream.metadata("none", Metadata { oldest: 0, ..Metadata::with_current(0) });
    let directory = upstream.stopped();
    let (store, report) = imported(directory.path());
    assert_eq!((report.secrets, report.versions), (3, 2));
    assert_eq!(names(&store), ["deleted", "live", "none"]);
    assert_eq!(get(&store, "deleted", 0), None);
    assert_eq!(get(&store, "none", 0), None);
}

// Q-44: such a path cannot be put, but it can be read and deleted.
#[test]
fn a_secret_under_a_reserved_name_comes_in() {
    let mut upstream = Upstream::new(Generation::Current);
    upstream.live("spike/system/acl", 1, "x");
    upstream.metadata("spike/system/acl", Metadata::with_current(1));
    let directory = upstream.stopped();
    let (store, _) = imported(directory.path());
    assert!(get(&store, "spike/system/acl", 0).is_some());
}

#[tokio::test]
async fn policies_that_we_would_refuse_come_in_as_they_are_and_can_be_deleted() {
    let mut upstream = Upstream::new(Generation::Current);
    let odd = "caf\u{e9}, \"quoted\"";
    upstream.policy("", odd, ["(unclosed", "a**", "read, wrong ,,super"], SECOND);
    upstream.policy("", "none", [".*", ".*", ""], SECOND);
    let directory = upstream.stopped();
    let (store, report) = imported(directory.path());
    assert_eq!((report.policies, report.refused.len()), (2, 0));
    let policy = store.policy(odd).unwrap().unwrap();
    assert_eq!(policy.text.spiffe_id_pattern, "(unclosed");
    assert_eq!(policy.text.path_pattern, "a**");
    assert_eq!(policy.text.permissions, ["read", "wrong", "super"]);
    assert!(store.policy("none").unwrap().unwrap().text.permissions.is_empty());
    assert!(store.delete_policy(odd, NOON).await.unwrap());
}

// Cached policies are valid for one epoch.
#[test]
fn an_import_moves_the_policy_epoch() {
    let directory = Upstream::filled(Generation::Current).stopped();
    let empty = tempfile::tempdir().unwrap();
    let (with, without) = (imported(directory.path()).0, open(empty.path()).unwrap());
    assert!(with.policy_epoch() > without.policy_epoch());
    assert_eq!(with.policies().unwrap().epoch, with.policy_epoch());
}

#[test]
fn neither_values_nor_patterns_are_in_the_files_afterwards() {
    let mut upstream = Upstream::new(Generation::Current);
    upstream.live("p", 1, "PLANTED-VALUE");
    upstream.metadata("p", Metadata::with_current(1));
    upstream.policy("", "q", ["PLANTED-PATTERN", ".*", "read"], SECOND);
    let directory = upstream.left();
    let (store, _) = imported(directory.path());
    let running = files(directory.path());
    drop(store);
    for (file, bytes) in running.iter().chain(&files(directory.path())) {
        let planted = bytes.0.windows(8).any(|window| window == b"PLANTED-");
        assert!(!planted, "{}", file.display());
    }
}
