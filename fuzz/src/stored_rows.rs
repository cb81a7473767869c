//! A store whose file was changed: single cells, removed rows, rows copied over others.
//!
//! Every read afterwards returns what was written, or an error that names the row. Without the key nobody can make a
//! value, a version or a policy.

use std::{
    fs,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use rusqlite::{Connection, types::Value};
use spike_crypto::RootKey;
use spike_domain::{SecretPath, Selector};
use spike_nexus::store::{Home, Options, PolicyText, Store};
use tokio::runtime::{Builder, Runtime};
use zeroize::Zeroizing;

const NOON: i64 = 1_800_000_000_000_000_000;

/// Paths, each with the values of its versions from 1 on.
const SECRETS: [(&str, &[&str]); 2] = [("a", &["a one", "a two", "a three"]), ("b", &["b one"])];
const POLICIES: [&str; 2] = ["p", "q"];

/// What may be changed: every table, with every column that SQLite does not generate.
const TABLES: [(&str, &[&str]); 6] = [
    (
        "secrets",
        &[
            "path",
            "last_version",
            "max_versions",
            "created",
            "updated",
            "key_number",
            "nonce",
            "ciphertext",
        ],
    ),
    ("versions", &["path", "version", "created", "deleted", "key_number", "nonce", "ciphertext"]),
    ("policies", &["name", "created", "updated", "key_number", "nonce", "ciphertext"]),
    (
        "keyring",
        &[
            "number",
            "created",
            "reserved",
            "wrapped_nonce",
            "wrapped",
            "key_number",
            "nonce",
            "ciphertext",
        ],
    ),
    (
        "store",
        &["generation", "shares", "threshold", "policy_epoch", "key_number", "nonce", "ciphertext"],
    ),
    ("policy_lists", &["number", "key_number", "nonce", "ciphertext"]),
];

/// The store as it was written.
struct Original {
    directory: PathBuf,
    file: Vec<u8>,
    runtime: Runtime,
}

static ORIGINAL: LazyLock<Original> = LazyLock::new(|| {
    // Below the build directory of `run.sh`, where leftovers are harmless.
    let directory = PathBuf::from("target/stored_rows").join(std::process::id().to_string());
    fs::create_dir_all(&directory).expect("a directory");
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let home = Home::File(directory.clone());
    let store = Store::create(&home, &key(), &options(), NOON).expect("a new store");
    runtime.block_on(async {
        for (path, values) in SECRETS {
            let path = SecretPath::parse(path).expect("a path");
            for value in values {
                let value = Zeroizing::new(value.as_bytes().to_vec());
                store.put(&path, value, NOON).await.expect("a put");
            }
        }
        for name in POLICIES {
            store.put_policy(name, text(name), NOON).await.expect("a policy");
        }
        store.close().await.expect("the end");
    });
    drop(store);
    let file = fs::read(directory.join("nexus.db")).expect("the file");
    Original { directory, file, runtime }
});

fn text(name: &str) -> PolicyText {
    PolicyText {
        spiffe_id_pattern: format!("^spiffe://spike\\.ist/{name}$"),
        path_pattern: format!("^{name}$"),
        permissions: vec!["read".to_owned()],
    }
}

fn key() -> RootKey {
    RootKey::from_bytes(&[7; 32]).expect("a scalar")
}

fn options() -> Options {
    Options { readers: const { NonZeroUsize::new(1).unwrap() }, ..Options::default() }
}

fn open(directory: &Path) -> Option<Store> {
    Store::open(&Home::File(directory.to_owned()), &key(), &options(), NOON).ok()
}

/// See the module. Accepts a change that SQLite accepts.
pub fn check(data: &[u8]) -> bool {
    let original = &*ORIGINAL;
    for rest in ["nexus.db-wal", "nexus.db-shm"] {
        // They exist only if the last input did not finish.
        fs::remove_file(original.directory.join(rest)).ok();
    }
    let file = original.directory.join("nexus.db");
    fs::write(&file, &original.file).expect("a copy");
    let connection = Connection::open(&file).expect("a database");
    let mut changes = 0;
    let mut edits = data;
    while let Some(rest) = edit(&connection, edits, &mut changes) {
        edits = rest;
    }
    connection.close().expect("the end");
    if changes == 0 {
        return false;
    }
    if let Some(store) = open(&original.directory) {
        read_all(&store);
        // A damaged store may also fail to close.
        original.runtime.block_on(store.close()).ok();
    }
    true
}

/// Makes one change. The next bytes are its kind, table, column, row, other row, length and value.
fn edit<'a>(connection: &Connection, data: &'a [u8], changes: &mut usize) -> Option<&'a [u8]> {
    let ([what, table, column, row, other, length], rest) = data.split_first_chunk()?;
    let (table, columns) = TABLES[usize::from(*table) % TABLES.len()];
    let column = columns[usize::from(*column) % columns.len()];
    let (value, rest) = rest.split_at(usize::from(*length).min(rest.len()));
    let this = format!("rowid = (SELECT rowid FROM {table} LIMIT 1 OFFSET {})", row % 4);
    let done = match what % 4 {
        0 => connection.execute(&format!("DELETE FROM {table} WHERE {this}"), []),
        1 => connection.execute(
            &format!(
                "UPDATE OR REPLACE {table} SET {column} = \
                 (SELECT {column} FROM {table} LIMIT 1 OFFSET {}) WHERE {this}",
                other % 4
            ),
            [],
        ),
        kind => {
            let sql = format!("UPDATE OR REPLACE {table} SET {column} = ?1 WHERE {this}");
            connection.execute(&sql, [typed(kind, *other, value)])
        }
    };
    *changes += done.unwrap_or_default();
    Some(rest)
}

/// A value of any SQLite type.
fn typed(kind: u8, selector: u8, bytes: &[u8]) -> Value {
    match (kind, selector % 4) {
        (2, 0) => Value::Null,
        (2, _) => {
            let mut number = [0; 8];
            number.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            Value::Integer(i64::from_le_bytes(number))
        }
        (_, 0) => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
        (_, 1) => Value::Real(1.5),
        _ => Value::Blob(bytes.to_vec()),
    }
}

fn read_all(store: &Store) {
    for (path, values) in SECRETS {
        let parsed = SecretPath::parse(path).expect("a path");
        for number in 0..6 {
            let Ok(Some(value)) = store.get(&parsed, Selector::from(number)) else { continue };
            let written = match usize::try_from(number).expect("a small number") {
                0 => values.last(),
                version => values.get(version - 1),
            };
            let written = written.map(|value| value.as_bytes());
            assert_eq!(Some(value.as_slice()), written, "version {number} of {path}");
        }
        if let Ok(Some(history)) = store.metadata(&parsed) {
            assert_eq!(history.versions().len(), values.len(), "the versions of {path}");
            assert!(history.versions().iter().all(|version| version.deleted.is_none()));
        }
    }
    if let Ok(set) = store.policies() {
        let reported = set.policies.len() + set.refused.len();
        assert!(reported >= POLICIES.len(), "a policy is missing without an error");
        for policy in set.policies {
            assert_eq!(policy.text, text(&policy.name), "a policy that was never put");
            assert!(POLICIES.contains(&policy.name.as_str()));
        }
    }
}
