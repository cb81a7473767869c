//! Databases that released programs wrote, two for each schema. They are in `tests/fixtures/store`, beside a text of what they
//! must answer. They are made once and never again: [`make`] refuses to replace a file.

use std::fmt::Write as _;
use std::fs;

use spike_crypto::Quorum;

use super::import::files_with_upstream_data;
use super::*;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/store");

/// Every schema that was ever released, and the two databases of each.
const SCHEMAS: [i64; 2] = [1, 2];
const KINDS: [&str; 2] = ["plain", "imported"];

/// Few encryptions for each data key, so that the rows are under several.
const ENCRYPTIONS_PER_KEY: u64 = 9;

pub(super) fn fixture(schema: i64, kind: &str, ending: &str) -> PathBuf {
    Path::new(FIXTURES).join(format!("schema-{schema}-{kind}.{ending}"))
}

/// A copy of a golden database, opened.
fn opened(schema: i64, kind: &str) -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    fs::copy(fixture(schema, kind, "db"), directory.path().join("nexus.db")).unwrap();
    let options = Options { max_versions: NonZeroU32::new(3).unwrap(), ..options() };
    let home = Home::File(directory.path().to_owned());
    let store = Store::open_or_create(&home, &root_key(1), &options, NOON + 60 * MINUTE).unwrap();
    Fixture { store, directory: Some(directory), options }
}

/// Everything that a store answers, as text.
fn answers(store: &Store) -> String {
    let mut text = String::new();
    for name in store.list("", None, usize::MAX).unwrap() {
        let history = store.metadata(&path(&name)).unwrap().unwrap();
        let current = store.get(&path(&name), Selector::Current).unwrap();
        writeln!(
            text,
            "secret {name} last={} max={} created={} updated={} current={:?}",
            history.last_version(),
            history.max_versions(),
            history.created(),
            history.updated(),
            current.map(|value| String::from_utf8(value.to_vec()).unwrap())
        )
        .unwrap();
        for version in history.versions() {
            let value = store.get(&path(&name), Selector::from(version.number)).unwrap();
            let value = value.map(|value| String::from_utf8(value.to_vec()).unwrap());
            writeln!(
                text,
                "  version {} created={} deleted={:?} value={value:?}",
                version.number, version.created, version.deleted
            )
            .unwrap();
        }
    }
    let set = store.policies().unwrap();
    writeln!(text, "policies epoch={} refused={}", set.epoch, set.refused.len()).unwrap();
    for policy in set.policies {
        let single = store.policy(&policy.name).unwrap();
        assert_eq!(single.as_ref(), Some(&policy));
        writeln!(text, "  {policy:?}").unwrap();
    }
    writeln!(text, "names={:?}", store.policy_names().unwrap()).unwrap();
    writeln!(text, "export={:?}", store.last_export().unwrap()).unwrap();
    writeln!(text, "import={:?}", store.import_record().unwrap()).unwrap();
    let stats = store.stats().unwrap();
    writeln!(text, "paths={} versions={} policies={}", stats.paths, stats.versions, stats.policies)
        .unwrap();
    text
}

/// The content of every golden database.
async fn fill(store: &Store) {
    let put = async |name: &str, text: &str, now| {
        store.put(&path(name), value(text), now).await.unwrap();
    };
    for (at, text) in (0..).zip(["one", "two", "three"]) {
        put("app/db", &format!("{{\"password\":\"{text}\"}}"), NOON + at).await;
    }
    store.delete(&path("app/db"), selectors(&[2]), NOON + MINUTE).await.unwrap();
    for number in 1..=6 {
        put("app/pruned", &format!("{{\"number\":\"{number}\"}}"), NOON + number * MINUTE).await;
    }
    store.delete(&path("app/pruned"), selectors(&[4, 5]), NOON + 7 * MINUTE).await.unwrap();
    for text in ["{\"a\":\"1\"}", "{\"a\":\"2\"}"] {
        put("app/gone", text, NOON).await;
    }
    store.delete(&path("app/gone"), selectors(&[1, 2]), NOON + MINUTE).await.unwrap();
    put("app/revived", "{\"b\":\"1\"}", NOON).await;
    store.delete(&path("app/revived"), selectors(&[1]), NOON + MINUTE).await.unwrap();
    store.undelete(&path("app/revived"), selectors(&[1]), NOON + 2 * MINUTE).await.unwrap();
    put("empty", "{}", NOON).await;
    put("large", &format!("{{\"text\":\"{}\"}}", "0123456789".repeat(600)), NOON).await;
    for (name, word) in [("web", "read"), ("batch", "write"), ("old", "list"), ("web", "super")] {
        let text = PolicyText {
            spiffe_id_pattern: format!("^spiffe://example\\.org/{name}/.*$"),
            path_pattern: "^app/.*$".to_owned(),
            permissions: vec![word.to_owned(), "read".to_owned()],
        };
        store.put_policy(name, text, NOON).await.unwrap();
    }
    store.delete_policy("old", NOON).await.unwrap();
    store.note_export(NOON + 9 * MINUTE).await.unwrap();
}

#[test]
fn a_database_of_every_released_schema_opens_and_answers_as_recorded() {
    for schema in SCHEMAS {
        for kind in KINDS {
            let recorded = fs::read_to_string(fixture(schema, kind, "txt")).unwrap();
            assert_eq!(answers(&opened(schema, kind).store), recorded, "schema {schema}, {kind}");
        }
    }
}

#[tokio::test]
async fn a_database_of_every_released_schema_can_be_written_closed_and_opened_again() {
    for schema in SCHEMAS {
        let home = opened(schema, "plain");
        let before = answers(&home.store);
        let home = home.reopened().await;
        assert_eq!(answers(&home.store), before, "schema {schema}");
        assert_eq!(home.put("app/db", "four").await, 4);
        assert_eq!(home.numbers("app/db"), [2, 3, 4]);
        assert_eq!(home.put("app/gone", "three").await, 3);
        assert!(home.store.undelete(&path("app/gone"), selectors(&[2]), NOON).await.unwrap());
        assert!(home.store.delete_policy("web", NOON).await.unwrap());
        let home = home.reopened().await;
        assert_eq!(home.get("app/gone", 2).as_deref(), Some("{\"a\":\"2\"}"));
        assert_eq!(home.get("app/gone", 1), None);
        let set = home.store.policies().unwrap();
        assert_eq!(set.policies.iter().map(|policy| &policy.name).collect::<Vec<_>>(), ["batch"]);
        assert!(set.refused.is_empty());
    }
}

#[test]
fn a_database_of_every_released_schema_is_refused_under_another_key_and_left_as_it_is() {
    for schema in SCHEMAS {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("nexus.db");
        let bytes = fs::read(fixture(schema, "plain", "db")).unwrap();
        fs::write(&file, &bytes).unwrap();
        let home = Home::File(directory.path().to_owned());
        let error = Store::open_or_create(&home, &root_key(2), &options(), NOON).unwrap_err();
        assert!(matches!(error, StoreError::WrongRootKey { .. }), "{error}");
        assert_eq!(fs::read(&file).unwrap(), bytes, "schema {schema}");
    }
}

#[test]
fn the_golden_database_of_schema_2_records_how_the_root_key_is_split() {
    for kind in KINDS {
        let record = opened(2, kind).store.root_key_record().unwrap();
        assert_eq!((record.generation, record.quorum), (1, Some(Quorum::new(3, 2).unwrap())));
    }
}

#[tokio::test]
#[ignore = "makes the golden databases of a new schema, once: cargo test golden::make -- --ignored"]
async fn make() {
    let schema = *SCHEMAS.last().unwrap();
    for kind in KINDS {
        let directory = match kind {
            "imported" => files_with_upstream_data(),
            _ => tempfile::tempdir().unwrap(),
        };
        let home = Home::File(directory.path().to_owned());
        let quorum = Some(Quorum::new(3, 2).unwrap());
        let options = Options { max_versions: NonZeroU32::new(3).unwrap(), quorum, ..options() };
        let limit = ENCRYPTIONS_PER_KEY;
        let store = Store::open_with_key_limit(
            &home,
            &root_key(1),
            &options,
            opening_at(&home),
            limit,
            NOON,
        )
        .unwrap();
        fill(&store).await;
        let text = answers(&store);
        store.close().await.unwrap();
        for ending in ["db", "txt"] {
            assert!(!fixture(schema, kind, ending).exists(), "a golden file is never made again");
        }
        fs::copy(directory.path().join("nexus.db"), fixture(schema, kind, "db")).unwrap();
        fs::write(fixture(schema, kind, "txt"), text).unwrap();
    }
}
