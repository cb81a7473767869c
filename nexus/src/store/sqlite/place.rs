//! Checks that the open files are still at their paths. A process can write to a file long after it was removed or replaced,
//! and everything that it writes is lost when the process ends. A lock that was removed keeps no second process out any more.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::private::{LOCK_FILE, unusable};
use crate::store::error::StoreError;

/// The files of an open store, identified by device and inode.
#[derive(Debug, Default)]
pub(in crate::store) struct Place(Vec<(PathBuf, u64, u64)>);

impl Place {
    /// The existing ones among `paths`. Call it while no other process can have created them.
    pub(in crate::store) fn of(paths: &[&Path]) -> Result<Self, StoreError> {
        let mut files = Vec::with_capacity(paths.len());
        for path in paths {
            match fs::metadata(path) {
                Ok(found) => files.push(((*path).to_owned(), found.dev(), found.ino())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(unusable(path, error)),
            }
        }
        Ok(Self(files))
    }

    /// Checks that each file is at its path. Costs a system call for each, which takes microseconds.
    ///
    /// # Errors
    /// [`StoreError::Misplaced`] for the first file that is not, [`StoreError::LockLost`] if that is the lock.
    pub(in crate::store) fn check(&self) -> Result<(), StoreError> {
        for (path, device, inode) in &self.0 {
            let what = match fs::metadata(path) {
                Ok(found) if (found.dev(), found.ino()) == (*device, *inode) => continue,
                Ok(_) => "another file is there".to_owned(),
                Err(error) => format!("it is not there: {error}"),
            };
            let path = path.clone();
            return Err(if path.file_name().is_some_and(|name| name == LOCK_FILE) {
                StoreError::LockLost { path, what }
            } else {
                StoreError::Misplaced { path, what }
            });
        }
        Ok(())
    }
}
