//! The files that a store consists of, as they are at one time, and how they differ from those of another.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use super::home::Home;
use super::sqlite::{create, overwritten};

/// The files that a store consists of, at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    pub(super) database: File,
    pub(super) upstream: File,
    /// Write-ahead log and journal of the database.
    pub(super) logs: [File; 2],
    pub(super) upstream_logs: [File; 2],
    /// What says that the database was overwritten.
    pub(super) overwritten: File,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum File {
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
pub(super) struct Identity {
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

pub(super) fn change(first: File, now: File) -> Result<(), Change> {
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
    pub(super) fn of(home: Option<&Home>) -> Self {
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
    pub(super) fn or(self, before: &Self) -> Self {
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
    pub(super) fn is_replaced_in(&self, now: &Self) -> bool {
        change(self.database, now.database) == Err(Change::Replaced)
    }

    pub(super) const fn has_journal(&self) -> bool {
        let [_, journal] = &self.logs;
        matches!(journal, File::There { .. })
    }
}

impl File {
    /// Whether `now` may be the same file with the same content. If it cannot be looked at now, an attempt to open it tells why.
    /// If it could not be looked at before, nothing shows that it is the same.
    pub(super) fn may_be(self, now: Self) -> bool {
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
