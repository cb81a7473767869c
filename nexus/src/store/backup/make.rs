//! Making a backup from the files of a store, which a Nexus may have open and write to meanwhile.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use spike_daemon::progress::{Amount, Progress};
use spike_domain::UnixNanos;
use spike_mtls::clock;
use tempfile::{Builder, NamedTempFile};

use super::container::{self, Manifest};
use super::error::BackupError;
use super::examine;
use crate::store::error::StoreError;
use crate::store::sqlite::{create, length, overwritten, private};

/// Writers lock the database for moments only, and in WAL mode not for readers.
const PATIENCE: Duration = Duration::from_secs(30);

/// Makes a backup of the store in `directory`, as one file that only its owner may read. The file appears whole or not at
/// all.
///
/// The copy is one transaction of the database: it holds every write that was answered before this call, and of each later
/// transaction all or nothing. In WAL mode it keeps neither writers nor readers waiting; the write-ahead log grows while it
/// lasts. In the other journal modes writers wait for it. It takes twice the size of the database beside `file` for a
/// while.
///
/// # Errors
/// [`BackupError`]. Whatever was written is gone then.
pub fn back_up(
    directory: &Path,
    file: &Path,
    now: UnixNanos,
    progress: &Progress,
) -> Result<Manifest, BackupError> {
    let source = directory.join(create::FILE);
    match fs::metadata(&source) {
        Ok(metadata) => of_this_user(&source, metadata.uid())?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(BackupError::NoStore { directory: directory.to_owned() });
        }
        Err(error) => return Err(BackupError::unusable(&source)(error)),
    }
    refuse_unfit(directory, &source)?;
    // Also by a link, and if it is a file after all, as /dev/stdout may be.
    let is_device = ["/dev", "/proc"].iter().any(|place| file.starts_with(place));
    let is_no_file =
        |metadata: fs::Metadata| !metadata.is_dir() && (is_device || !metadata.is_file());
    if fs::metadata(file).is_ok_and(is_no_file) {
        return Err(BackupError::NoFile { path: file.to_owned() });
    }
    if file.symlink_metadata().is_ok() {
        return Err(BackupError::Exists { path: file.to_owned() });
    }
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    if !parent.is_dir() {
        return Err(BackupError::NoDirectory { directory: parent.to_owned() });
    }
    let unusable = BackupError::unusable(parent);
    // Only its owner may enter it.
    let scratch = Builder::new().prefix(".spike-backup-").tempdir_in(parent).map_err(&unusable)?;
    let copy = scratch.path().join(create::FILE);
    progress.begin("copying the database", Amount::Unknown);
    copy_database(&source, &copy)?;
    let contents = examine::contents(&examine::open(&copy)?)?;
    let mut whole = NamedTempFile::new_in(scratch.path()).map_err(&unusable)?;
    let at = clock::at(now);
    let created = clock::second(at);
    let manifest = container::write(whole.as_file_mut(), &copy, (contents, created), progress)
        .map_err(&unusable)?;
    whole.as_file().sync_all().map_err(&unusable)?;
    // A Nexus that runs may have noticed it meanwhile.
    overwritten::refuse(directory)?;
    whole.persist_noclobber(file).map_err(|failed| match failed.error.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists { path: file.to_owned() },
        _ => BackupError::unusable(file)(failed.error),
    })?;
    // The name must survive a power loss as the content does.
    File::open(parent).and_then(|parent| parent.sync_all()).map_err(&unusable)?;
    Ok(manifest)
}

/// Refuses a database that no Nexus would open, before SQLite does: it would be copied without the log that belongs to it, or with that
/// of another one, and beside an empty file SQLite discards the log.
///
/// A second name (a hard link) is none of its business: a Nexus that runs does not mind, and tools for snapshots make such links.
fn refuse_unfit(directory: &Path, source: &Path) -> Result<(), StoreError> {
    overwritten::refuse(directory)?;
    private::refuse_apart_from_log(source)?;
    length::refuse_stub(source)
}

/// SQLite makes files beside the database, with the owner of this process: Nexus could not open those of another user.
pub(super) fn of_this_user(path: &Path, owner: u32) -> Result<(), BackupError> {
    let user = rustix::process::geteuid().as_raw();
    if owner == user {
        return Ok(());
    }
    Err(BackupError::OtherUser { path: path.to_owned(), owner, user })
}

fn copy_database(source: &Path, copy: &Path) -> Result<(), BackupError> {
    let connection = examine::open(source)?;
    connection.busy_timeout(PATIENCE)?;
    let Some(copy) = copy.to_str() else {
        let error = io::Error::new(io::ErrorKind::InvalidInput, "the path is not UTF-8");
        return Err(BackupError::unusable(copy)(error));
    };
    connection.execute("VACUUM INTO ?1", [copy])?;
    Ok(())
}
