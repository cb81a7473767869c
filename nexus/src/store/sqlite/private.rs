//! Directories and files that only their owner may read, if the system permits it.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FlockOperation, StatxFlags, statx};
use spike_daemon::open_regular;

use crate::store::error::StoreError;

/// Excludes a second process.
pub(in crate::store) const LOCK_FILE: &str = "nexus.lock";

pub(in crate::store) fn make_directory(directory: &Path) -> Result<(), StoreError> {
    let failed = |source| unusable(directory, source);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
    protect_directory(directory)
}

/// Takes the rights of others away from a directory that is there.
pub(in crate::store) fn protect_directory(directory: &Path) -> Result<(), StoreError> {
    let failed = |source| unusable(directory, source);
    let mode = fs::metadata(directory).map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0
        && let Err(error) = fs::set_permissions(directory, Permissions::from_mode(0o700))
    {
        // A mounted volume may have another owner. The files themselves are 0600.
        tracing::warn!(
            directory = %directory.display(),
            mode = format_args!("{:o}", mode & 0o7777),
            %error,
            "the data directory is open to others and its mode cannot be changed"
        );
    }
    Ok(())
}

/// The lock on a directory, until it is dropped.
#[derive(Debug)]
pub(in crate::store) struct DirectoryLock(File);

impl Drop for DirectoryLock {
    /// Says so: a process that is just being started by this one still has a copy of the descriptor, and the lock with it.
    fn drop(&mut self) {
        // If that fails, the lock ends with the last copy.
        rustix::fs::flock(&self.0, FlockOperation::Unlock).ok();
    }
}

/// Only one process at a time: counters and caches would not notice a second one.
pub(in crate::store) fn lock_directory(directory: &Path) -> Result<DirectoryLock, StoreError> {
    let path = directory.join(LOCK_FILE);
    let file = private_file(&path)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(DirectoryLock(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            Err(StoreError::InUse { directory: directory.to_owned() })
        }
        Err(error) => Err(unusable(&path, error.into())),
    }
}

/// Refuses a database that is a link, or a mount of its own: SQLite keeps the write-ahead log beside the file that a link leads to,
/// and in the directory of a mounted file. Nothing else looks for it there, and a copy of one has not the other.
pub(in crate::store) fn refuse_apart_from_log(path: &Path) -> Result<(), StoreError> {
    let what = match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => {
            "it is a symbolic link, and its write-ahead log would be elsewhere. Stop Nexus, and move the file, and the -wal and -shm \
             beside it, to where the link is; the directory itself may be a link or a mount"
        }
        Ok(_) if is_mounted(path) => {
            "it is a mount of its own, and its write-ahead log would be elsewhere. Stop Nexus, and mount the directory in place of the \
             file, with the -wal and -shm that are in this directory beside it"
        }
        // Whatever is wrong with it is noticed where it is opened.
        Ok(_) | Err(_) => return Ok(()),
    };
    Err(unusable(path, io::Error::other(what)))
}

/// Refuses a database that has another name, in this directory or elsewhere, for the same reason: a Nexus that opens it by that name does
/// not find the log. Call it once what an interrupted creation left is gone.
pub(in crate::store) fn refuse_second_name(path: &Path) -> Result<(), StoreError> {
    let links = fs::symlink_metadata(path).map_or(1, |found| found.nlink());
    if links <= 1 {
        return Ok(());
    }
    let what = format!(
        "it has {links} names (hard links, as `cp -al` makes them), and its write-ahead log would be beside one of them only: what is \
         written by one name is lost by the other. Stop Nexus, and make it a file of its own: cp -p nexus.db nexus.db.own && mv \
         nexus.db.own nexus.db"
    );
    Err(unusable(path, io::Error::other(what)))
}

/// Whether the file is mounted by itself. `false` if the system does not tell (before Linux 5.8).
fn is_mounted(path: &Path) -> bool {
    let mount = |path: &Path| {
        let found = statx(CWD, path, AtFlags::empty(), StatxFlags::MNT_ID).ok()?;
        (found.stx_mask & StatxFlags::MNT_ID.bits() != 0).then_some(found.stx_mnt_id)
    };
    let (file, directory) = (mount(path), path.parent().and_then(mount));
    file.zip(directory).is_some_and(|(file, directory)| file != directory)
}

/// Whether another process holds the lock of the directory. Takes it for a moment, together with others who only look.
pub(in crate::store) fn is_locked(directory: &Path) -> bool {
    let Ok(file) = open_regular(&directory.join(LOCK_FILE)) else { return false };
    let taken = rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared);
    taken == Err(rustix::io::Errno::WOULDBLOCK)
}

/// Opens or creates a file that only its owner may read.
pub(in crate::store) fn private_file(path: &Path) -> Result<File, StoreError> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(path).map_err(|source| unusable(path, source))?;
    protect_file(file, path)
}

/// Opens a file that is there, and takes the rights of others away from it.
///
/// # Errors
/// [`StoreError::Missing`]: it is not there.
pub(in crate::store) fn existing_private_file(path: &Path) -> Result<File, StoreError> {
    let opened = File::options().read(true).write(true).open(path);
    let file = opened.map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => StoreError::Missing { path: path.to_owned() },
        _ => unusable(path, source),
    })?;
    protect_file(file, path)
}

fn protect_file(file: File, path: &Path) -> Result<File, StoreError> {
    let failed = |source| unusable(path, source);
    let mode = file.metadata().map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0
        && let Err(error) = file.set_permissions(Permissions::from_mode(0o600))
    {
        // It has another owner, as on a volume that is shared through a group. Its content is encrypted.
        tracing::warn!(
            file = %path.display(),
            mode = format_args!("{:o}", mode & 0o7777),
            %error,
            "a file of the store is open to others and its mode cannot be changed; the -wal and -shm files that the database \
             makes beside it have the same mode"
        );
    }
    Ok(file)
}

pub(in crate::store) fn unusable(path: &Path, source: io::Error) -> StoreError {
    StoreError::Unusable { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store was "in use by another process" after its end, because a process had just been started that was not run yet.
    #[test]
    fn a_lock_ends_with_its_owner_whoever_has_a_copy_of_its_descriptor() {
        let directory = tempfile::tempdir().unwrap();
        let lock = lock_directory(directory.path()).unwrap();
        let copy = lock.0.try_clone().unwrap();
        assert!(matches!(lock_directory(directory.path()), Err(StoreError::InUse { .. })));
        drop(lock);
        drop(lock_directory(directory.path()).unwrap());
        drop(copy);
    }
}
