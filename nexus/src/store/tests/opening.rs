//! Opening: what is accepted, what is refused and why; and a refusal changes nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rusqlite::Connection;

use super::*;

fn open(directory: &Path, options: &Options) -> Result<Store, StoreError> {
    Store::open_or_create(&Home::File(directory.to_owned()), &root_key(1), options, NOON)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[tokio::test]
async fn files_are_for_their_owner_only_and_a_clean_close_leaves_just_the_database() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("deep/data");
    let store = open(&directory, &options()).unwrap();
    store.put(&path("p"), value("x"), NOON).await.unwrap();
    assert_eq!(mode(&directory), 0o700);
    for file in ["nexus.commits", "nexus.db", "nexus.db-wal", "nexus.db-shm", "nexus.lock"] {
        assert_eq!(mode(&directory.join(file)), 0o600, "{file}");
    }
    store.close().await.unwrap();
    let mut left: Vec<_> =
        fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["nexus.commits", "nexus.db", "nexus.lock"]);
}

// F20.
#[test]
fn modes_that_are_too_wide_are_tightened() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path(), &options()).unwrap());
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let file = directory.path().join("nexus.db");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    drop(open(directory.path(), &options()).unwrap());
    assert_eq!((mode(directory.path()), mode(&file)), (0o700, 0o600));
}

#[tokio::test]
async fn a_store_that_was_dropped_can_be_opened_at_once_with_all_its_data() {
    let home = in_file(options());
    home.put("p", "one").await;
    let home = home.opened_again();
    home.put("p", "two").await;
    let home = home.reopened().await;
    assert_eq!(home.get("p", 1).as_deref(), Some("one"));
    assert_eq!(home.get("p", 2).as_deref(), Some("two"));
    assert_eq!(home.put("p", "three").await, 3);
}

#[test]
fn a_second_opening_is_refused_while_the_first_lasts() {
    let home = in_file(options());
    let error = open(home.directory(), &options()).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    drop(home.opened_again());
}

#[tokio::test]
async fn stores_in_memory_have_nothing_in_common() {
    let (one, other) = (in_memory(options()), in_memory(options()));
    one.put("p", "x").await;
    assert_eq!(other.get("p", 0), None);
}

#[test]
fn without_leave_to_create_a_missing_store_is_not_made() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { create: false, ..options() };
    let error = open(directory.path(), &options).unwrap_err();
    assert!(matches!(error, StoreError::MayNotCreate { .. }), "{error}");
    assert!(!directory.path().join("nexus.db").exists());
}

#[tokio::test]
async fn an_existing_store_needs_no_leave_to_create() {
    let mut home = in_file(options());
    home.put("p", "x").await;
    home.options.create = false;
    assert_eq!(home.reopened().await.get("p", 0).as_deref(), Some("x"));
}

// A new store is built under another name.
#[test]
fn a_creation_that_was_interrupted_is_repeated() {
    let directory = tempfile::tempdir().unwrap();
    for file in ["nexus.db.new", "nexus.db.new-journal"] {
        fs::write(directory.path().join(file), "half").unwrap();
    }
    let store = open(directory.path(), &options()).unwrap();
    assert_eq!(store.stats().unwrap().paths, 0);
    assert!(!directory.path().join("nexus.db.new").exists());
    assert!(!directory.path().join("nexus.db.new-journal").exists());
}

// A truncated file must not be taken for a fresh start, nor may its log be discarded.
#[tokio::test]
async fn a_store_that_was_emptied_is_damaged_and_not_new() {
    let home = in_file(options());
    home.put("p", "x").await;
    let log = fs::read(home.directory().join("nexus.db-wal")).unwrap();
    assert!(!log.is_empty());
    for left in [Some(0), Some(16), Some(99), Some(4096), None] {
        let directory = tempfile::tempdir().unwrap();
        let (file, beside) =
            (directory.path().join("nexus.db"), directory.path().join("nexus.db-wal"));
        if let Some(length) = left {
            fs::write(&file, vec![0; length]).unwrap();
        }
        fs::write(&beside, &log).unwrap();
        let error = open(directory.path(), &options()).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{left:?}: {error:?}");
        assert!(fs::read(&beside).unwrap() == log, "{left:?}");
        assert_eq!(fs::metadata(&file).ok().map(|file| file.len()), left.map(|n| n as u64));
    }
}

// SQLite makes a database without content of an empty file.
#[test]
fn a_database_without_any_table_is_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let connection = Connection::open(directory.path().join("nexus.db")).unwrap();
    connection.execute_batch("CREATE TABLE t (x); DROP TABLE t;").unwrap();
    drop(connection);
    let error = open(directory.path(), &options()).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
}

// A backup tool, or `PRAGMA optimize`, had made it: Nexus reported a damaged store, and stayed sealed.
#[tokio::test]
async fn tables_of_sqlite_itself_pass() {
    let home = in_file(options());
    for number in 0..100 {
        home.put(&format!("p{number}"), "x").await;
    }
    home.store.close().await.unwrap();
    let connection = Connection::open(home.file()).unwrap();
    connection.execute_batch("ANALYZE; PRAGMA optimize;").unwrap();
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_stat1'", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(tables, 1);
    drop(connection);
    let home = home.opened_again();
    assert_eq!(home.get("p7", 0).as_deref(), Some("x"));
}

#[tokio::test]
async fn anything_else_that_somebody_added_is_named_with_what_to_do() {
    for (sql, name) in [
        ("CREATE TABLE backup_log (at)", "table backup_log"),
        // The message named an index, which cannot be dropped, and not its table.
        (
            "CREATE TABLE log (id TEXT PRIMARY KEY, at); CREATE INDEX by_time ON log (at)",
            "table log is not one of ours (nor index by_time): stop what made it, and remove it with `sqlite3 ",
        ),
        ("CREATE INDEX mine ON secrets (updated)", "index mine"),
        ("CREATE VIEW seen AS SELECT path FROM secrets", "view seen"),
        ("CREATE TRIGGER t AFTER INSERT ON secrets BEGIN DELETE FROM policies; END", "trigger t"),
    ] {
        let home = in_file(options());
        home.store.close().await.unwrap();
        Connection::open(home.file()).unwrap().execute_batch(sql).unwrap();
        let error = open(home.directory(), &options());
        let error = drop_store(home, error);
        assert!(matches!(error, StoreError::Altered { .. }), "{error:?}");
        for part in [name, "remove it", "nexus.db"] {
            assert!(error.to_string().contains(part), "{part}: {error}");
        }
    }
    for (sql, told) in [
        ("DROP TABLE imports", "table imports is missing"),
        // The advice was to drop the index that SQLite makes for UNIQUE, which is impossible.
        (
            "DROP TABLE imports; CREATE TABLE imports (path TEXT PRIMARY KEY, at UNIQUE)",
            "table imports was changed",
        ),
    ] {
        let home = in_file(options());
        home.store.close().await.unwrap();
        Connection::open(home.file()).unwrap().execute_batch(sql).unwrap();
        let error = open(home.directory(), &options());
        let error = drop_store(home, error);
        assert!(error.to_string().contains(told), "{error}");
    }
}

/// Applies the command in the message to the database of `home`. A shell runs it, in which `sqlite3` prints its arguments.
fn do_as_told(home: &Fixture, told: &str) {
    let command = told.split('`').nth(1).unwrap();
    let script = format!(r#"sqlite3() {{ printf '%s\n' "$@"; }}; {command}"#);
    let shell = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
    let shown = String::from_utf8(shell.stdout).unwrap();
    let [file, statement] = shown.lines().collect::<Vec<_>>()[..] else { panic!("{shown}") };
    assert_eq!(Path::new(file), home.file());
    Connection::open(file).unwrap().execute_batch(statement).unwrap();
}

/// `sqlite3 nexus.db 'DROP TABLE we ird'` was no valid statement, and named no valid file.
#[tokio::test]
async fn what_is_to_be_run_against_a_foreign_table_can_be_run_whatever_it_is_called() {
    let parent = tempfile::Builder::new().prefix("it's here ").tempdir().unwrap();
    for (name, sql) in [
        ("log", r#"CREATE TABLE "log" (at)"#),
        ("we ird", r#"CREATE TABLE "we ird" (at)"#),
        ("order", r#"CREATE TABLE "order" (at)"#),
        (r#"it's "$HOME""#, r#"CREATE TABLE "it's ""$HOME""" (at)"#),
        ("$(id)", r#"CREATE VIEW "$(id)" AS SELECT path FROM secrets"#),
    ] {
        let directory = tempfile::tempdir_in(parent.path()).unwrap();
        let home = Home::File(directory.path().to_owned());
        let store = Store::open_or_create(&home, &root_key(1), &options(), NOON).unwrap();
        store.close().await.unwrap();
        let home = Fixture { store, directory: Some(directory), options: options() };
        Connection::open(home.file()).unwrap().execute_batch(sql).unwrap();
        let told = open(home.directory(), &options()).unwrap_err().to_string();
        do_as_told(&home, &told);
        let opened = open(home.directory(), &options());
        assert!(opened.is_ok(), "{name}: {opened:?}");
    }
}

#[tokio::test]
async fn a_foreign_name_that_could_forge_a_line_is_shown_in_quotes_and_without_a_command() {
    let home = in_file(options());
    home.store.close().await.unwrap();
    let sql = "CREATE TABLE \"a\nb\" (at)";
    Connection::open(home.file()).unwrap().execute_batch(sql).unwrap();
    let told = open(home.directory(), &options()).unwrap_err().to_string();
    assert!(told.contains(r#"table "a\nb" is not one of ours"#), "{told}");
    assert!(!told.contains('\n') && !told.contains("sqlite3"), "{told}");
}

/// The message "the store is damaged: it has only 23 bytes" named neither the file nor the next step.
#[test]
fn a_damaged_store_is_told_with_its_file_and_with_what_to_do() {
    for bytes in [b"this is no database at all".repeat(99), b"it was cut off".to_vec()] {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("nexus.db");
        fs::write(&file, bytes).unwrap();
        let told = open(directory.path(), &options()).unwrap_err().to_string();
        for part in [file.to_str().unwrap(), "put back a backup", "docs/operations/store.md"] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }
}

/// The error of opening a store while it is still open here.
fn drop_store(home: Fixture, opened: Result<Store, StoreError>) -> StoreError {
    drop(home);
    opened.unwrap_err()
}

#[test]
fn a_directory_that_is_a_file_is_named() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("data");
    fs::write(&directory, "").unwrap();
    let error = open(&directory, &options()).unwrap_err();
    assert!(matches!(&error, StoreError::Unusable { path, .. } if *path == directory), "{error}");
}

#[test]
fn other_peoples_files_are_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("nexus.db");
    Connection::open(&file).unwrap().execute_batch("CREATE TABLE secrets (path TEXT)").unwrap();
    let before = fs::read(&file).unwrap();
    let error = open(directory.path(), &options()).unwrap_err();
    assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn a_later_schema_is_refused_by_number() {
    let home = in_file(options());
    let file = home.file();
    let Fixture { store, directory, .. } = home;
    drop(store);
    Connection::open(&file).unwrap().pragma_update(None, "user_version", 7).unwrap();
    let error = open(directory.unwrap().path(), &options()).unwrap_err();
    assert!(matches!(error, StoreError::NewerSchema { found: 7, known: 2, .. }), "{error}");
}

#[tokio::test]
async fn damaged_files_are_refused_with_a_reason_and_left_alone() {
    let home = in_file(options());
    for number in 0..50 {
        home.put(&format!("p{number}"), &"x".repeat(500)).await;
    }
    home.store.close().await.unwrap();
    let whole = fs::read(home.file()).unwrap();
    let mut no_header = whole.clone();
    no_header[..16].fill(b'!');
    let mut no_schema = whole.clone();
    no_schema[100..4096].fill(0xff);
    let text =
        b"this has never been a database, but it is longer than the header of one".repeat(99);
    for (what, bytes) in [
        ("cut in half", whole[..whole.len() / 2].to_vec()),
        ("cut by a page", whole[..whole.len() - 4096].to_vec()),
        ("cut within a page", whole[..whole.len() - 100].to_vec()),
        ("cut to the header", whole[..4096].to_vec()),
        ("header overwritten", no_header),
        ("schema overwritten", no_schema),
        ("text", text.clone()),
    ] {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("nexus.db"), &bytes).unwrap();
        let opened = open(directory.path(), &options());
        assert!(matches!(opened, Err(StoreError::Damaged { .. })), "{what}: {opened:?}");
        drop(opened);
        assert_eq!(fs::read(directory.path().join("nexus.db")).unwrap(), bytes, "{what}");
    }
}

#[tokio::test]
async fn a_changed_journal_mode_takes_effect_and_loses_nothing() {
    let mut home = in_file(options());
    let modes =
        [JournalMode::Delete, JournalMode::Wal, JournalMode::Persist, JournalMode::Truncate];
    for (number, journal_mode) in (1..).zip(modes) {
        assert_eq!(home.put("p", journal_mode.as_str()).await, number);
        home.options.journal_mode = journal_mode;
        home = home.reopened().await;
        let mode: String = home
            .store
            .readers
            .read(|connection| {
                Ok(connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?)
            })
            .unwrap();
        if journal_mode == JournalMode::Wal {
            assert_eq!(mode, "wal");
        } else {
            assert_ne!(mode, "wal");
        }
    }
    assert_eq!(home.numbers("p"), [1, 2, 3, 4]);
}

#[test]
fn journal_modes_are_read_in_any_case_and_unsafe_ones_refused() {
    for (text, mode) in [
        ("WAL", JournalMode::Wal),
        ("wal", JournalMode::Wal),
        ("Delete", JournalMode::Delete),
        ("truncate", JournalMode::Truncate),
        ("PERSIST", JournalMode::Persist),
    ] {
        assert_eq!(JournalMode::parse(text).unwrap(), Some(mode), "{text}");
    }
    for text in ["", "WAL2", "wal "] {
        assert_eq!(JournalMode::parse(text).unwrap(), None, "{text:?}");
    }
    for text in ["OFF", "off", "Memory"] {
        let error = JournalMode::parse(text).unwrap_err();
        assert!(matches!(error, StoreError::UnsafeJournal { .. }), "{error}");
    }
}

#[tokio::test]
async fn the_last_export_is_remembered_and_bound() {
    let home = in_file(options());
    assert_eq!(home.store.last_export().unwrap(), None);
    home.store.note_export(NOON).await.unwrap();
    home.store.note_export(NOON + MINUTE).await.unwrap();
    assert_eq!(home.store.last_export().unwrap(), Some(NOON + MINUTE));
    let home = home.reopened().await;
    assert_eq!(home.store.last_export().unwrap(), Some(NOON + MINUTE));
    home.store.close().await.unwrap();
    let sql = "UPDATE store SET last_export = NULL";
    assert_eq!(Connection::open(home.file()).unwrap().execute(sql, []).unwrap(), 1);
    let error = open(home.directory(), &options()).unwrap_err();
    assert!(matches!(error, StoreError::Tampered { table: "store", .. }), "{error}");
}

#[test]
fn the_store_names_its_root_key() {
    assert_eq!(in_memory(options()).store.root_key(), root_key(1).fingerprint());
}
