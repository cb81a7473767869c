//! The files of a store as this process first saw them.
//!
//! Files that appear later, take the place of others, or have another content may be a copy that is still under way: the
//! database before its write-ahead log, or half of either. Nothing in the files shows that the copy is complete. Opened too
//! early, a store lacks the commits of its log, and the log that arrives later is overwritten. So a running Nexus opens only
//! what was there when it started, and as it was then. A person knows when a copy is complete, and restarts Nexus then.
//!
//! Two others may change the files: another process that holds a lock on them, and this process, in an attempt to open them
//! that came far enough to write and then failed.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use super::error::{StoreError, Unopened};
use super::home::Home;
use super::sqlite::{create, private};

/// What was there at the start, and what was there when its content was refused.
#[derive(Debug)]
pub struct Sight {
    /// As of the start; later, as an attempt to open them left them.
    known: Files,
    refused: Option<Files>,
    /// At the last attempt to open them, another process held a lock on them. It may have changed them since.
    was_locked: bool,
}

/// The files that a store consists of, at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    database: File,
    upstream: File,
    /// Write-ahead log and journal of the database.
    logs: [File; 2],
    upstream_logs: [File; 2],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum File {
    Absent,
    /// It cannot be seen: a missing right, or an error of the disk.
    Hidden,
    There {
        identity: Identity,
        /// Length and time of the last change.
        content: (u64, i64, i64),
    },
}

/// Which file it is. The number of an inode is used again for the next file, so it does not suffice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    /// `None` where the file system does not record it.
    made: Option<SystemTime>,
    is_regular: bool,
}

/// How the files differ from those that were seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// There were none.
    Appeared,
    /// There were others, or their content was another one.
    Replaced,
}

impl Sight {
    /// What is there now. Reads a directory, which takes microseconds.
    pub fn of(home: Option<&Home>) -> Self {
        let directory = home.and_then(Home::directory);
        let was_locked = directory.is_some_and(private::is_locked);
        Self { known: Files::of(home), refused: None, was_locked }
    }

    /// The files that are there now, if they may be opened.
    ///
    /// # Errors
    /// [`Change`]: they are not those of the start, or not as they were.
    pub fn look(&self, home: Option<&Home>) -> Result<Files, Change> {
        let now = Files::of(home);
        if let Some(refused) = &self.refused
            && *refused != now
        {
            return Err(Change::Replaced);
        }
        let known = &self.known;
        change(known.database, now.database)?;
        match (known.database, now.database) {
            (File::There { .. }, File::There { .. }) if !self.was_locked => {
                let known = [known.database].into_iter().chain(known.logs);
                let now = [now.database].into_iter().chain(now.logs);
                let is_same = known.zip(now).all(|(known, now)| known.may_be(now));
                is_same.then_some(()).ok_or(Change::Replaced)?;
            }
            (File::Absent, _) => {
                change(known.upstream, now.upstream)?;
                // The log of upstream comes and goes while upstream runs.
                if known.upstream == File::Absent {
                    let known = known.logs.into_iter().chain(known.upstream_logs);
                    let now = now.logs.into_iter().chain(now.upstream_logs);
                    known.zip(now).try_for_each(|(known, now)| change(known, now))?;
                }
            }
            (File::There { .. } | File::Hidden, _) => {}
        }
        Ok(now)
    }

    /// An attempt to open the files, which were `before` it as [`look`](Self::look) has returned them, has failed. Files whose
    /// content was refused may be opened only as they were: a change may be a copy over the same names.
    pub fn failed(&mut self, home: Option<&Home>, before: Files, attempt: &Unopened) {
        let Unopened { error, may_have_written } = attempt;
        // Not in any other case: what has changed meanwhile is then the work of somebody else. A journal is taken back into the
        // database, and removed, by whoever opens it, before the key is checked.
        let is_ours = *may_have_written || before.has_journal();
        let left = if is_ours { Files::of(home) } else { before };
        if is_ours || matches!(left.database, File::There { .. }) {
            self.known = left.clone();
        }
        self.was_locked = matches!(error, StoreError::InUse { .. } | StoreError::Locked);
        if error.is_about_content() {
            self.refused.get_or_insert(left);
        }
    }
}

fn change(first: File, now: File) -> Result<(), Change> {
    match (first, now) {
        (File::Absent, File::There { .. }) => Err(Change::Appeared),
        (File::There { identity: first, .. }, File::There { identity: now, .. })
            if first != now =>
        {
            Err(Change::Replaced)
        }
        (File::Absent | File::Hidden | File::There { .. }, _) => Ok(()),
    }
}

impl Files {
    fn of(home: Option<&Home>) -> Self {
        let file = |name: String| {
            let directory = home.and_then(Home::directory);
            directory.map_or(File::Absent, |directory| File::at(&directory.join(name)))
        };
        let log = |name: String| match file(name) {
            // SQLite makes and leaves empty ones.
            File::There { content: (0, ..), .. } => File::Absent,
            other => other,
        };
        let (ours, upstream) = (create::FILE, spike_import::FILE);
        let logs = |name| [log(format!("{name}-wal")), log(format!("{name}-journal"))];
        Self {
            database: file(ours.to_owned()),
            upstream: file(upstream.to_owned()),
            logs: logs(ours),
            upstream_logs: logs(upstream),
        }
    }

    const fn has_journal(&self) -> bool {
        let [_, journal] = &self.logs;
        matches!(journal, File::There { .. })
    }
}

impl File {
    /// Whether `now` may be the same file with the same content. A file that cannot be seen may be any.
    fn may_be(self, now: Self) -> bool {
        self == now || self == Self::Hidden || now == Self::Hidden
    }

    fn at(path: &Path) -> Self {
        match fs::metadata(path) {
            Ok(found) => Self::There {
                identity: Identity {
                    device: found.dev(),
                    inode: found.ino(),
                    made: found.created().ok(),
                    is_regular: found.is_file(),
                },
                content: (found.len(), found.mtime(), found.mtime_nsec()),
            },
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                Self::Absent
            }
            Err(_) => Self::Hidden,
        }
    }
}

#[cfg(test)]
mod tests {
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
}
