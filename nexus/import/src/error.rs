//! Why a database of upstream is not imported.

use std::io;
use std::path::{Path, PathBuf};

use spike_crypto::Fingerprint;

/// Why a database of upstream is not imported. No byte of it was changed.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A file or directory cannot be read, made or removed.
    #[error("cannot use {}", path.display())]
    Unusable {
        /// The file or directory.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// The database cannot be read, or its form is unknown.
    #[error("cannot import {}: {what}", path.display())]
    Unreadable {
        /// The database.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// The database belongs to another root key.
    #[error(
        "{} does not belong to root key {given}, under which {opened} of its rows decrypt and {refused} do not",
        path.display()
    )]
    OtherKey {
        /// The database.
        path: PathBuf,
        /// The fingerprint of the given key.
        given: Fingerprint,
        /// Rows that decrypt.
        opened: u64,
        /// Rows that do not decrypt.
        refused: u64,
    },
    /// Rows would be left out.
    #[error("{count} rows of {} would be left out", path.display())]
    Incomplete {
        /// The database.
        path: PathBuf,
        /// The number of these rows.
        count: usize,
        /// The first hundred, each with its reason.
        first: Vec<String>,
    },
    /// Another process has the database open, and may still write to it.
    #[error("{} is in use by another process", path.display())]
    InUse {
        /// The database.
        path: PathBuf,
    },
}

impl ImportError {
    pub(crate) fn unusable(path: &Path, source: io::Error) -> Self {
        Self::Unusable { path: path.to_owned(), source }
    }
}
