//! Backups from the outside, and what somebody may do to the file of one.

mod load;
mod refused;
mod unfit;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use spike_crypto::{Derivation, Quorum, RootKey, split};
use spike_daemon::progress::Progress;
use spike_domain::{SecretPath, Selector};
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::*;
use crate::store::{Home, Options, PolicyText, Store};

const NOON: i64 = 1_800_000_000_000_000_000;
const SHARES: u16 = 4;
const THRESHOLD: u16 = 2;

/// A store that is open, a directory for backups, and one with recovery files.
struct Fixture {
    directory: TempDir,
    store: Store,
}

fn verify(file: &Path, shares: Option<&Path>, now: i64) -> Result<Report, BackupError> {
    super::verify(file, shares, &std::env::temp_dir(), now, &Progress::on_terminal())
}

fn back_up(directory: &Path, file: &Path, now: i64) -> Result<Manifest, BackupError> {
    super::back_up(directory, file, now, &Progress::on_terminal())
}

fn restore(file: &Path, directory: &Path, now: i64) -> Result<Manifest, BackupError> {
    super::restore(file, directory, now, &Progress::on_terminal())
}

fn root_key(fill: u8) -> RootKey {
    RootKey::from_bytes(&[fill; 32]).unwrap()
}

fn options() -> Options {
    Options { quorum: Some(Quorum::new(SHARES, THRESHOLD).unwrap()), ..Options::default() }
}

fn path(name: &str) -> SecretPath {
    SecretPath::parse(name).unwrap()
}

async fn put(store: &Store, name: &str, text: &str) -> i64 {
    let value = Zeroizing::new(text.as_bytes().to_vec());
    store.put(&path(name), value, NOON).await.unwrap()
}

fn current(store: &Store, name: &str) -> Option<String> {
    let value = store.get(&path(name), Selector::Current).unwrap()?;
    Some(String::from_utf8(value.to_vec()).unwrap())
}

fn export(directory: &Path, key: &RootKey) {
    fs::create_dir_all(directory).unwrap();
    for share in split(key, Quorum::new(SHARES, THRESHOLD).unwrap(), Derivation::Reject) {
        let name = format!("spike.recovery.{}.txt", share.index);
        fs::write(directory.join(name), share.to_recovery_text().as_bytes()).unwrap();
    }
}

impl Fixture {
    /// With secrets of several versions, one of them deleted, and with policies.
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::File(directory.path().join("data"));
        let store = Store::open_or_create(&home, &root_key(1), &options(), NOON).unwrap();
        for number in 0..40 {
            put(&store, &format!("a/{number}"), &"first".repeat(number + 1)).await;
            put(&store, &format!("a/{number}"), "second").await;
        }
        store.delete(&path("a/3"), vec![1.into(), 2.into()], NOON).await.unwrap();
        for name in ["one", "two"] {
            let text = PolicyText {
                spiffe_id_pattern: "^spiffe://a/b$".to_owned(),
                path_pattern: "^a/.*$".to_owned(),
                permissions: vec!["read".to_owned()],
            };
            store.put_policy(name, text, NOON).await.unwrap();
        }
        let fixture = Self { directory, store };
        export(&fixture.shares(), &root_key(1));
        fixture
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn shares(&self) -> PathBuf {
        self.at("recover")
    }

    fn back_up(&self) -> PathBuf {
        let file = self.at("backup");
        back_up(&self.at("data"), &file, NOON).unwrap();
        file
    }

    /// Restores to a directory of its own and opens what is there.
    fn restored(&self, file: &Path) -> Store {
        let directory = self.at("restored");
        restore(file, &directory, NOON).unwrap();
        Store::open_or_create(&Home::File(directory), &root_key(1), &options(), NOON).unwrap()
    }

    /// The backup with its database changed by `sql`, and with new checksums.
    fn forged(&self, sql: &str) -> PathBuf {
        let copy = self.at("restored");
        restore(&self.back_up(), &copy, NOON).unwrap();
        let database = copy.join("nexus.db");
        Connection::open(&database).unwrap().execute_batch(sql).unwrap();
        let contents = examine::contents(&examine::open(&database).unwrap()).unwrap();
        let file = self.at("forged");
        let mut out = fs::File::create(&file).unwrap();
        container::write(
            &mut out,
            &database,
            (contents, "2027-01-15T08:00:00Z".to_owned()),
            &Progress::on_terminal(),
        )
        .unwrap();
        file
    }
}

#[tokio::test]
async fn a_backup_of_an_open_store_is_verified_and_restored_with_all_that_was_in_it() {
    let fixture = Fixture::new().await;
    let file = fixture.back_up();
    put(&fixture.store, "a/5", "third").await;

    let report = verify(&file, Some(&fixture.shares()), NOON).unwrap();
    let Contents { secrets, versions, policies, shares, threshold, .. } = report.manifest.contents;
    assert_eq!((secrets, versions, policies, shares, threshold), (40, 80, 2, SHARES, THRESHOLD));
    assert_eq!(report.proof, Some(Proof { shares: 4, subsets: 6, rows: 122 }));
    let restored = fixture.restored(&file);
    assert_eq!(current(&restored, "a/5").as_deref(), Some("second"));
    assert_eq!(current(&restored, "a/3"), None);
    assert_eq!(restored.policy_names().unwrap(), ["one", "two"]);
    assert_eq!(restored.loss(), None);
    assert_eq!(put(&restored, "a/5", "third again").await, 3);
}

#[tokio::test]
async fn one_flipped_byte_anywhere_is_refused_and_its_place_is_named() {
    let fixture = Fixture::new().await;
    let file = fixture.back_up();
    let whole = fs::read(&file).unwrap();
    let flipped = fixture.at("flipped");
    let container = container::Container::open(&file).unwrap();
    let head = usize::try_from(container.place_of(0)).unwrap() - 1;
    let end = usize::try_from(container.place_of(container.manifest().bytes)).unwrap();
    // Every byte that is no page of the database, and many that are.
    let positions = (0..=head).chain((head + 1..end).step_by(509)).chain(end..whole.len());
    for (at, bit) in positions.zip((0..8).cycle()) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << bit;
        fs::write(&flipped, &bytes).unwrap();
        let error = verify(&flipped, None, NOON).expect_err("accepted").to_string();
        assert!(error.contains("flipped"), "{at}: {error}");
        let place = match at {
            ..15 => "first line",
            _ if at <= head => "bytes 0 to",
            _ if at < end => "are not as they were written (",
            _ => "the list of checksums",
        };
        assert!(error.contains(place), "byte {at} of {}: {error}", whole.len());
        assert!(restore(&flipped, &fixture.at("restored"), NOON).is_err());
    }
    assert!(!fixture.at("restored").exists(), "something was restored");
}

#[tokio::test]
async fn the_table_of_a_damaged_page_is_named() {
    let fixture = Fixture::new().await;
    let file = fixture.back_up();
    let whole = fs::read(&file).unwrap();
    let mut named = Vec::new();
    for (at, _) in whole.windows(4).enumerate().filter(|(_, four)| *four == b"a/39") {
        let mut bytes = whole.clone();
        // No path of the store.
        bytes[at + 1] = b'#';
        fs::write(&file, &bytes).unwrap();
        let error = verify(&file, None, NOON).unwrap_err().to_string();
        let (_, of) = error.split_once("(of ").unwrap();
        named.push(of.trim_end_matches(')').to_owned());
    }
    named.sort();
    named.dedup();
    assert_eq!(named, ["secrets", "versions"]);
}

#[tokio::test]
async fn a_backup_that_was_cut_or_continued_is_refused() {
    let fixture = Fixture::new().await;
    let file = fixture.back_up();
    let whole = fs::read(&file).unwrap();
    let other = fixture.at("other");
    for length in (0..whole.len()).step_by(997).chain([whole.len() - 1]) {
        fs::write(&other, &whole[..length]).unwrap();
        assert!(verify(&other, None, NOON).is_err(), "{length} of {} bytes", whole.len());
    }
    fs::write(&other, [&whole[..], b"\n"].concat()).unwrap();
    let error = verify(&other, None, NOON).unwrap_err().to_string();
    assert!(error.contains("its end is not its own"), "{error}");
}

#[tokio::test]
async fn a_row_that_was_changed_under_right_checksums_is_named_with_the_recovery_shares() {
    for (sql, part) in [
        (
            "DELETE FROM versions WHERE path = 'a/7' AND version = 1; DELETE FROM secrets WHERE path = 'a/9'",
            "row \"a/7\" version 1 of table versions",
        ),
        (
            "UPDATE versions SET ciphertext = zeroblob(40) WHERE path = 'a/8' AND version = 2",
            "row \"a/8\" version 2 of table versions",
        ),
        ("DELETE FROM secrets WHERE path = 'a/9'", "\"a/9\" of table versions"),
        (
            "UPDATE secrets SET updated = updated + 1 WHERE path = 'a/2'",
            "row \"a/2\" of table secrets",
        ),
        (
            "UPDATE policies SET created = created + 1 WHERE name = 'one'",
            "row \"one\" of table policies",
        ),
        ("DELETE FROM policies WHERE name = 'two'", "row \"two\" of table policies"),
        (
            "INSERT INTO versions SELECT path, 9, created, deleted, key_number, nonce, ciphertext FROM versions WHERE path = 'a/1' AND version = 1",
            "row \"a/1\" version 9 of table versions is listed nowhere",
        ),
    ] {
        let fixture = Fixture::new().await;
        let forged = fixture.forged(sql);
        verify(&forged, None, NOON).unwrap();
        let error = verify(&forged, Some(&fixture.shares()), NOON).unwrap_err().to_string();
        assert!(error.contains(part), "{sql}: {error}");
    }
}

#[tokio::test]
async fn shares_of_another_key_are_named_by_their_numbers() {
    let fixture = Fixture::new().await;
    let file = fixture.back_up();
    let mixed = fixture.shares().join("spike.recovery.3.txt");
    export(&fixture.at("others"), &root_key(2));
    fs::copy(fixture.at("others/spike.recovery.3.txt"), &mixed).unwrap();
    let error = verify(&file, Some(&fixture.shares()), NOON).unwrap_err().to_string();
    assert!(error.contains("shares 1, 3 do not rebuild root key"), "{error}");
    for number in 1..4 {
        fs::remove_file(fixture.shares().join(format!("spike.recovery.{number}.txt"))).unwrap();
    }
    let error = verify(&file, Some(&fixture.shares()), NOON).unwrap_err().to_string();
    assert!(error.contains("1 file spike") && error.contains("2 shares are needed"), "{error}");
}

#[tokio::test]
async fn nothing_is_replaced_neither_by_a_backup_nor_by_a_restore() {
    let fixture = Fixture::new().await;
    let file = fixture.back_up();
    let before = fs::read(&file).unwrap();
    let again = back_up(&fixture.at("data"), &file, NOON).unwrap_err();
    assert!(matches!(again, BackupError::Exists { .. }), "{again}");
    for left in ["nexus.db", "nexus.commits", "nexus.db-wal", "spike.db"] {
        let directory = fixture.at("occupied");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(left), "somebody's").unwrap();
        let refused = restore(&file, &directory, NOON).unwrap_err();
        assert!(matches!(refused, BackupError::Occupied { .. }), "{left}: {refused}");
        assert_eq!(fs::read(directory.join(left)).unwrap(), b"somebody's");
        fs::remove_dir_all(directory).unwrap();
    }
    // The store is open, which is told first.
    assert!(restore(&file, &fixture.at("data"), NOON).is_err());
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[tokio::test]
async fn a_backup_can_be_read_by_its_owner_alone_and_leaves_nothing_beside_it() {
    let fixture = Fixture::new().await;
    let file = fixture.back_up();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let names = || -> Vec<_> {
        let entries = fs::read_dir(fixture.directory.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(), ["backup", "data", "recover"]);
    let missing = back_up(&fixture.at("nowhere"), &fixture.at("none"), NOON).unwrap_err();
    assert!(matches!(missing, BackupError::NoStore { .. }), "{missing}");
    assert_eq!(names(), ["backup", "data", "recover"]);
}

/// Nexus was killed: its log is a part of the database, and the next start looks at it.
#[tokio::test]
async fn a_backup_of_a_store_that_was_left_by_a_crash_has_what_its_log_holds_and_leaves_the_log_alone()
 {
    let fixture = Fixture::new().await;
    let left = fixture.at("left");
    fs::create_dir(&left).unwrap();
    for name in ["nexus.db", "nexus.db-wal"] {
        fs::copy(fixture.at("data").join(name), left.join(name)).unwrap();
    }
    let log = fs::read(left.join("nexus.db-wal")).unwrap();
    assert!(!log.is_empty());
    let made = back_up(&left, &fixture.at("crashed"), NOON).unwrap();
    assert_eq!((made.contents.secrets, made.contents.versions), (40, 80));
    assert_eq!(fs::read(left.join("nexus.db-wal")).unwrap(), log);
}

#[tokio::test]
async fn no_value_is_in_a_backup_in_clear() {
    let fixture = Fixture::new().await;
    put(&fixture.store, "a/plain", "a value that nobody may see").await;
    let bytes = fs::read(fixture.back_up()).unwrap();
    assert!(bytes.windows(7).any(|part| part == b"a/plain"), "paths are in clear");
    assert!(
        !bytes.windows(16).any(|part| part == b"nobody may see  " || part == b"a value that nob")
    );
}

/// A name and place that another program depends on.
#[tokio::test]
async fn the_form_of_a_backup_is_fixed() {
    let fixture = Fixture::new().await;
    let bytes = fs::read(fixture.back_up()).unwrap();
    let mut lines = bytes.splitn(4, |byte| *byte == b'\n');
    assert_eq!(lines.next(), Some(&b"SPIKE backup 1"[..]));
    let manifest: serde_json::Value = serde_json::from_slice(lines.next().unwrap()).unwrap();
    let keys: Vec<&str> = manifest.as_object().unwrap().keys().map(String::as_str).collect();
    for key in [
        "created",
        "version",
        "schema",
        "rootKey",
        "generation",
        "shares",
        "threshold",
        "policyEpoch",
        "dataKeys",
        "secrets",
        "versions",
        "policies",
        "bytes",
        "sha256",
        "digestsSha256",
    ] {
        assert!(keys.contains(&key), "{keys:?}");
    }
    assert_eq!(lines.next().map(<[u8]>::len), Some(64));
    let length = usize::try_from(manifest["bytes"].as_u64().unwrap()).unwrap();
    let (database, digests) = lines.next().unwrap().split_at(length);
    assert_eq!(&database[..16], b"SQLite format 3\0");
    assert_eq!(digests.len(), 32 * length.div_ceil(4096));
}
