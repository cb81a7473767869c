//! The file of the audit log: how it is opened, and what happens when it is renamed or removed.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, OFlags, flock},
    io::Errno,
};

use time::OffsetDateTime;

use super::{AuditLog, line::Fields};
use crate::{append::open_to_append, chain::Chain, settings::AuditSettings};

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
    /// Whether what the file ends with is not audit lines with marks.
    is_foreign: bool,
    is_cut: bool,
}

impl FileEnd {
    fn of(file: &File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        let start = length.saturating_sub(LONGEST_END);
        let mut text = vec![0; usize::try_from(length - start).map_err(io::Error::other)?];
        file.read_exact_at(&mut text, start)?;
        let chain = Chain::at_end_of(&text);
        let is_foreign = chain.is_none() && !text.is_empty();
        let is_cut = text.last().is_some_and(|byte| *byte != b'\n');
        Ok(Self { chain: chain.unwrap_or_else(Chain::begin), is_foreign, is_cut })
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
        if self.is_foreign {
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

/// Opens the file, and locks it. A line at its end that was cut off gets a newline, so that the next one is whole. Returns two
/// descriptors of it.
fn append_to(path: &Path) -> io::Result<(File, File, FileEnd)> {
    // It is read too: lines continue where the last one ended.
    let file = open_to_append(path, OFlags::RDWR, 0o600).map_err(|error| {
        let is_link = Errno::from_io_error(&error) == Some(Errno::LOOP);
        if is_link { io::Error::other("it is a symbolic link") } else { error }
    })?;
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
