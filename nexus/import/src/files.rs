//! Upstream's files: found, compared, and copied. No byte of them is ever changed.
//!
//! Upstream leaves its newest data in the write-ahead log (K12), and SQLite cannot read a log without writing beside it. So a
//! copy is read, in a directory of its own inside the data directory, because other places may be less confidential.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rustix::fs::FlockOperation;
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use spike_domain::UnixNanos;

use crate::error::ImportError;
use crate::untrusted::{distrust, flags};

/// Upstream's database (crypto-and-storage 7.1).
pub const FILE: &str = "spike.db";
/// Where the copy is made.
pub const COPY: &str = "nexus.import";
/// The database, its write-ahead log, and its rollback journal. `-shm` is created again.
const PARTS: [&str; 3] = ["", "-wal", "-journal"];

/// Whether upstream's database is in `directory`. Returns `true` in case of doubt.
pub fn exists(directory: &Path) -> bool {
    // A link without a target counts too: the target may be on a volume that is not mounted.
    match fs::symlink_metadata(directory.join(FILE)) {
        Err(error) => error.kind() != io::ErrorKind::NotFound,
        Ok(_) => true,
    }
}

/// Removes the remains of an interrupted import.
///
/// # Errors
/// [`ImportError::Unusable`] if they cannot be removed.
pub fn sweep(directory: &Path) -> Result<(), ImportError> {
    let copy = directory.join(COPY);
    match fs::remove_dir_all(&copy) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(ImportError::unusable(&copy, error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The properties by which a database is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileRecord {
    /// Its size in bytes, including the files beside it.
    pub bytes: u64,
    /// When one of them was last modified.
    pub modified: UnixNanos,
    /// SHA-256 of the file, followed by those beside it.
    pub sha256: [u8; 32],
}

/// Upstream's database in the data directory.
#[derive(Debug)]
pub struct Upstream {
    directory: PathBuf,
    /// The database itself.
    pub(crate) path: PathBuf,
    /// Its size in bytes, including the files beside it.
    pub(crate) bytes: u64,
    /// When one of them was last modified.
    pub(crate) modified: UnixNanos,
}

impl Upstream {
    /// `None` if there is none in `directory`.
    ///
    /// # Errors
    /// [`ImportError::Unusable`] if that cannot be found out.
    pub fn find(directory: &Path) -> Result<Option<Self>, ImportError> {
        let path = directory.join(FILE);
        let (mut bytes, mut modified) = (0, UnixNanos::MIN);
        for part in PARTS {
            let file = directory.join(format!("{FILE}{part}"));
            match fs::metadata(&file) {
                Ok(found) => {
                    bytes += found.len();
                    let seconds = found.mtime().saturating_mul(1_000_000_000);
                    modified = modified.max(seconds.saturating_add(found.mtime_nsec()));
                }
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(ImportError::unusable(&file, error));
                }
                Err(missing) if part.is_empty() && exists(directory) => {
                    return Err(ImportError::unusable(&file, missing));
                }
                Err(_missing) if part.is_empty() => return Ok(None),
                Err(_missing) => {}
            }
        }
        Ok(Some(Self { directory: directory.to_owned(), path, bytes, modified }))
    }

    /// Whether this is the database of `record`. Reads it only if its size is the same and its time is different.
    ///
    /// # Errors
    /// [`ImportError::Unusable`] if it cannot be read.
    pub fn is(&self, record: &FileRecord) -> Result<bool, ImportError> {
        if self.bytes != record.bytes {
            return Ok(false);
        }
        Ok(self.modified == record.modified || self.pass_to(None)? == record.sha256)
    }

    /// Copies it and opens the copy.
    pub(crate) fn copy(&self) -> Result<Copy, ImportError> {
        let path = self.directory.join(COPY);
        let failed = |source| ImportError::unusable(&path, source);
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(failed)?;
        let directory = Scratch(path);
        let sha256 = self.pass_to(Some(&directory.0))?;
        let connection = open_copy(&directory.0.join(FILE)).map_err(|error| self.fault(&error))?;
        Ok(Copy { connection, sha256, _directory: directory })
    }

    /// The error of SQLite about the copy.
    pub(crate) fn fault(&self, error: &rusqlite::Error) -> ImportError {
        ImportError::Unreadable { path: self.path.clone(), what: error.to_string() }
    }

    /// Reads all parts through one hash, and into `target` if there is one.
    fn pass_to(&self, target: Option<&Path>) -> Result<[u8; 32], ImportError> {
        // Through one handle: on POSIX, closing a second one would release the lock.
        let mut database = Some(if target.is_some() { self.lock()? } else { self.open(false)? });
        let mut hash = Sha256::new();
        for part in PARTS {
            let name = format!("{FILE}{part}");
            let path = self.directory.join(&name);
            let mut beside;
            let source = if let (true, Some(database)) = (part.is_empty(), &mut database) {
                database
            } else {
                beside = match File::open(&path) {
                    Ok(file) => file,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(ImportError::unusable(&path, error)),
                };
                &mut beside
            };
            let copied = target.map(|target| target.join(&name));
            pour(source, &mut hash, copied.as_deref()).map_err(|error| {
                ImportError::unusable(copied.as_deref().unwrap_or(&path), error)
            })?;
        }
        Ok(hash.finalize().into())
    }

    /// Opens the database with SQLite's locks on it, so that no other process writes while it is copied.
    ///
    /// This notices a running Nexus of upstream on this machine in WAL mode, its default: its connection always holds a lock.
    /// It notices none in the other journal modes, on a read-only file, and across some network file systems.
    fn lock(&self) -> Result<File, ImportError> {
        // The lock requires a handle for writing. Nothing is written.
        let file = match self.open(true) {
            Err(ImportError::Unusable { source, .. })
                if matches!(
                    source.kind(),
                    io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
                ) =>
            {
                return self.open(false);
            }
            opened => opened?,
        };
        match rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::AGAIN | Errno::ACCESS) => {
                Err(ImportError::InUse { path: self.path.clone() })
            }
            Ok(()) => Ok(file),
            Err(error) => {
                tracing::warn!(%error, "upstream's database cannot be locked while it is copied");
                Ok(file)
            }
        }
    }

    fn open(&self, write: bool) -> Result<File, ImportError> {
        let opened = File::options().read(true).write(write).open(&self.path);
        opened.map_err(|source| ImportError::unusable(&self.path, source))
    }
}

/// A readable copy. It is removed when dropped.
#[derive(Debug)]
pub(crate) struct Copy {
    // Closed before the files are removed.
    pub(crate) connection: Connection,
    pub(crate) sha256: [u8; 32],
    _directory: Scratch,
}

#[derive(Debug)]
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(
                directory = %self.0.display(), %error,
                "the copy of upstream's database is left; the next start removes it"
            );
        }
    }
}

fn open_copy(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags())?;
    distrust(&connection)?;
    // Without other processes no shared memory is needed, which some file systems do not have.
    connection.pragma_update_and_check(None, "locking_mode", "EXCLUSIVE", |_row| Ok(()))?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn pour(source: &mut File, hash: &mut Sha256, target: Option<&Path>) -> io::Result<()> {
    let mut target = match target {
        Some(path) => Some(File::options().write(true).create_new(true).mode(0o600).open(path)?),
        None => None,
    };
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = match source.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
            return Ok(());
        };
        hash.update(bytes);
        if let Some(target) = &mut target {
            target.write_all(bytes)?;
        }
    }
}
