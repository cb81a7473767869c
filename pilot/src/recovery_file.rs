//! Recovery files: one share each, as upstream writes and reads them (crypto-and-storage 3.2).
//!
//! `spike.recovery.<index>.txt`, readable by its owner alone, holds `spike:<index>:<64 hex digits>` and no newline. The
//! text itself is `spike-crypto`'s.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;
use spike_crypto::Share;
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use crate::destination::refuse_dangling;
use crate::error::Error;

const PREFIX: &str = "spike.recovery";
const EXTENSION: &str = "txt";

/// The most bytes of a recovery file that holds one share, with room for blanks around it.
const LONGEST_SHARE: usize = 127;

/// A directory in which files can be created. That is checked before the shares leave Nexus.
#[derive(Debug)]
pub(crate) struct RecoveryDirectory {
    path: PathBuf,
    /// The directories that this run created, the deepest first. Those that stay empty are removed at the end.
    made: Vec<PathBuf>,
}

impl RecoveryDirectory {
    /// Creates the directory and its missing parents for their owner alone, and tries to create a file in it.
    pub(crate) fn prepare(path: &Path) -> Result<Self, Error> {
        let fail = |error| Error::File { path: path.to_owned(), error };
        refuse_dangling(path).map_err(fail)?;
        let missing = |part: &&Path| !part.as_os_str().is_empty() && !part.exists();
        let made = path.ancestors().take_while(missing).map(Path::to_owned).collect();
        let directory = Self { path: path.to_owned(), made };
        let create = || {
            DirBuilder::new().recursive(true).mode(0o700).create(path)?;
            NamedTempFile::new_in(path).and_then(NamedTempFile::close).map_err(without_the_path)
        };
        create().map_err(fail)?;
        Ok(directory)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Who else can remove or replace files in the directory, in words.
    pub(crate) fn risk(&self) -> Option<String> {
        let there = fs::metadata(&self.path).ok()?;
        risk(there.uid(), there.mode(), geteuid().as_raw())
    }

    /// Writes a file for each share, and returns the names of other recovery files in the directory.
    ///
    /// Upstream removes every earlier file (cli-config-deploy 10.2 no. 9). But an earlier file may hold a share of an earlier
    /// root key, and be the only way to its data. So nothing is written if a file with another share would be replaced, and
    /// files with other numbers stay.
    pub(crate) fn write(&self, shares: &[Share]) -> Result<Vec<String>, Error> {
        let fail = |path: &Path| {
            let path = path.to_owned();
            move |error| Error::File { path, error }
        };
        let mut found = Vec::with_capacity(shares.len());
        let mut others = Vec::new();
        for share in shares {
            let place = self.path.join(format!("{PREFIX}.{}.{EXTENSION}", share.index));
            let kind = find(&place, share).map_err(fail(&place))?;
            if kind == Found::Other {
                others.push(name_of(&place));
            }
            found.push((place, kind));
        }
        if !others.is_empty() {
            return Err(Error::OtherShares { directory: self.path.clone(), files: others });
        }
        // All are written before the first gets its name: a full disk leaves no half of a set.
        let written = shares.iter().map(|share| self.write_beside(share));
        let written = written.collect::<io::Result<Vec<_>>>().map_err(fail(&self.path))?;
        for (file, (place, kind)) in written.into_iter().zip(&found) {
            // A file that got the name in the meantime is not replaced.
            let named = if *kind == Found::Same {
                file.persist(place)
            } else {
                file.persist_noclobber(place)
            };
            named.map_err(|error| fail(place)(error.error))?;
        }
        let places: Vec<PathBuf> = found.into_iter().map(|(place, _)| place).collect();
        self.sync().map_err(fail(&self.path))?;
        self.leftovers(&places).map_err(fail(&self.path))
    }

    fn write_beside(&self, share: &Share) -> io::Result<NamedTempFile> {
        let mut file = NamedTempFile::new_in(&self.path).map_err(without_the_path)?;
        file.as_file_mut().write_all(share.to_recovery_text().as_bytes())?;
        file.as_file().sync_all()?;
        Ok(file)
    }

    /// Makes the names of the files durable.
    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    /// The names of recovery files that were not written now.
    fn leftovers(&self, written: &[PathBuf]) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            if is_recovery_file(&path) && !written.contains(&path) {
                names.push(name_of(&path));
            }
        }
        names.sort();
        Ok(names)
    }
}

impl Drop for RecoveryDirectory {
    fn drop(&mut self) {
        // A directory that is not empty is not removed.
        self.made.iter().take_while(|path| fs::remove_dir(path).is_ok()).for_each(drop);
    }
}

/// The error without the name of a temporary file, which nobody can find any more.
fn without_the_path(error: io::Error) -> io::Error {
    if error.raw_os_error().is_some() { error } else { error.kind().into() }
}

/// Who except `me` and root can remove or replace files in a directory with this owner and mode.
fn risk(owner: u32, mode: u32, me: u32) -> Option<String> {
    if owner != me && owner != 0 {
        return Some(format!("belongs to the user with the number {owner}"));
    }
    // In a sticky directory, such as /tmp, only the owner of a file removes it.
    let others = mode & 0o022 != 0 && mode & 0o1000 == 0;
    others.then(|| format!("can be written by other users (mode {:04o})", mode & 0o7777))
}

/// What exists under the name of a recovery file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    /// The share that is to be written.
    Same,
    /// Anything else.
    Other,
}

/// # Errors
/// The operating system's, or the kind of what is there and is no regular file.
fn find(place: &Path, share: &Share) -> io::Result<Found> {
    refuse_other_kinds(place)?;
    let file = match File::open(place) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(error),
    };
    // One byte more than a share may have tells that a file is too long. The buffer never grows.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST_SHARE + 1));
    file.take(LONGEST_SHARE as u64 + 1).read_to_end(&mut bytes)?;
    let whole = (bytes.len() <= LONGEST_SHARE).then_some(&bytes);
    let there = whole.and_then(|bytes| Share::from_recovery_bytes(bytes).ok());
    let is_same =
        there.is_some_and(|there| there.index == share.index && there.value.ct_eq(&share.value));
    Ok(if is_same { Found::Same } else { Found::Other })
}

/// The last part of a path.
fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A regular file may be replaced. A link, a pipe or a directory of that name is somebody else's, and stays.
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

/// How many recovery files are in a directory; none if it cannot be read.
pub(crate) fn count(directory: &Path) -> usize {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter(|entry| is_recovery_file(&entry.path())).count()
}

/// Whether upstream would take this for a recovery file.
fn is_recovery_file(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == EXTENSION)
        && path
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with(PREFIX))
}

#[cfg(test)]
mod tests;
