//! Creates the file of a new store atomically.
//!
//! It is built under another name and renamed once it is complete and on the disk. So an empty `nexus.db` is damaged, never
//! new: a truncated file must not be taken for a fresh start.

use std::fs::{self, File};
use std::io;
use std::path::Path;

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

/// Lets `fill` build a database in an empty file, and renames it to its final name.
pub(in crate::store) fn whole<T>(
    directory: &Path,
    fill: impl FnOnce(&Path) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let built = build(directory, fill);
    if built.is_err() {
        sweep(directory)?;
    }
    built
}

fn build<T>(
    directory: &Path,
    fill: impl FnOnce(&Path) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let new = directory.join(NEW_FILE);
    let handle = private_file(&new)?;
    let filled = fill(&new)?;
    handle.sync_all().map_err(|source| unusable(&new, source))?;
    let path = directory.join(FILE);
    fs::rename(&new, &path).map_err(|source| unusable(&path, source))?;
    // The name must survive a power loss, as the content does.
    let directory_file = File::open(directory).map_err(|source| unusable(directory, source))?;
    directory_file.sync_all().map_err(|source| unusable(directory, source))?;
    Ok(filled)
}

/// 0 if there is no such file, `None` if that is unknown.
fn length(path: &Path) -> Option<u64> {
    match fs::metadata(path) {
        Ok(metadata) => Some(metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(0),
        Err(_) => None,
    }
}
