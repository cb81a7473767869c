//! Putting a backup back where there is no data.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use spike_daemon::progress::Progress;
use spike_domain::UnixNanos;

use super::container::{Container, Manifest};
use super::error::BackupError;
use super::make::of_this_user;
use super::verify::{extract, verify};
use crate::store::error::StoreError;
use crate::store::sqlite::{create, private};
use crate::store::{Found, Home};

/// Checks the backup `file` and puts its database into `directory`, whole or not at all. Nothing is ever replaced: where
/// anything lies that only a store leaves behind, nothing is done.
///
/// # Errors
/// [`BackupError`]. Nothing was restored then.
pub fn restore(
    file: &Path,
    directory: &Path,
    now: UnixNanos,
    progress: &Progress,
) -> Result<Manifest, BackupError> {
    // Where the database is to be, as far as that is there: a container may have no other place to write to.
    let existing = directory.ancestors().find(|ancestor| ancestor.is_dir());
    let existing = existing.unwrap_or(Path::new("."));
    let manifest = verify(file, None, existing, now, progress)?.manifest;
    if let Ok(metadata) = fs::metadata(directory) {
        of_this_user(directory, metadata.uid())?;
    }
    let lock = directory.join(private::LOCK_FILE);
    let had_lock = lock.symlink_metadata().is_ok();
    let restored = restore_into(directory, file, progress);
    if restored.is_err() && !had_lock {
        // As it was: a lock that lies there is taken for the trace of a store. What cannot be removed is no harm.
        fs::remove_file(&lock).ok();
        let made = directory.ancestors().take_while(|ancestor| *ancestor != existing);
        made.for_each(|made| {
            fs::remove_dir(made).ok();
        });
    }
    restored.map(|()| manifest)
}

/// Puts the database of a backup that was checked into `directory`, which nobody else uses meanwhile.
fn restore_into(directory: &Path, file: &Path, progress: &Progress) -> Result<(), BackupError> {
    private::make_directory(directory)?;
    let _lock = private::lock_directory(directory)?;
    create::sweep(directory)?;
    let look = Home::File(directory.to_owned()).look();
    let occupied = match (look.doubt, look.found) {
        (Some(doubt), _) => Some(doubt),
        (None, Found::Nothing) => None,
        (None, Found::Ours) => Some("a store is there".to_owned()),
        (None, Found::Upstream | Found::Unreadable) => {
            Some("a database of upstream is there".to_owned())
        }
    };
    if let Some(what) = occupied {
        return Err(BackupError::Occupied { directory: directory.to_owned(), what });
    }
    let container = Container::open(file)?;
    let mut failed = None;
    let write = |new: &Path| {
        let mut out = private::private_file(new)?;
        extract(&container, (&mut out, directory), new, progress).map_err(|error| match error {
            BackupError::Store(error) => error,
            other => {
                let what = other.to_string();
                failed = Some(other);
                StoreError::Damaged { path: new.to_owned(), what }
            }
        })
    };
    let built = create::whole(directory, write, || ());
    match (built, failed) {
        (Ok(()), _) => Ok(()),
        (Err(_), Some(error)) => Err(error),
        (Err(error), None) => Err(error.into()),
    }
}
