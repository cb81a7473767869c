//! The file that says that the database was overwritten while Nexus had it open.
//!
//! SQLite would take the database that is there now and the log of the one before for one: some rows are new, others of the other
//! database, and nothing tells. So while this file is there, the database is not opened, and no backup of it is made.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::create;
use super::private::unusable;
use crate::store::error::StoreError;

pub(in crate::store) const FILE: &str = "nexus.overwritten";

/// Leaves the file beside the database, with the error in it.
pub(super) fn note(database: &Path, error: &StoreError) {
    let path = database.with_file_name(FILE);
    let written = File::options().write(true).create_new(true).mode(0o600).open(&path).and_then(
        |mut file| {
            writeln!(file, "{error}.")?;
            file.sync_all()
        },
    );
    match written {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => {
            tracing::error!(file = %path.display(), %error, "it cannot be noted for the next start that the database was overwritten");
        }
    }
}

/// Requires that the file is not there.
///
/// # Errors
/// [`StoreError::Damaged`]; [`StoreError::Unusable`] if that cannot be found out.
pub(in crate::store) fn refuse(directory: &Path) -> Result<(), StoreError> {
    let path = directory.join(FILE);
    match path.symlink_metadata() {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        // Nothing shows that it is not there.
        Err(error) => return Err(unusable(&path, error)),
    }
    let what = format!(
        "it was overwritten while Nexus had it open, as {FILE} beside it says, and its write-ahead log is that of another one. Stop \
         Nexus, put the right database there, remove {FILE}, and start Nexus"
    );
    Err(StoreError::Damaged { path: directory.join(create::FILE), what })
}
