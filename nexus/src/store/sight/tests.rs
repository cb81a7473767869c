//! Which files a sealed Nexus may open.

use std::fs;
use std::path::Path;

use super::*;

fn home(directory: &Path) -> Home {
    Home::File(directory.to_owned())
}

fn seen(sight: &Sight, home: &Home) -> Result<(), Change> {
    sight.look(Some(home)).map(drop)
}

#[test]
fn what_was_there_at_the_start_may_be_opened_also_after_it_was_away() {
    let dir = tempfile::tempdir().unwrap();
    let (data, away) = (dir.path().join("data"), dir.path().join("away"));
    fs::create_dir(&data).unwrap();
    fs::write(data.join("nexus.db"), "pages").unwrap();
    let home = home(&data);
    let sight = Sight::of(Some(&home));
    fs::rename(&data, &away).unwrap();
    assert_eq!(seen(&sight, &home), Ok(()), "there is nothing to open");
    fs::rename(&away, &data).unwrap();
    assert_eq!(seen(&sight, &home), Ok(()));
}

#[test]
fn files_that_appear_or_take_the_place_of_others_may_not() {
    for name in ["nexus.db", "nexus.db-wal", "spike.db"] {
        let dir = tempfile::tempdir().unwrap();
        let home = home(&dir.path().join("data"));
        let sight = Sight::of(Some(&home));
        fs::create_dir(dir.path().join("data")).unwrap();
        assert_eq!(seen(&sight, &home), Ok(()), "it is empty");
        fs::write(dir.path().join("data").join(name), "half").unwrap();
        assert_eq!(seen(&sight, &home), Err(Change::Appeared), "{name}");
    }
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("nexus.db"), "pages").unwrap();
    let home = home(dir.path());
    let sight = Sight::of(Some(&home));
    fs::write(dir.path().join("other"), "others").unwrap();
    fs::rename(dir.path().join("other"), dir.path().join("nexus.db")).unwrap();
    assert_eq!(seen(&sight, &home), Err(Change::Replaced));
    let sight = Sight::of(Some(&home));
    fs::remove_file(dir.path().join("nexus.db")).unwrap();
    fs::create_dir(dir.path().join("nexus.db")).unwrap();
    assert_eq!(seen(&sight, &home), Err(Change::Replaced), "it may have the same inode");
}

/// A database that was copied over the old one, with `cp`, was opened before its log was there.
#[test]
fn a_change_of_what_was_there_at_the_start_is_noticed() {
    for (name, content) in [
        ("nexus.db", Some("other pages")),
        ("nexus.db-wal", Some("other frames")),
        ("nexus.db-wal", None),
        ("nexus.db-journal", Some("pages")),
    ] {
        let (dir, home) = database();
        let sight = Sight::of(Some(&home));
        assert_eq!(seen(&sight, &home), Ok(()));
        match content {
            Some(content) => fs::write(dir.path().join(name), content).unwrap(),
            None => fs::remove_file(dir.path().join(name)).unwrap(),
        }
        assert_eq!(seen(&sight, &home), Err(Change::Replaced), "{name}: {content:?}");
    }
    // SQLite makes and leaves empty ones.
    let (dir, home) = database();
    let sight = Sight::of(Some(&home));
    fs::write(dir.path().join("nexus.db-journal"), "").unwrap();
    assert_eq!(seen(&sight, &home), Ok(()));
}

#[test]
fn another_process_may_change_the_files_only_while_it_holds_the_lock() {
    let in_use = || StoreError::InUse { directory: "data".into() };
    for error in [in_use(), StoreError::Locked] {
        let (dir, home) = database();
        let mut sight = Sight::of(Some(&home));
        sight.failed(Some(&home), sight.look(Some(&home)).unwrap(), &before_writing(error));
        // It writes, and moves its log into the database when it ends.
        fs::write(dir.path().join("nexus.db"), "more pages").unwrap();
        fs::remove_file(dir.path().join("nexus.db-wal")).unwrap();
        let files = sight.look(Some(&home)).unwrap();
        // It has ended.
        sight.failed(Some(&home), files, &before_writing(StoreError::Bug));
        assert_eq!(seen(&sight, &home), Ok(()));
        fs::write(dir.path().join("nexus.db"), "a copy over the same file").unwrap();
        assert_eq!(seen(&sight, &home), Err(Change::Replaced));
    }
    let (dir, home) = database();
    let lock = private::lock_directory(dir.path()).unwrap();
    let sight = Sight::of(Some(&home));
    fs::write(dir.path().join("nexus.db"), "more pages").unwrap();
    drop(lock);
    assert_eq!(seen(&sight, &home), Ok(()), "it held the lock at the start");
    fs::rename(dir.path().join("nexus.db-wal"), dir.path().join("nexus.db")).unwrap();
    assert_eq!(seen(&sight, &home), Err(Change::Replaced), "it replaces no file");
}

#[test]
fn what_a_failed_attempt_of_our_own_has_written_is_no_change() {
    for error in [StoreError::Bug, tampered()] {
        let (dir, home) = database();
        let mut sight = Sight::of(Some(&home));
        let files = sight.look(Some(&home)).unwrap();
        fs::write(dir.path().join("nexus.db"), "more pages").unwrap();
        fs::remove_file(dir.path().join("nexus.db-wal")).unwrap();
        let attempt = Unopened { error, may_have_written: true };
        sight.failed(Some(&home), files, &attempt);
        assert_eq!(seen(&sight, &home), Ok(()));
    }
    // Whoever opens a database takes its journal back, whatever the key.
    let (dir, home) = database();
    fs::write(dir.path().join("nexus.db-journal"), "pages").unwrap();
    let mut sight = Sight::of(Some(&home));
    let files = sight.look(Some(&home)).unwrap();
    fs::write(dir.path().join("nexus.db"), "pages of before").unwrap();
    fs::remove_file(dir.path().join("nexus.db-journal")).unwrap();
    sight.failed(Some(&home), files, &before_writing(tampered()));
    assert_eq!(seen(&sight, &home), Ok(()));
    // A new store was made, and could not be opened.
    let dir = tempfile::tempdir().unwrap();
    let home = self::home(dir.path());
    let mut sight = Sight::of(Some(&home));
    let files = sight.look(Some(&home)).unwrap();
    fs::write(dir.path().join("nexus.db"), "pages").unwrap();
    let attempt = Unopened { error: StoreError::Bug, may_have_written: true };
    sight.failed(Some(&home), files, &attempt);
    assert_eq!(seen(&sight, &home), Ok(()));
}

#[test]
fn what_changes_during_an_attempt_that_cannot_have_written_is_noticed() {
    for error in [StoreError::Bug, tampered()] {
        let (dir, home) = database();
        let mut sight = Sight::of(Some(&home));
        let files = sight.look(Some(&home)).unwrap();
        fs::write(dir.path().join("nexus.db"), "a copy over the same file").unwrap();
        sight.failed(Some(&home), files, &before_writing(error));
        assert_eq!(seen(&sight, &home), Err(Change::Replaced));
    }
}

/// The right data in place of another key's, while an attempt with that was under way, was opened before it was whole.
#[test]
fn another_database_is_not_the_work_of_an_attempt_that_may_have_written() {
    let (dir, home) = database();
    let mut sight = Sight::of(Some(&home));
    let files = sight.look(Some(&home)).unwrap();
    fs::write(dir.path().join("other"), "other pages").unwrap();
    fs::rename(dir.path().join("other"), dir.path().join("nexus.db")).unwrap();
    let attempt = Unopened { error: tampered(), may_have_written: true };
    sight.failed(Some(&home), files, &attempt);
    assert_eq!(seen(&sight, &home), Err(Change::Replaced));
}

#[test]
fn what_was_refused_may_be_opened_only_as_it_was() {
    let (dir, home) = database();
    let mut sight = Sight::of(Some(&home));
    let files = sight.look(Some(&home)).unwrap();
    sight.failed(Some(&home), files, &before_writing(tampered()));
    // A wrong key was tried, and the next one is right.
    let files = sight.look(Some(&home)).unwrap();
    sight.failed(Some(&home), files, &before_writing(StoreError::Locked));
    assert_eq!(seen(&sight, &home), Ok(()));
    fs::write(dir.path().join("nexus.db"), "a copy over the same file").unwrap();
    assert_eq!(seen(&sight, &home), Err(Change::Replaced), "also while it is locked");
}

/// The database was opened without it, and the commits in it were lost.
#[test]
fn a_log_that_was_there_at_the_start_and_is_away_is_missed_until_it_is_back() {
    for name in ["nexus.db-wal", "nexus.db-journal"] {
        let (dir, home) = database();
        fs::write(dir.path().join(name), "frames").unwrap();
        let mut sight = Sight::of(Some(&home));
        let (log, away) = (dir.path().join(name), dir.path().join("away"));
        fs::rename(&log, &away).unwrap();
        assert_eq!(seen(&sight, &home), Err(Change::Replaced), "{name}");
        // The directory was moved away whole, and comes back without it.
        let database = dir.path().join("nexus.db");
        fs::rename(&database, dir.path().join("database")).unwrap();
        let files = sight.look(Some(&home)).unwrap();
        let missing = StoreError::Missing { path: database.clone() };
        sight.failed(Some(&home), files, &before_writing(missing));
        fs::rename(dir.path().join("database"), &database).unwrap();
        assert_eq!(seen(&sight, &home), Err(Change::Replaced), "{name}");
        fs::rename(&away, &log).unwrap();
        assert_eq!(seen(&sight, &home), Ok(()), "{name}");
    }
}

/// A link that leads to itself can be looked at by nobody, whatever his rights.
fn hide(file: &Path) {
    std::os::unix::fs::symlink(file.file_name().unwrap(), file).unwrap();
}

/// Any other file in its place was opened.
#[test]
fn what_could_not_be_looked_at_at_the_start_is_replaced_by_nothing() {
    for (name, change) in [
        ("nexus.db", Change::Appeared),
        ("nexus.db-wal", Change::Replaced),
        ("spike.db", Change::Appeared),
    ] {
        let dir = tempfile::tempdir().unwrap();
        if name == "nexus.db-wal" {
            fs::write(dir.path().join("nexus.db"), "pages").unwrap();
        }
        let home = home(dir.path());
        hide(&dir.path().join(name));
        let mut sight = Sight::of(Some(&home));
        let files = sight.look(Some(&home)).expect("the attempt tells why it cannot be opened");
        sight.failed(Some(&home), files, &before_writing(StoreError::Bug));
        fs::remove_file(dir.path().join(name)).unwrap();
        fs::write(dir.path().join(name), "others").unwrap();
        assert_eq!(seen(&sight, &home), Err(change), "{name}");
    }
}

/// After an attempt in which it could not be looked at, any other file was taken for it.
#[test]
fn what_cannot_be_looked_at_for_a_while_must_be_the_same_afterwards() {
    for name in ["nexus.db", "nexus.db-wal"] {
        let (dir, home) = database();
        let mut sight = Sight::of(Some(&home));
        let (file, away) = (dir.path().join(name), dir.path().join("away"));
        for may_have_written in [false, true] {
            fs::rename(&file, &away).unwrap();
            hide(&file);
            let files = sight.look(Some(&home)).unwrap();
            let attempt = Unopened { error: StoreError::Bug, may_have_written };
            sight.failed(Some(&home), files, &attempt);
            fs::remove_file(&file).unwrap();
            fs::write(&file, "others").unwrap();
            assert_eq!(seen(&sight, &home), Err(Change::Replaced), "{name}");
            fs::rename(&away, &file).unwrap();
            assert_eq!(seen(&sight, &home), Ok(()), "{name}");
        }
    }
}

#[test]
fn a_database_that_is_away_after_an_attempt_is_not_replaced_by_an_import() {
    let (dir, home) = database();
    fs::write(dir.path().join("spike.db"), "pages of upstream").unwrap();
    let mut sight = Sight::of(Some(&home));
    let files = sight.look(Some(&home)).unwrap();
    fs::rename(dir.path().join("nexus.db"), dir.path().join("away")).unwrap();
    let attempt = Unopened { error: StoreError::Bug, may_have_written: true };
    sight.failed(Some(&home), files, &attempt);
    assert_eq!(sight.expected(), Opening::Existing);
}

/// Within seconds, a running Nexus opened the mixture of two databases.
#[test]
fn the_note_of_an_overwritten_database_is_missed_once_it_was_there() {
    let noted = || {
        let (dir, home) = database();
        let note = dir.path().join("nexus.overwritten");
        fs::write(&note, "overwritten").unwrap();
        (dir, home, note)
    };
    // Nobody has tried to open the database before it is removed.
    let (_dir, home, note) = noted();
    let sight = Sight::of(Some(&home));
    assert_eq!(seen(&sight, &home), Ok(()), "the attempt tells what to do");
    fs::remove_file(&note).unwrap();
    assert_eq!(seen(&sight, &home), Err(Change::Replaced));
    assert_eq!(seen(&Sight::of(Some(&home)), &home), Ok(()), "after a restart");
    // It was refused for that, or another error came between.
    for make in [tampered, || StoreError::Locked, || StoreError::Bug] {
        for may_have_written in [false, true] {
            let (_dir, home, note) = noted();
            let mut sight = Sight::of(Some(&home));
            let files = sight.look(Some(&home)).unwrap();
            fs::remove_file(&note).unwrap();
            sight.failed(Some(&home), files, &Unopened { error: make(), may_have_written });
            assert_eq!(seen(&sight, &home), Err(Change::Replaced), "{may_have_written}");
        }
    }
    // Another process has left it since the start.
    let (dir, home) = database();
    let mut sight = Sight::of(Some(&home));
    let note = dir.path().join("nexus.overwritten");
    fs::write(&note, "overwritten").unwrap();
    let files = sight.look(Some(&home)).unwrap();
    sight.failed(Some(&home), files, &before_writing(tampered()));
    fs::remove_file(&note).unwrap();
    assert_eq!(seen(&sight, &home), Err(Change::Replaced));
}

/// A directory with a database and its write-ahead log.
fn database() -> (tempfile::TempDir, Home) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("nexus.db"), "pages").unwrap();
    fs::write(dir.path().join("nexus.db-wal"), "frames").unwrap();
    let home = home(dir.path());
    (dir, home)
}

fn before_writing(error: StoreError) -> Unopened {
    Unopened { error, may_have_written: false }
}

fn tampered() -> StoreError {
    StoreError::Tampered { table: "keyring", path: String::new(), version: None }
}
