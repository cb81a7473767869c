//! Recovery files: one share each, as upstream writes and reads them (crypto-and-storage 3.2).
//!
//! `spike.recovery.<index>.txt`, readable by its owner alone, holds `spike:<index>:<64 hex digits>` and no newline. The
//! text itself is `spike-crypto`'s.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use spike_crypto::Share;
use tempfile::NamedTempFile;

use crate::destination::refuse_dangling;
use crate::error::Error;

const PREFIX: &str = "spike.recovery";
const EXTENSION: &str = "txt";

/// A directory in which files can be created: found out before the shares leave Nexus.
#[derive(Debug)]
pub(crate) struct RecoveryDirectory(PathBuf);

impl RecoveryDirectory {
    /// Creates the directory, with all that is missing above it, for its owner alone, and tries whether a file can be
    /// created in it.
    pub(crate) fn prepare(path: &Path) -> Result<Self, Error> {
        let prepare = || {
            refuse_dangling(path)?;
            DirBuilder::new().recursive(true).mode(0o700).create(path)?;
            NamedTempFile::new_in(path)?.close()
        };
        prepare().map_err(|error| Error::File { path: path.to_owned(), error })?;
        Ok(Self(path.to_owned()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file for each share, then removes those of earlier exports.
    ///
    /// Upstream removes first (cli-config-deploy 10.2 no. 9). Here every new file is on the disk, under a name of its
    /// own, before the first old one is replaced; a failure up to that point leaves the old ones as they were.
    pub(crate) fn write(&self, shares: &[Share]) -> Result<(), Error> {
        let fail = |path: &Path| {
            let path = path.to_owned();
            move |error| Error::File { path, error }
        };
        let mut ready = Vec::with_capacity(shares.len());
        for share in shares {
            let place = self.0.join(format!("{PREFIX}.{}.{EXTENSION}", share.index));
            refuse_other_kinds(&place).map_err(fail(&place))?;
            let file = self.write_beside(share).map_err(fail(&place))?;
            ready.push((file, place));
        }
        let mut written = Vec::with_capacity(ready.len());
        for (file, place) in ready {
            file.persist(&place).map_err(|error| fail(&place)(error.error))?;
            written.push(place);
        }
        self.sync().map_err(fail(&self.0))?;
        self.remove_others(&written).map_err(fail(&self.0))
    }

    fn write_beside(&self, share: &Share) -> io::Result<NamedTempFile> {
        let mut file = NamedTempFile::new_in(&self.0)?;
        file.write_all(share.to_recovery_text().as_bytes())?;
        file.as_file().sync_all()?;
        Ok(file)
    }

    /// Makes the names as durable as the contents.
    fn sync(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }

    fn remove_others(&self, written: &[PathBuf]) -> io::Result<()> {
        for entry in fs::read_dir(&self.0)? {
            let path = entry?.path();
            if is_recovery_file(&path) && !written.contains(&path) {
                fs::remove_file(&path)?;
            }
        }
        self.sync()
    }
}

/// An earlier file is replaced. A link, a pipe or a directory of that name is somebody else's, and stays.
fn refuse_other_kinds(place: &Path) -> io::Result<()> {
    match place.symlink_metadata() {
        Ok(there) if there.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(there) if !there.is_file() => {
            let kind = if there.is_symlink() { "a symbolic link" } else { "no regular file" };
            let text = format!("it is {kind}: remove it, or choose another directory");
            Err(io::Error::new(io::ErrorKind::AlreadyExists, text))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// What upstream counts as one.
fn is_recovery_file(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == EXTENSION)
        && path
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with(PREFIX))
}

#[cfg(test)]
mod tests;
