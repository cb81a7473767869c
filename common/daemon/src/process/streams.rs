//! The log and the audit log of a daemon, on standard output and standard error, and their rotation.
//!
//! To rotate a log, rename its file and send SIGHUP. Then the original path is opened again.

use std::{
    fs::{self, File},
    io,
    os::{
        fd::{AsFd, AsRawFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError, TryLockError},
};

use rustix::{
    fs::OFlags,
    stdio::{dup2_stderr, dup2_stdout},
};
use tracing::Level;

use crate::{
    UnderWay,
    append::open_to_append,
    audit::{AuditFile, AuditLog, FileEnd},
    log_level::LogLevel,
    logging::{self, Log},
    settings::AuditSettings,
    telemetry::{HELD_UP, hangs},
};

/// The log and the audit log.
#[derive(Debug)]
pub(super) struct Streams {
    log: Log,
    /// The path of standard output, if it is a regular file.
    log_path: Option<PathBuf>,
    audit: AuditLog,
    has_audit_file: bool,
    /// Whoever has them looks at them.
    audit_files: Mutex<AuditFiles>,
    /// A look at them.
    look: UnderWay,
}

/// The files of the audit log. Their disk may hold up whoever looks at them, also while lines are written.
#[derive(Debug)]
struct AuditFiles {
    /// The path of standard error, if it is a regular file.
    standard_error: Option<PathBuf>,
    /// The one of its own, if it has one.
    own: Option<AuditFile>,
}

impl Streams {
    /// Starts both. Call it once, before the process is hardened.
    pub(super) fn start(
        program: &'static str,
        level: Level,
        settings: &AuditSettings,
        audit_file: Option<(AuditFile, File, FileEnd)>,
    ) -> io::Result<Self> {
        let log_path = path_of(io::stdout());
        let standard_error = path_of(io::stderr());
        let log = logging::start(program, level)?;
        if let Some((_, _, end)) = &audit_file {
            end.report();
        }
        let (own, file) = audit_file.map(|(own, file, end)| (own, (file, end))).unzip();
        let audit = AuditLog::start(settings, file)?;
        if settings.standard_error && is_dev_null(io::stderr()) {
            tracing::warn!("standard error is /dev/null: the audit log is lost");
        }
        let has_audit_file = own.is_some();
        let audit_files = Mutex::new(AuditFiles { standard_error, own });
        Ok(Self { log, log_path, audit, has_audit_file, audit_files, look: UnderWay::default() })
    }

    /// The level of the log.
    pub(super) const fn log_level(&self) -> &LogLevel {
        self.log.level()
    }

    pub(super) const fn audit(&self) -> &AuditLog {
        &self.audit
    }

    /// Waits until the lines of the log are written: something that a disk holds may keep this from being dropped.
    pub(super) fn flush_log(&self) {
        self.log.flush();
    }

    /// Opens the files again. If one cannot be opened, the old one stays in use.
    pub(super) fn reopen(&self) {
        if let Some(path) = &self.log_path
            && let Some(file) = log_reopened(path, open_again(path), |file| Ok(dup2_stdout(file)?))
        {
            self.log.reopen(file);
        }
        let mut files = self.audit_files.lock().unwrap_or_else(PoisonError::into_inner);
        self.look.begin();
        if let Some(path) = &files.standard_error
            && let Some(file) = log_reopened(path, open_again(path), |file| Ok(dup2_stderr(file)?))
        {
            self.audit.reopen(file);
        }
        files.follow(&self.audit);
        self.look.end();
    }

    /// Whether the audit log has a file of its own.
    pub(super) const fn has_audit_file(&self) -> bool {
        self.has_audit_file
    }

    /// Continues in a new file if that of the audit log was renamed or removed. Call it about once a second. It may
    /// block.
    pub(super) fn follow_audit_file(&self) {
        let mut files = match self.audit_files.try_lock() {
            Ok(files) => files,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // Another thread waits for a disk that hangs.
            Err(TryLockError::WouldBlock) => return,
        };
        self.look.begin();
        files.follow(&self.audit);
        self.look.end();
    }

    /// Whether lines of the audit log can be written, and its disk lets its files be looked at: one that hangs there may take
    /// lines for long, and a file that is renamed meanwhile is not followed.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(super) fn check_audit(&self) -> Result<(), String> {
        self.audit.check()?;
        let held_up = self.look.for_at_least(HELD_UP);
        held_up.map_or(Ok(()), |since| Err(hangs("of the audit log", since.wall())))
    }
}

impl AuditFiles {
    fn follow(&mut self, audit: &AuditLog) {
        if let Some(own) = &mut self.own {
            own.follow(audit);
        }
    }
}

/// Makes `opened` the file of a stream, and logs the result.
fn log_reopened(
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

/// Opens the file of a stream again.
fn open_again(path: &Path) -> io::Result<File> {
    open_to_append(path, OFlags::WRONLY, 0o640)
}

/// The path of an open regular file, if the file is still there.
fn path_of(stream: impl AsFd) -> Option<PathBuf> {
    let descriptor = stream.as_fd();
    let path = fs::read_link(format!("/proc/self/fd/{}", descriptor.as_raw_fd())).ok()?;
    let opened = metadata_of(descriptor).ok().filter(fs::Metadata::is_file)?;
    let named = fs::metadata(&path).ok()?;
    ((opened.dev(), opened.ino()) == (named.dev(), named.ino())).then_some(path)
}

/// Whether it is `/dev/null`, also if the stream was closed when the process started.
fn is_dev_null(stream: impl AsFd) -> bool {
    let dev_null = fs::metadata("/dev/null");
    let stream = metadata_of(stream.as_fd());
    matches!((stream, dev_null), (Ok(stream), Ok(dev_null)) if stream.rdev() != 0 && stream.rdev() == dev_null.rdev())
}

fn metadata_of(stream: impl AsFd) -> io::Result<fs::Metadata> {
    File::from(stream.as_fd().try_clone_to_owned()?).metadata()
}
