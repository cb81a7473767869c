//! Creates the file of a new store atomically.
//!
//! It is built under another name and renamed once it is complete and on the disk. So an empty `nexus.db` is damaged, never
//! new: a truncated file must not be taken for a fresh start.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use spike_daemon::process::DanglingLink;

use super::private::{private_file, unusable};
use crate::store::error::StoreError;

/// The file of the store.
pub(in crate::store) const FILE: &str = "nexus.db";

/// The file while it is being built.
pub(in crate::store) const NEW_FILE: &str = "nexus.db.new";

/// The files that SQLite keeps beside a database. Without them it may be incomplete.
const LOGS: [&str; 2] = ["nexus.db-wal", "nexus.db-journal"];

/// Whether there is a store in `directory`, or a part of one. Returns `true` in case of doubt.
pub(in crate::store) fn exists(directory: &Path) -> bool {
    let path = directory.join(FILE);
    path.try_exists().unwrap_or(true)
        || DanglingLink::on(&path).is_some()
        || LOGS.iter().any(|log| length(&directory.join(log)).is_none_or(|length| length > 0))
}

/// Removes the remains of an interrupted creation.
pub(in crate::store) fn sweep(directory: &Path) -> Result<(), StoreError> {
    for suffix in ["", "-journal", "-wal", "-shm"] {
        let path = directory.join(format!("{NEW_FILE}{suffix}"));
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(unusable(&path, error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// Refuses to create a store beside the log of a lost one: SQLite would apply it to the new one.
pub(in crate::store) fn refuse_remains(directory: &Path) -> Result<(), StoreError> {
    match LOGS.iter().find(|log| length(&directory.join(log)).is_none_or(|length| length > 0)) {
        None => Ok(()),
        Some(log) => Err(StoreError::Damaged {
            path: directory.join(FILE),
            what: format!("it is gone, its {log} is not"),
        }),
    }
}

/// Requires that the file of a store is there.
pub(in crate::store) fn require(directory: &Path) -> Result<(), StoreError> {
    let path = directory.join(FILE);
    let is_there = path.try_exists().map_err(|source| match source.kind() {
        io::ErrorKind::NotADirectory => unusable(directory, source),
        _ => unusable(&path, source),
    })?;
    if is_there {
        return Ok(());
    }
    refuse_remains(directory)?;
    Err(StoreError::Missing { path })
}

/// Requires that no store is there, and nothing of a lost one.
pub(in crate::store) fn refuse_store(directory: &Path) -> Result<(), StoreError> {
    let path = directory.join(FILE);
    if path.try_exists().map_err(|source| unusable(&path, source))? {
        return Err(StoreError::Exists { path });
    }
    refuse_remains(directory)
}

/// Lets `fill` build a database in an empty file, and gives it its final name, if no file has this name. Calls `placed` as soon
/// as it has the name, also if what follows fails.
pub(in crate::store) fn whole<T>(
    directory: &Path,
    fill: impl FnOnce(&Path) -> Result<T, StoreError>,
    placed: impl FnOnce(),
) -> Result<T, StoreError> {
    let built = build(directory, fill, placed);
    if built.is_err() {
        sweep(directory)?;
    }
    built
}

fn build<T>(
    directory: &Path,
    fill: impl FnOnce(&Path) -> Result<T, StoreError>,
    placed: impl FnOnce(),
) -> Result<T, StoreError> {
    let new = directory.join(NEW_FILE);
    let handle = private_file(&new)?;
    let filled = fill(&new)?;
    handle.sync_all().map_err(|source| unusable(&new, source))?;
    let path = directory.join(FILE);
    rename_to_unused(&new, &path).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => StoreError::Exists { path: path.clone() },
        _ => unusable(&path, source),
    })?;
    placed();
    // The name must survive a power loss, as the content does.
    let directory_file = File::open(directory).map_err(|source| unusable(directory, source))?;
    directory_file.sync_all().map_err(|source| unusable(directory, source))?;
    Ok(filled)
}

/// Renames a file, and fails if there is one of the new name.
fn rename_to_unused(old: &Path, new: &Path) -> io::Result<()> {
    match renameat_with(CWD, old, CWD, new, RenameFlags::NOREPLACE) {
        // The file system cannot do that, such as NFS.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => link_to_unused(old, new),
        renamed => Ok(renamed?),
    }
}

fn link_to_unused(old: &Path, new: &Path) -> io::Result<()> {
    match fs::hard_link(old, new) {
        Ok(()) => {
            // If it stays, the next opening removes it.
            drop(fs::remove_file(old));
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        // Nor links, such as FAT.
        Err(_) => rename_if_unused(old, new),
    }
}

/// The lock of the directory keeps every other Nexus away between the two.
fn rename_if_unused(old: &Path, new: &Path) -> io::Result<()> {
    match fs::symlink_metadata(new) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs::rename(old, new),
        Err(error) => Err(error),
        Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
    }
}

/// 0 if there is no such file, `None` if that is unknown.
fn length(path: &Path) -> Option<u64> {
    match fs::metadata(path) {
        Ok(metadata) => Some(metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(0),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database that arrived while a new one was built was overwritten.
    #[test]
    fn a_file_that_arrives_meanwhile_keeps_its_name_and_its_content() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(FILE);
        let write = |new: &Path| {
            fs::write(new, "built").unwrap();
            fs::write(&file, "arrived").unwrap();
            Ok(())
        };
        let built = whole(directory.path(), write, || unreachable!("it has no name"));
        assert!(matches!(built, Err(StoreError::Exists { .. })), "{built:?}");
        assert_eq!(fs::read(&file).unwrap(), b"arrived");
        assert!(!directory.path().join(NEW_FILE).exists());
    }

    /// Where neither names nor links can be made only if they are new, no store could be made at all.
    #[test]
    fn without_links_a_file_is_renamed_unless_there_is_one() {
        let directory = tempfile::tempdir().unwrap();
        let (old, new) = (directory.path().join("old"), directory.path().join("new"));
        fs::write(&old, "built").unwrap();
        rename_if_unused(&old, &new).unwrap();
        assert_eq!(fs::read(&new).unwrap(), b"built");
        fs::write(&old, "again").unwrap();
        let refused = rename_if_unused(&old, &new).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&new).unwrap(), b"built");
    }
}
