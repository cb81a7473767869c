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
    let scratch = directory.ancestors().find(|ancestor| ancestor.is_dir());
    let manifest = verify(file, None, scratch.unwrap_or(Path::new(".")), now, progress)?.manifest;
    if let Ok(metadata) = fs::metadata(directory) {
        of_this_user(directory, metadata.uid())?;
    }
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
    let built = create::whole(directory, |new| {
        let mut out = private::private_file(new)?;
        extract(&container, &mut out, new, progress).map_err(|error| match error {
            BackupError::Store(error) => error,
            other => {
                let what = other.to_string();
                failed = Some(other);
                StoreError::Damaged { path: new.to_owned(), what }
            }
        })
    });
    match (built, failed) {
        (Ok(()), _) => Ok(manifest),
        (Err(_), Some(error)) => Err(error),
        (Err(error), None) => Err(error.into()),
    }
}
