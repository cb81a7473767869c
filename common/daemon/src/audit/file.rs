//! The file of the audit log: how it is opened, and what happens when it is renamed or removed.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, Mode, OFlags, flock, open},
    io::Errno,
};

use super::AuditLog;
use crate::settings::AuditSettings;

/// The file of the settings cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("SPIKE_AUDIT_FILE={path:?}: cannot be opened to append audit lines to it")]
pub struct AuditFileError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// The file that is open now.
#[derive(Debug)]
pub struct AuditFile {
    path: PathBuf,
    /// To see whether it was removed, and to keep its lock.
    open: File,
    /// Whether the last attempt to open another one failed, which is logged once.
    failed: bool,
}

impl AuditFile {
    /// Opens the file of the settings, if they have one.
    ///
    /// # Errors
    /// It cannot be opened, is no regular file, or another daemon has it.
    pub fn open_chosen(settings: &AuditSettings) -> Result<Option<(Self, File)>, AuditFileError> {
        let Some(path) = settings.file.clone() else { return Ok(None) };
        let opened = append_to(&path).and_then(|open| Ok((open.try_clone()?, open)));
        match opened {
            Ok((file, open)) => Ok(Some((Self { path, open, failed: false }, file))),
            Err(source) => Err(AuditFileError { path, source }),
        }
    }

    /// Has `audit` continue in a new file if this one is no longer found under its path. May block.
    pub fn follow(&mut self, audit: &AuditLog) {
        if self.is_in_place() {
            self.failed = false;
            return;
        }
        match append_to(&self.path).and_then(|open| Ok((open.try_clone()?, open))) {
            Ok((file, open)) => {
                audit.reopen_file(file);
                self.open = open;
                self.failed = false;
                tracing::info!(path = %self.path.display(), "the audit log continues in a new file");
            }
            Err(error) => {
                // What is written to a file that has only been renamed can still be read.
                if self.open.metadata().is_ok_and(|open| open.nlink() == 0) {
                    audit.lose_file();
                }
                if !std::mem::replace(&mut self.failed, true) {
                    tracing::error!(
                        path = %self.path.display(),
                        reason = %error,
                        "the file of the audit log is gone, and cannot be opened again: the one that was open stays in use"
                    );
                }
            }
        }
    }

    fn is_in_place(&self) -> bool {
        let identity = |metadata: &fs::Metadata| (metadata.dev(), metadata.ino());
        let (named, open) = (fs::symlink_metadata(&self.path), self.open.metadata());
        matches!((named, open), (Ok(named), Ok(open)) if identity(&named) == identity(&open))
    }
}

/// Opens a regular file to append to it, and creates it if it is missing. The last part of the path must not be a link:
/// anyone who may write to the directory could choose another file.
fn append_to(path: &Path) -> io::Result<File> {
    // It is read too: lines continue where the last one ended.
    let flags = OFlags::RDWR
        | OFlags::APPEND
        | OFlags::CREATE
        | OFlags::NOFOLLOW
        // Opening a device or a pipe must not block.
        | OFlags::NONBLOCK
        | OFlags::NOCTTY
        | OFlags::CLOEXEC;
    let opened = open(path, flags, Mode::from_raw_mode(0o600)).map_err(|errno| match errno {
        Errno::LOOP => io::Error::other("it is a symbolic link"),
        other => other.into(),
    })?;
    let file = File::from(opened);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|errno| match errno {
        Errno::WOULDBLOCK => io::Error::other("another process writes to it"),
        other => other.into(),
    })?;
    Ok(file)
}
