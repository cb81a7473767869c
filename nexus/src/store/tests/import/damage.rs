//! Rows that were altered or make no sense: left out or corrected, each by name.

use super::*;

/// Three paths with one version each, and a policy.
fn three() -> Upstream {
    let mut upstream = Upstream::new(Generation::Current);
    for name in ["a", "b", "c"] {
        upstream.live(name, 1, name);
        upstream.metadata(name, Metadata::with_current(1));
    }
    upstream.policy("", "q", [".*", ".*", "read"], SECOND);
    upstream
}

// More than half of the rows sufficed: the rest was left out, and only the log said so.
#[test]
fn rows_that_would_be_left_out_stop_the_import_with_a_list_until_an_operator_goes_on_without_them()
{
    let mut upstream = Upstream::new(Generation::Current);
    for number in 0..250 {
        let name = format!("p{number:03}");
        upstream.live(&name, 1, &name);
        upstream.metadata(&name, Metadata::with_current(1));
    }
    upstream.execute(&format!("UPDATE secrets SET encrypted_data = {FLIP} WHERE path < 'p120'"));
    let directory = upstream.stopped();
    let before = files(directory.path());
    let error = open(directory.path()).unwrap_err();
    let StoreError::ImportIncomplete { count, first, .. } = &error else { panic!("{error}") };
    assert_eq!((*count, first.len()), (120, 100));
    assert_eq!(first[0], "secrets \"p000 version 1\": it does not decrypt under the root key");
    let told = error.to_string();
    for part in ["120 rows", "spike.db", "p000", "SPIKE_NEXUS_IMPORT_WITH_LOSSES=true"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(files(directory.path()), before, "something was written");

    let (store, report) = imported(directory.path());
    assert_eq!((report.versions, report.refused.len()), (130, 120));
    let told = store.import_check().unwrap_err();
    assert!(told.contains("120 rows were left out of upstream's database"), "{told}");
    assert_eq!(store.import_record().unwrap().unwrap().refused, 120);
}

/// The check passed after one restart, although the rows were still nowhere else.
#[test]
fn rows_that_were_left_out_are_told_at_every_start_until_the_file_is_moved_away() {
    let upstream = three();
    upstream.execute(&format!("UPDATE secrets SET encrypted_data = {FLIP} WHERE path = 'a'"));
    let directory = upstream.stopped();
    drop(imported(directory.path()));
    for _ in 0..2 {
        let store = open(directory.path()).unwrap();
        assert!(matches!(store.import(), Import::Earlier(_)));
        let told = store.import_check().unwrap_err();
        for part in ["1 row was left out", "when it was imported at 2027-01-15", "move spike.db"] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }
    let store = open(directory.path()).unwrap();
    std::fs::rename(directory.path().join("spike.db"), directory.path().join("kept")).unwrap();
    assert_eq!(store.import_check(), Ok(()));
}

/// An older version was served in its place, and no count included it.
#[tokio::test]
async fn a_current_version_that_is_not_there_stops_the_import_and_is_counted() {
    let mut upstream = three();
    upstream.live("a", 2, "two");
    upstream.execute("DELETE FROM secret_metadata WHERE path = 'a'");
    upstream.metadata("a", Metadata::with_current(3));
    let directory = upstream.stopped();
    let error = open(directory.path()).unwrap_err();
    assert!(matches!(error, StoreError::ImportIncomplete { count: 1, .. }), "{error}");
    let (store, report) = imported(directory.path());
    let refused = "secrets \"a version 3\": it is the current version and is not there; an older \
                   one takes its place";
    assert_eq!(lines(&report.refused), [refused]);
    assert_eq!(report.changed, []);
    assert_eq!(get(&store, "a", 0).as_deref(), Some(r#"{"v":"two"}"#));
    // Its number is not reused.
    assert_eq!(store.put(&path("a"), value("{}"), NOON).await.unwrap(), 4);
}

/// It was imported, and no report said that it allows nothing.
#[test]
fn a_policy_that_does_not_do_what_it_says_stops_the_import_and_comes_in_on_demand() {
    let directory = three().stopped();
    let home = Home::File(directory.path().to_owned());
    let judge_policy: JudgePolicy = |policy| Err(format!("{:?} is no word", policy.permissions));
    let options = Options { judge_policy, ..options() };
    let error = Store::open_or_create(&home, &root_key(1), &options, NOON).unwrap_err();
    assert!(matches!(error, StoreError::ImportIncomplete { count: 1, .. }), "{error}");
    assert!(error.to_string().contains("allows nothing here"), "{error}");
    let options = Options { import_with_losses: true, ..options };
    let store = Store::open_or_create(&home, &root_key(1), &options, NOON).unwrap();
    assert_eq!(store.import_record().unwrap().unwrap().refused, 1);
    assert!(store.import_check().is_err());
    assert_eq!(store.policy_names().unwrap(), ["q"]);
}

const FLIP: &str = "zeroblob(length(encrypted_data))";

#[test]
fn a_tampered_row_is_left_out_by_name_and_the_others_come_in() {
    let swap = "UPDATE secrets SET encrypted_data =
        (SELECT encrypted_data FROM secrets WHERE path = 'b') WHERE path = 'a'";
    for (sql, refused) in [
        (
            format!("UPDATE secrets SET encrypted_data = {FLIP} WHERE path = 'a'"),
            "secrets \"a version 1\": it does not decrypt under the root key",
        ),
        (swap.to_owned(), "secrets \"a version 1\": it does not decrypt under the root key"),
        (
            "UPDATE secrets SET encrypted_data = x'' WHERE path = 'a'".to_owned(),
            "secrets \"a version 1\": it does not decrypt under the root key",
        ),
        (
            "UPDATE secrets SET nonce = x'00' WHERE path = 'a'".to_owned(),
            "secrets \"a version 1\": its nonce does not have 12 bytes",
        ),
        (
            "UPDATE secrets SET version = 0 WHERE path = 'a'".to_owned(),
            "secrets \"a version 0\": its version number cannot be one",
        ),
        (
            "UPDATE secrets SET version = 'x' WHERE path = 'a'".to_owned(),
            "secrets \"a version x\": its version number cannot be one",
        ),
    ] {
        let upstream = three();
        upstream.execute(&sql);
        let directory = upstream.stopped();
        let (store, report) = imported(directory.path());
        assert_eq!(lines(&report.refused), [refused], "{sql}");
        assert_eq!((report.secrets, report.versions, report.policies), (3, 2, 1), "{sql}");
        assert_eq!(get(&store, "a", 0), None, "{sql}");
        assert_eq!(get(&store, "b", 0).as_deref(), Some(r#"{"v":"b"}"#), "{sql}");
        assert_eq!(get(&store, "c", 0).as_deref(), Some(r#"{"v":"c"}"#), "{sql}");
    }
}

#[test]
fn a_tampered_policy_is_left_out_by_name_and_the_others_come_in() {
    for column in ["encrypted_spiffe_id_pattern", "encrypted_path_pattern", "encrypted_permissions"]
    {
        let mut upstream = three();
        upstream.policy("", "r", [".*", "a+", "super"], SECOND);
        upstream.execute(&format!(
            "UPDATE policies SET {column} = zeroblob(length({column})) WHERE name = 'q'"
        ));
        let directory = upstream.stopped();
        let (store, report) = imported(directory.path());
        let refused = "policies \"q\": it does not decrypt under the root key";
        assert_eq!(lines(&report.refused), [refused], "{column}");
        assert_eq!(store.policy_names().unwrap(), ["r"], "{column}");
    }
}

// The values are worth more than the limit and the times.
#[tokio::test]
async fn versions_of_a_path_whose_own_row_was_tampered_with_come_in() {
    for column in ["encrypted_oldest_version", "encrypted_max_versions", "nonce"] {
        let mut upstream = three();
        for number in 2..=12 {
            upstream.live("a", number, "more");
        }
        upstream.execute(&format!(
            "UPDATE secret_metadata SET {column} = zeroblob(12) WHERE path = 'a'"
        ));
        let directory = upstream.stopped();
        let (store, report) = imported(directory.path());
        let refused = "secret_metadata \"a\": it does not decrypt under the root key";
        assert_eq!(lines(&report.refused), [refused]);
        assert_eq!(report.versions, 14);
        let history = store.metadata(&path("a")).unwrap().unwrap();
        assert_eq!(history.created(), SECOND * NANOS);
        // Not lower than the number of versions, so the next put erases none of them.
        assert_eq!(history.max_versions().get(), 12);
        assert_eq!(store.put(&path("a"), value("{}"), NOON).await.unwrap(), 13);
        assert_eq!(numbers(&store, "a").len(), 13);
    }
}

// Otherwise a new value under that number could be taken for the lost one.
#[tokio::test]
async fn the_number_of_a_version_that_was_left_out_is_not_used_again() {
    let mut upstream = three();
    upstream.live("a", 2, "two");
    upstream.execute(&format!(
        "UPDATE secrets SET encrypted_data = {FLIP} WHERE path = 'a' AND version = 2"
    ));
    let directory = upstream.stopped();
    let (store, _) = imported(directory.path());
    assert_eq!(get(&store, "a", 0).as_deref(), Some(r#"{"v":"a"}"#));
    assert_eq!(store.put(&path("a"), value("{}"), NOON).await.unwrap(), 3);
}

#[test]
fn content_that_is_no_set_of_named_texts_is_left_out_by_name() {
    for json in ["", "[]", r#"{"v":1}"#, r#"{"v":"x""#, "\"v\"", "\u{1}"] {
        let mut upstream = three();
        upstream.version("a", 2, json, "2026-11-22 03:34:19+00:00", None);
        let directory = upstream.stopped();
        let (_store, report) = imported(directory.path());
        let refused =
            "secrets \"a version 2\": its content is not of the form that upstream writes";
        assert_eq!(lines(&report.refused), [refused], "{json}");
        assert_eq!(report.versions, 3, "{json}");
    }
}

#[test]
fn paths_that_can_be_no_path_are_left_out_with_their_versions() {
    let mut upstream = three();
    upstream.live("a b", 1, "x");
    upstream.live("a b", 2, "x");
    upstream.metadata("a b", Metadata::with_current(2));
    upstream.execute(
        "INSERT INTO secret_metadata SELECT x'00ff', nonce, x'', x'', x'', x'', x''
            FROM secret_metadata WHERE path = 'a';
         INSERT INTO secrets SELECT x'00ff', 1, nonce, encrypted_data, created_time, NULL
            FROM secrets WHERE path = 'a';",
    );
    let directory = upstream.stopped();
    let (store, report) = imported(directory.path());
    let character = "the path has a character that is not allowed, at byte 1";
    assert_eq!(
        lines(&report.refused),
        [
            format!("secret_metadata \"a b\": {character}"),
            format!("secrets \"a b version 1\": {character}"),
            format!("secrets \"a b version 2\": {character}"),
            r#"secret_metadata "\\x00\\xff": its name is no text"#.to_owned(),
            r#"secrets "\\x00\\xff version 1": no row of secret_metadata belongs to it"#.to_owned(),
        ]
    );
    assert_eq!(names(&store), ["a", "b", "c"]);
}

#[test]
fn versions_that_upstream_does_not_show_are_left_out_by_name() {
    let mut upstream = three();
    upstream.live("d", 1, "x");
    upstream.execute("DELETE FROM secret_metadata WHERE path = 'a'");
    let directory = upstream.stopped();
    let (store, report) = imported(directory.path());
    assert_eq!(
        lines(&report.refused),
        [
            "secrets \"a version 1\": no row of secret_metadata belongs to it",
            "secrets \"d version 1\": no row of secret_metadata belongs to it",
        ]
    );
    assert_eq!(names(&store), ["b", "c"]);
}

#[test]
fn times_and_limits_that_cannot_be_read_are_replaced_and_told() {
    let mut upstream = three();
    upstream.version("a", 2, "{}", "some day", None);
    upstream.version("a", 3, "{}", "2026-11-22", Some("0001-01-01 00:00:00+00:00"));
    upstream.execute("DELETE FROM secret_metadata WHERE path IN ('a', 'b')");
    upstream.metadata("a", Metadata { created: -62_135_596_800, ..Metadata::with_current(2) });
    upstream.metadata("b", Metadata { max: 0, ..Metadata::with_current(1) });
    let directory = upstream.stopped();
    let (store, report) = imported(directory.path());
    assert_eq!(report.refused, []);
    let mut changed = lines(&report.changed);
    changed.sort();
    assert_eq!(
        changed,
        [
            "secret_metadata \"a\": a time in it cannot be read and was replaced",
            "secret_metadata \"b\": its limit on versions cannot be read and was replaced",
            "secrets \"a version 2\": a time in it cannot be read and was replaced",
            "secrets \"a version 3\": a time in it cannot be read and was replaced",
        ]
    );
    let times: Vec<_> =
        versions(&store, "a").iter().map(|version| (version.created, version.deleted)).collect();
    let midnight = 1_795_305_600 * NANOS;
    assert_eq!(times, [(SECOND * NANOS, None), (0, None), (midnight, Some(0))]);
    assert_eq!(store.metadata(&path("b")).unwrap().unwrap().max_versions().get(), 10);
}

// Lost updates of upstream (F7) leave a current version that is not the highest live one.
#[test]
fn a_current_version_that_differs_is_told() {
    let mut upstream = three();
    upstream.live("a", 2, "two");
    let directory = upstream.stopped();
    let (store, report) = imported(directory.path());
    let changed = "secret_metadata \"a\": its current version was 1 and is 2, the highest one that \
                   is not deleted";
    assert_eq!(lines(&report.changed), [changed]);
    assert_eq!(get(&store, "a", 0).as_deref(), Some(r#"{"v":"two"}"#));
}

// 0.8.0 does not keep names unique.
#[test]
fn of_several_policies_with_one_name_the_one_that_changed_last_comes_in() {
    let mut upstream = Upstream::new(Generation::V0_8_0);
    upstream.policy("id-1", "q", [".*", "old", "super"], SECOND + 1);
    upstream.policy("id-2", "q", [".*", "new", "read"], SECOND + 3);
    upstream.policy("id-3", "q", [".*", "middle", "super"], SECOND + 2);
    upstream.policy("id-4", "other", [".*", "other", "read"], SECOND);
    let directory = upstream.stopped();
    let (store, report) = imported(directory.path());
    assert_eq!(store.policy("q").unwrap().unwrap().text.path_pattern, "new");
    assert_eq!(store.policy_names().unwrap(), ["other", "q"]);
    assert_eq!(
        lines(&report.refused),
        [
            "policies \"q (id id-3)\": a newer policy has the same name",
            "policies \"q (id id-1)\": a newer policy has the same name",
        ]
    );
    assert_eq!(report.policies, 2);
}

// Otherwise anybody who can write the file could grant everything without a key.
#[test]
fn policies_in_clear_are_left_out_by_name_and_the_secrets_come_in() {
    let directory = Upstream::filled(Generation::V0_4_3).left();
    let (store, report) = imported(directory.path());
    assert_eq!(report.generation, Generation::V0_4_3);
    assert_eq!((report.secrets, report.versions, report.policies), (2, 3, 0));
    let why = "its patterns are in clear, so nothing proves who wrote them; put it again";
    let refused = ["all", "web-read"].map(|name| format!("policies {name:?}: {why}"));
    assert_eq!(lines(&report.refused), refused);
    assert_eq!(report.changed, []);
    assert!(store.policy_names().unwrap().is_empty());
    assert_eq!(store.metadata(&path("app/db")).unwrap().unwrap().max_versions().get(), 10);
}
