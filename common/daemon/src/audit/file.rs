//! The file of the audit log: how it is opened, and what happens when it is renamed or removed.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, Mode, OFlags, flock, open},
    io::Errno,
};

use time::OffsetDateTime;

use super::{AuditLog, line::Fields};
use crate::{chain::Chain, settings::AuditSettings};

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

/// What was at the end of a file when it was opened.
#[derive(Debug)]
pub struct FileEnd {
    /// The chain that goes on there, or a new one.
    pub(super) chain: Chain,
    /// What there was before.
    begins: Begins,
    is_cut: bool,
}

/// Why a chain begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begins {
    /// It does not: it goes on.
    No,
    /// The file is empty.
    Empty,
    /// What the file ends with is not audit lines with marks.
    Foreign,
}

impl FileEnd {
    fn of(file: &File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        let start = length.saturating_sub(LONGEST_END);
        let mut text = vec![0; usize::try_from(length - start).map_err(io::Error::other)?];
        file.read_exact_at(&mut text, start)?;
        let (chain, begins) = match Chain::at_end_of(&text) {
            Some(chain) => (chain, Begins::No),
            None if text.is_empty() => (Chain::begin(), Begins::Empty),
            None => (Chain::begin(), Begins::Foreign),
        };
        let is_cut = text.last().is_some_and(|byte| *byte != b'\n');
        Ok(Self { chain, begins, is_cut })
    }

    /// Appends the line that is the first in a file after it was opened. A file that has just been rotated has a line at
    /// once, from which the chain goes on after a crash.
    pub(super) fn write_opened(&self, line: &mut Vec<u8>, now: OffsetDateTime) {
        let error = if self.is_cut { "the line before this one was cut off" } else { "" };
        Fields { succeeded: true, error, ..Fields::failure("open", now) }.write(line, now);
    }

    /// Logs what somebody should look at.
    pub fn report(&self) {
        if self.is_cut {
            tracing::warn!("the last line of the audit file was cut off, as when a machine stops");
        }
        if self.begins == Begins::Foreign {
            tracing::warn!("the audit file does not end with audit lines: a new chain begins");
        }
    }
}

/// How much of the end of a file is looked at, in bytes. A line has far fewer.
const LONGEST_END: u64 = 256 * 1024;

impl AuditFile {
    /// Opens the file of the settings, if they have one.
    ///
    /// # Errors
    /// It cannot be opened, is no regular file, or another daemon has it.
    pub fn open_chosen(
        settings: &AuditSettings,
    ) -> Result<Option<(Self, File, FileEnd)>, AuditFileError> {
        let Some(path) = settings.file.clone() else { return Ok(None) };
        match append_to(&path) {
            Ok((file, open, end)) => Ok(Some((Self { path, open, failed: false }, file, end))),
            Err(source) => Err(AuditFileError { path, source }),
        }
    }

    /// Has `audit` continue in a new file if this one is no longer found under its path. May block.
    pub fn follow(&mut self, audit: &AuditLog) {
        if self.is_in_place() {
            self.failed = false;
            return;
        }
        match append_to(&self.path) {
            Ok((file, open, end)) => {
                audit.reopen_file(file, &end);
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
///
/// A line at its end that was cut off gets a newline, so that the next one is whole. Returns two descriptors of it.
fn append_to(path: &Path) -> io::Result<(File, File, FileEnd)> {
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
    let end = FileEnd::of(&file)?;
    if end.is_cut {
        (&file).write_all(b"\n")?;
    }
    Ok((file.try_clone()?, file, end))
}
