//! The files of a store as this process first saw them.
//!
//! Files that appear later, or take the place of others, may be a copy that is still under way: the database before its
//! write-ahead log, or half of either. Nothing in the files shows that the copy is complete. Opened too early, a store lacks
//! the commits of its log, and the log that arrives later is overwritten. So a running Nexus opens only what was there when it
//! started. A person knows when a copy is complete, and restarts Nexus then.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use super::home::Home;
use super::sqlite::create;

/// What was there at the start, and what was there when its content was refused.
#[derive(Debug)]
pub struct Sight {
    first: Files,
    refused: Option<Files>,
}

/// The files that a store consists of, at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    database: File,
    upstream: File,
    logs: [File; 4],
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
    /// There were others.
    Replaced,
}

impl Sight {
    /// What is there now. Reads a directory, which takes microseconds.
    pub fn of(home: Option<&Home>) -> Self {
        Self { first: Files::of(home), refused: None }
    }

    /// The files that are there now, if they may be opened.
    ///
    /// # Errors
    /// [`Change`]: they are not those of the start, or have changed since their content was refused.
    pub fn look(&self, home: Option<&Home>) -> Result<Files, Change> {
        let now = Files::of(home);
        if let Some(refused) = &self.refused
            && *refused != now
        {
            return Err(Change::Replaced);
        }
        let (first, is_new) = (&self.first, self.first.database == File::Absent);
        change(first.database, now.database)?;
        if is_new {
            change(first.upstream, now.upstream)?;
        }
        // The log of upstream comes and goes while upstream runs.
        if is_new && first.upstream == File::Absent {
            first.logs.into_iter().zip(now.logs).try_for_each(|(first, now)| change(first, now))?;
        }
        Ok(now)
    }

    /// The content of these files was refused. Changed files may be a copy in place of them, over the same names.
    pub fn refuse(&mut self, files: Files) {
        self.refused.get_or_insert(files);
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
        Self {
            database: file(ours.to_owned()),
            upstream: file(upstream.to_owned()),
            logs: [
                log(format!("{ours}-wal")),
                log(format!("{ours}-journal")),
                log(format!("{upstream}-wal")),
                log(format!("{upstream}-journal")),
            ],
        }
    }
}

impl File {
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
        // Another process has it open, and writes.
        fs::write(data.join("nexus.db-wal"), "frames").unwrap();
        fs::write(data.join("nexus.db"), "more pages").unwrap();
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

    #[test]
    fn what_was_refused_may_be_opened_only_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("nexus.db"), "no database").unwrap();
        let home = home(dir.path());
        let mut sight = Sight::of(Some(&home));
        sight.refuse(sight.look(Some(&home)).unwrap());
        // A wrong key was tried, and the next one is right.
        assert_eq!(seen(&sight, &home), Ok(()));
        fs::write(dir.path().join("nexus.db"), "a copy over the same file").unwrap();
        assert_eq!(seen(&sight, &home), Err(Change::Replaced));
        sight.refuse(Files::of(Some(&home)));
        assert_eq!(seen(&sight, &home), Err(Change::Replaced), "it may still grow");
    }
}
