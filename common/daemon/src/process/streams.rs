//! Log and audit log of a daemon: standard output and standard error, and how they are rotated.
//!
//! Whoever rotates a log renames its file and sends SIGHUP. Then the path that the file had at the start is opened again.

use std::{
    fs::{self, File},
    io,
    os::{
        fd::{AsFd, AsRawFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Mode, OFlags, open},
    stdio::{dup2_stderr, dup2_stdout},
};
use tracing::Level;

use crate::{
    audit::AuditLog,
    logging::{self, Log},
};

/// Log and audit log.
#[derive(Debug)]
pub(super) struct Streams {
    log: Log,
    /// Where standard output goes, if it is a regular file.
    log_path: Option<PathBuf>,
    audit: AuditLog,
    audit_path: Option<PathBuf>,
}

impl Streams {
    /// Starts both. Call it once, and before the process is hardened.
    pub(super) fn start(program: &'static str, level: Level) -> io::Result<Self> {
        let log_path = path_of(io::stdout());
        let audit_path = path_of(io::stderr());
        let log = logging::start(program, level)?;
        let audit = AuditLog::to_standard_error()?;
        if leads_nowhere(io::stderr()) {
            tracing::warn!("standard error is /dev/null: nobody will be able to tell who did what");
        }
        Ok(Self { log, log_path, audit, audit_path })
    }

    pub(super) const fn audit(&self) -> &AuditLog {
        &self.audit
    }

    /// Opens the files again. Where one cannot be opened, the old one stays in use.
    pub(super) fn reopen(&self) {
        if let Some(path) = &self.log_path
            && let Some(file) = told(path, open_again(path), |file| Ok(dup2_stdout(file)?))
        {
            self.log.reopen(file);
        }
        if let Some(path) = &self.audit_path
            && let Some(file) = told(path, open_again(path), |file| Ok(dup2_stderr(file)?))
        {
            self.audit.reopen(file);
        }
    }
}

/// Makes `opened` the standard stream, and logs how that went.
fn told(
    path: &Path,
    opened: io::Result<File>,
    replace_stream: impl FnOnce(&File) -> io::Result<()>,
) -> Option<File> {
    let opened = opened.and_then(|file| replace_stream(&file).map(|()| file));
    match &opened {
        Ok(_) => tracing::info!(path = %path.display(), "opened again after SIGHUP"),
        Err(error) => tracing::warn!(
            path = %path.display(),
            reason = %error,
            "cannot be opened again after SIGHUP: the file that was open stays in use"
        ),
    }
    opened.ok()
}

/// Opens a regular file to append to it, and makes it where it is missing. The last part of the path must not be a link:
/// whoever may write to the directory could otherwise choose another file.
fn open_again(path: &Path) -> io::Result<File> {
    let flags = OFlags::WRONLY
        | OFlags::APPEND
        | OFlags::CREATE
        | OFlags::NOFOLLOW
        // What is no regular file must not make this wait.
        | OFlags::NONBLOCK
        | OFlags::NOCTTY
        | OFlags::CLOEXEC;
    let file = File::from(open(path, flags, Mode::from_raw_mode(0o640))?);
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("it is not a regular file"))
    }
}

/// The path of an open regular file, while it still is where it was opened.
fn path_of(stream: impl AsFd) -> Option<PathBuf> {
    let descriptor = stream.as_fd();
    let path = fs::read_link(format!("/proc/self/fd/{}", descriptor.as_raw_fd())).ok()?;
    let opened = metadata_of(descriptor).ok().filter(fs::Metadata::is_file)?;
    let named = fs::metadata(&path).ok()?;
    ((opened.dev(), opened.ino()) == (named.dev(), named.ino())).then_some(path)
}

/// Whether it is `/dev/null`, as also for a stream that was closed when the process started.
fn leads_nowhere(stream: impl AsFd) -> bool {
    let nowhere = fs::metadata("/dev/null");
    let stream = metadata_of(stream.as_fd());
    matches!((stream, nowhere), (Ok(stream), Ok(nowhere)) if stream.rdev() != 0 && stream.rdev() == nowhere.rdev())
}

fn metadata_of(stream: impl AsFd) -> io::Result<fs::Metadata> {
    File::from(stream.as_fd().try_clone_to_owned()?).metadata()
}
