//! Which files a sealed Nexus may open.

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
