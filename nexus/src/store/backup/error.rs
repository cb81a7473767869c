//! What can go wrong with a backup.

use std::io;
use std::path::{Path, PathBuf};

use crate::store::error::StoreError;

/// Why a backup was not made, not accepted or not restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file or directory cannot be read or written.
    #[error("cannot use {}", path.display())]
    Unusable {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// A backup never replaces a file.
    #[error("{} is there already, and a backup never replaces a file: choose another name", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file is a pipe or a device: a backup appears whole, under its name.
    #[error(
        "{} is no file that can be made: name a new file, or - for standard output", path.display()
    )]
    NoFile {
        /// The pipe or device.
        path: PathBuf,
    },
    /// The directory of the new file does not exist.
    #[error("there is no directory {} for the backup: make it first, or name another file", directory.display())]
    NoDirectory {
        /// The directory.
        directory: PathBuf,
    },
    /// There is no database to back up.
    #[error("there is no store in {}: name the directory that SPIKE_NEXUS_DATA_DIR names", directory.display())]
    NoStore {
        /// Where it was looked for.
        directory: PathBuf,
    },
    /// The files belong to another user. What SQLite makes beside them would keep Nexus out.
    #[error(
        "{} belongs to user {owner}, and this is user {user}: run the command as the user that runs Nexus", path.display()
    )]
    OtherUser {
        /// The file or directory.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Who runs the command.
        user: u32,
    },
    /// The database has an older schema: the next start of this Nexus migrates it.
    #[error(
        "the database has an older schema: start this Nexus once, which migrates it, and make the backup then"
    )]
    OldSchema,
    /// The file is something else.
    #[error("{} is not a backup of this program: {what}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// The file is not as it was written.
    #[error("the backup {} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What, and where.
        what: String,
    },
    /// The recovery shares do not open the backup.
    #[error("the recovery shares in {}: {what}", directory.display())]
    Shares {
        /// Where they are.
        directory: PathBuf,
        /// What is wrong with them.
        what: String,
    },
    /// There is data, or what only a store leaves behind, where a backup is to be restored.
    #[error(
        "nothing was restored: {} is not empty ({what}). Move what is in it to another place first; do not delete it",
        directory.display()
    )]
    Occupied {
        /// The directory of the database.
        directory: PathBuf,
        /// What is there.
        what: String,
    },
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BackupError {
    pub(super) fn unusable(path: &Path) -> impl Fn(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Unusable { path: path.clone(), source }
    }

    pub(super) fn damaged(path: &Path, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), what: what.into() }
    }
}

impl From<rusqlite::Error> for BackupError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}
