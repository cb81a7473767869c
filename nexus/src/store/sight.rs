//! The files of a store as this process first saw them.
//!
//! Files that appear later, take the place of others, or have another content may be a copy that is still under way: the
//! database before its write-ahead log, or half of either. Nothing in the files shows that the copy is complete. Opened too
//! early, a store lacks the commits of its log, and the log that arrives later is overwritten. So a running Nexus opens only
//! what was there when it started, and as it was then. A person knows when a copy is complete, and restarts Nexus then.
//!
//! `nexus.overwritten` says that the database and its log are not of one store. Whoever removes it while Nexus runs has not put the
//! right database there first, so that counts as a change too.
//!
//! Two others may change the files: another process that holds a lock on them, and this process, in an attempt to open them
//! that came far enough to write and then failed.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use super::error::StoreError;
use super::home::Home;
use super::opening::{Opening, Unopened};
use super::sqlite::{create, overwritten, private};

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
    /// What says that the database was overwritten.
    overwritten: File,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum File {
    Absent,
    /// It cannot be looked at: a missing right, or an error of the disk.
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
    /// There were none, or they could not be looked at.
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
        if matches!(known.overwritten, File::There { .. })
            && !known.overwritten.may_be(now.overwritten)
        {
            return Err(Change::Replaced);
        }
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

    /// Whether only this process can have changed the files since they were looked at.
    pub const fn holds(&self) -> bool {
        !self.was_locked
    }

    /// What there is to open, as long as nobody permits a new store. A database of upstream is imported only where no store was:
    /// one that is away for a moment is not replaced by an import.
    pub fn expected(&self) -> Opening {
        match (self.known.database, self.known.upstream) {
            (File::Absent, File::Hidden | File::There { .. }) => Opening::Import,
            (File::Absent, File::Absent) | (File::Hidden | File::There { .. }, _) => {
                Opening::Existing
            }
        }
    }

    /// An attempt to open the files, which were `before` it as [`look`](Self::look) has returned them, has failed. Files whose
    /// content was refused may be opened only as they were: a change may be a copy over the same names.
    pub fn failed(&mut self, home: Option<&Home>, before: Files, attempt: &Unopened) {
        let Unopened { error, may_have_written } = attempt;
        // Not in any other case: what has changed meanwhile is then the work of somebody else, and so is another file as the
        // database. A journal is taken back into the database, and removed, by whoever opens it, before the key is checked.
        let now = Files::of(home);
        let is_ours = (*may_have_written || before.has_journal()) && !before.is_replaced_in(&now);
        let left = if is_ours { now } else { before };
        if is_ours || matches!(left.database, File::There { .. }) {
            self.known = left.clone().or(&self.known);
        }
        self.was_locked = matches!(error, StoreError::InUse { .. } | StoreError::Locked);
        if error.is_about_content() {
            self.refused.get_or_insert(left);
        }
    }
}

fn change(first: File, now: File) -> Result<(), Change> {
    match (first, now) {
        (File::Absent | File::Hidden, File::There { .. }) => Err(Change::Appeared),
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
        let directory = home.and_then(Home::directory);
        let file = |name: String| {
            directory.map_or(File::Absent, |directory| File::at(&directory.join(name)))
        };
        // A link that leads nowhere is there too.
        let overwritten = directory.map_or(File::Absent, |directory| {
            File::of(directory.join(overwritten::FILE).symlink_metadata())
        });
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
            overwritten,
        }
    }

    /// These, and in place of those that cannot be looked at those of `before`. A database that is away is not forgotten, nor that it
    /// was overwritten.
    fn or(self, before: &Self) -> Self {
        let database = |now, before| if matches!(now, File::There { .. }) { now } else { before };
        let log = |now, before| if now == File::Hidden { before } else { now };
        let logs = |[wal, journal]: [File; 2], before: [File; 2]| {
            let [wal_before, journal_before] = before;
            [log(wal, wal_before), log(journal, journal_before)]
        };
        Self {
            database: database(self.database, before.database),
            upstream: database(self.upstream, before.upstream),
            logs: logs(self.logs, before.logs),
            upstream_logs: logs(self.upstream_logs, before.upstream_logs),
            overwritten: database(before.overwritten, self.overwritten),
        }
    }

    /// Whether database and logs are still these. A journal is taken back into the database by whoever opens it: then nothing can
    /// be told.
    pub(super) fn are_in(&self, directory: &Path) -> bool {
        let now = Self::of(Some(&Home::File(directory.to_owned())));
        let files = |of: &Self| [of.database].into_iter().chain(of.logs);
        self.has_journal() || files(self).zip(files(&now)).all(|(seen, now)| seen.may_be(now))
    }

    /// Whether another file is the database in `now`.
    fn is_replaced_in(&self, now: &Self) -> bool {
        change(self.database, now.database) == Err(Change::Replaced)
    }

    const fn has_journal(&self) -> bool {
        let [_, journal] = &self.logs;
        matches!(journal, File::There { .. })
    }
}

impl File {
    /// Whether `now` may be the same file with the same content. If it cannot be looked at now, an attempt to open it tells why.
    /// If it could not be looked at before, nothing shows that it is the same.
    fn may_be(self, now: Self) -> bool {
        self == now || now == Self::Hidden
    }

    fn at(path: &Path) -> Self {
        Self::of(fs::metadata(path))
    }

    fn of(looked: io::Result<Metadata>) -> Self {
        match looked {
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
mod tests;
