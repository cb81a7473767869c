//! Attempts to open a store that fail, as a sealed Nexus makes them again and again: what they change in the files is no reason
//! to take these for others. A copy that somebody makes meanwhile is one.

use std::fs;

use rusqlite::Connection;

use super::*;

/// Looks, tries, and remembers, as a sealed Nexus does.
fn attempt(sight: &mut Sight, directory: &Path, key: u8) -> Result<Store, StoreError> {
    attempt_with(sight, directory, key, &options())
}

fn attempt_with(
    sight: &mut Sight,
    directory: &Path,
    key: u8,
    options: &Options,
) -> Result<Store, StoreError> {
    let home = Home::File(directory.to_owned());
    let files = sight.look(Some(&home)).expect("these are the files of the start");
    let expected = (sight.expected(), sight.holds().then_some(&files));
    Store::attempt(&home, &root_key(key), options, expected, NOON).map_err(|unopened| {
        sight.failed(Some(&home), files, &unopened);
        unopened.error
    })
}

fn sight_of(directory: &Path) -> Sight {
    Sight::of(Some(&Home::File(directory.to_owned())))
}

fn copy_of(directory: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    copy
}

#[tokio::test]
async fn wrong_keys_leave_a_store_that_the_right_one_opens_in_every_journal_mode() {
    let modes =
        [JournalMode::Wal, JournalMode::Delete, JournalMode::Truncate, JournalMode::Persist];
    for journal_mode in modes {
        let home = in_file(Options { journal_mode, ..options() });
        home.put("a", "one").await;
        // A transaction that has written pages to the file, and is interrupted.
        let mut other = Connection::open(home.file()).unwrap();
        other.pragma_update(None, "cache_size", 1).unwrap();
        let interrupted = other.transaction().unwrap();
        let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
            INSERT INTO policy_lists (number, key_number, nonce, ciphertext)
            SELECT i, 1, zeroblob(12), zeroblob(4000) FROM n";
        interrupted.execute_batch(fill).unwrap();
        let crashed = copy_of(home.directory());
        let has_journal = fs::metadata(crashed.path().join("nexus.db-journal"))
            .is_ok_and(|journal| journal.len() > 0);
        assert_eq!(has_journal, journal_mode != JournalMode::Wal);
        drop(interrupted);

        let mut sight = sight_of(crashed.path());
        for key in [2, 3] {
            let error = attempt(&mut sight, crashed.path(), key).unwrap_err();
            assert!(matches!(error, StoreError::WrongRootKey { .. }), "{journal_mode:?}: {error}");
        }
        let store = attempt(&mut sight, crashed.path(), 1).unwrap();
        let got = store.get(&path("a"), Selector::Current).unwrap().unwrap();
        assert_eq!(got.as_slice(), b"one");
    }
}

#[tokio::test]
async fn a_store_that_another_process_has_in_use_is_opened_once_that_one_has_ended() {
    let home = in_file(options());
    home.put("a", "one").await;
    let Fixture { store, directory, .. } = home;
    let directory = directory.unwrap();
    let mut sight = sight_of(directory.path());
    store.put(&path("a"), value("two"), NOON).await.unwrap();
    let error = attempt(&mut sight, directory.path(), 1).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    store.put(&path("a"), value("three"), NOON).await.unwrap();
    store.close().await.unwrap();
    let store = attempt(&mut sight, directory.path(), 1).unwrap();
    let got = store.get(&path("a"), Selector::Current).unwrap().unwrap();
    assert_eq!(got.as_slice(), b"three");
}

/// The log was moved into the database by the attempt, and the next one took that for a copy.
#[tokio::test]
async fn an_import_that_fails_again_and_again_is_told_each_time() {
    let home = in_file(options());
    home.store.note_export(NOON).await.unwrap();
    let crashed = copy_of(home.directory());
    assert!(fs::metadata(crashed.path().join("nexus.db-wal")).unwrap().len() > 0);
    let upstream = import::files_with_upstream_data();
    for file in fs::read_dir(upstream.path()).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), crashed.path().join(file.file_name())).unwrap();
    }
    let mut sight = sight_of(crashed.path());
    let options = Options { judge_policy: |_| Err("it is refused".to_owned()), ..options() };
    for _ in 0..3 {
        let error = attempt_with(&mut sight, crashed.path(), 1, &options).unwrap_err();
        assert!(matches!(error, StoreError::ImportIncomplete { .. }), "{error}");
    }
    fs::remove_file(crashed.path().join("spike.db")).unwrap();
    drop(attempt(&mut sight, crashed.path(), 1).unwrap());
}

/// A damaged database was looked at, and a whole one was copied over it before it was opened: without its log, which came later.
#[tokio::test]
async fn a_database_that_comes_between_the_look_and_the_opening_is_not_opened() {
    let source = in_file(options());
    source.put("a", "one").await;
    let whole = fs::read(source.file()).unwrap();
    for first in ["half of it", "another log", "another file"] {
        let copy = copy_of(source.directory());
        let (database, log) = (copy.path().join("nexus.db"), copy.path().join("nexus.db-wal"));
        match first {
            "half of it" => fs::write(&database, &whole[..whole.len() / 2]).unwrap(),
            "another log" => fs::write(&log, "a part of it").unwrap(),
            _ => {}
        }
        let home = Home::File(copy.path().to_owned());
        let mut sight = sight_of(copy.path());
        let files = sight.look(Some(&home)).unwrap();
        match first {
            "half of it" => {
                fs::write(&database, &whole).unwrap();
                fs::remove_file(&log).unwrap();
            }
            "another log" => fs::remove_file(&log).unwrap(),
            _ => {
                fs::copy(&database, copy.path().join("new")).unwrap();
                fs::rename(copy.path().join("new"), &database).unwrap();
            }
        }
        let before = fs::read(&database).unwrap();
        let expected = (sight.expected(), Some(&files));
        let unopened = Store::attempt(&home, &root_key(1), &options(), expected, NOON).unwrap_err();
        assert!(matches!(unopened.error, StoreError::Replaced { .. }), "{first}: {unopened:?}");
        assert!(!unopened.may_have_written, "{first}");
        assert!(fs::read(&database).unwrap() == before, "{first}");
        sight.failed(Some(&home), files, &unopened);
        assert_eq!(sight.look(Some(&home)).unwrap_err(), Change::Replaced, "{first}");
    }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A new and empty store was made in its place, and Nexus was ready with that.
#[tokio::test]
async fn a_store_that_is_away_between_the_look_and_the_opening_is_not_replaced() {
    let parent = tempfile::tempdir().unwrap();
    let (data, away) = (parent.path().join("data"), parent.path().join("away"));
    let home = Home::File(data.clone());
    let store = Store::create(&home, &root_key(1), &options(), NOON).unwrap();
    store.put(&path("a"), value("one"), NOON).await.unwrap();
    store.close().await.unwrap();
    let upstream = import::files_with_upstream_data();
    let mut sight = Sight::of(Some(&home));
    for left in ["nothing", "an empty directory", "a directory", "a database of upstream"] {
        let files = sight.look(Some(&home)).unwrap();
        match left {
            // Only the file is moved.
            "a directory" => {
                fs::create_dir(&away).unwrap();
                fs::rename(data.join("nexus.db"), away.join("nexus.db")).unwrap();
            }
            _ => fs::rename(&data, &away).unwrap(),
        }
        match left {
            "an empty directory" => fs::create_dir(&data).unwrap(),
            "a database of upstream" => {
                fs::create_dir(&data).unwrap();
                fs::copy(upstream.path().join("spike.db"), data.join("spike.db")).unwrap();
            }
            _ => {}
        }
        let before = data.exists().then(|| names(&data));
        let attempt =
            Store::attempt(&home, &root_key(1), &options(), (sight.expected(), Some(&files)), NOON);
        let unopened = attempt.unwrap_err();
        assert!(matches!(unopened.error, StoreError::Missing { .. }), "{left}: {unopened:?}");
        assert_eq!(data.exists().then(|| names(&data)), before, "{left}");
        sight.failed(Some(&home), files, &unopened);
        if left == "a directory" {
            fs::rename(away.join("nexus.db"), data.join("nexus.db")).unwrap();
            fs::remove_dir(&away).unwrap();
        } else {
            fs::remove_dir_all(&data).or_else(|_| fs::exists(&data).map(drop)).unwrap();
            fs::rename(&away, &data).unwrap();
        }
    }
    let store = attempt(&mut sight, &data, 1).unwrap();
    assert_eq!(store.get(&path("a"), Selector::Current).unwrap().unwrap().as_slice(), b"one");
}

#[test]
fn no_new_store_is_made_where_a_database_is() {
    let ours = in_file(options());
    let Fixture { store, directory, .. } = ours;
    drop(store);
    let upstream = import::files_with_upstream_data();
    for (directory, name) in [(directory.unwrap(), "nexus.db"), (upstream, "spike.db")] {
        let before = fs::read(directory.path().join(name)).unwrap();
        let home = Home::File(directory.path().to_owned());
        let error = Store::create(&home, &root_key(1), &options(), NOON).unwrap_err();
        assert!(matches!(error, StoreError::Exists { .. }), "{name}: {error}");
        assert_eq!(fs::read(directory.path().join(name)).unwrap(), before, "{name}");
    }
}
