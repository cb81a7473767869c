//! The marker of a machine: a small JSON file that is always replaced as a whole.

use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use spike_daemon::{process::DanglingLink, read_small};

use super::Completion;

const NAME: &str = "bootstrap-completed.json";
const LOCK: &str = "bootstrap.lock";

/// The most bytes of a marker.
const LONGEST: usize = 4096;

/// The directory of the file.
#[derive(Debug)]
pub(crate) struct FileMarker {
    directory: PathBuf,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// It may exist, and cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It exists, and its content is not a marker.
    #[error("{} is no marker of Bootstrap", .0.display())]
    Malformed(PathBuf),
    /// The lock cannot be taken, so it is unknown whether another Bootstrap runs here.
    #[error("cannot lock {}", path.display())]
    Lock {
        /// The lock.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl FileMarker {
    pub(super) fn in_directory(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    pub(super) fn read(&self) -> Result<Option<Completion>, FileError> {
        let path = self.path();
        let text = match read_small(&path, LONGEST) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // A link that leads nowhere may be to a marker on a volume that is not mounted.
                return match DanglingLink::on(&path) {
                    None => Ok(None),
                    Some(link) => Err(FileError::Read { path, source: link.error() }),
                };
            }
            Err(source) => return Err(FileError::Read { path, source }),
        };
        let pairs: BTreeMap<String, String> = serde_json::from_slice(&text)
            .map_err(|_what_it_says| FileError::Malformed(path.clone()))?;
        match Completion::from_pairs(|key| pairs.get(key).map(String::as_str)) {
            Some(completion) => Ok(Some(completion)),
            // No Bootstrap writes a marker that says "not done".
            None => Err(FileError::Malformed(path)),
        }
    }

    pub(super) fn write(&self, completion: &Completion) -> Result<(), FileError> {
        self.replace(completion).map_err(|source| FileError::Write { path: self.path(), source })
    }

    /// Writes under another name first, so that there is always either the old file or the new one.
    fn replace(&self, completion: &Completion) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        let unfinished = self.directory.join(format!(".{NAME}.new"));
        let pairs: BTreeMap<_, _> = completion.pairs().into_iter().collect();
        let text = serde_json::to_vec_pretty(&pairs)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)?;
        file.write_all(&text)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&unfinished, self.path())?;
        File::open(&self.directory)?.sync_all()
    }

    /// Locks out other Bootstraps of this machine while the file is open. The lock ends with the process that holds it. `None`
    /// if another process has it.
    pub(super) fn lock(&self) -> Result<Option<File>, FileError> {
        let path = self.directory.join(LOCK);
        let failed = |source| FileError::Lock { path: path.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory).map_err(failed)?;
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.join(NAME)
    }
}

impl fmt::Display for FileMarker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path().display())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn marker() -> (tempfile::TempDir, FileMarker) {
        let home = tempfile::tempdir().unwrap();
        let marker = FileMarker::in_directory(&home.path().join(".spike/bootstrap"));
        (home, marker)
    }

    #[test]
    fn where_there_is_no_file_nothing_was_done() {
        let (_home, marker) = marker();
        assert_eq!(marker.read().unwrap(), None);
    }

    #[test]
    fn what_was_written_is_read_again_and_can_be_written_over() {
        let (_home, marker) = marker();
        for by in ["one", "two"] {
            let completion = Completion::now(Some(by));
            marker.write(&completion).unwrap();
            assert_eq!(marker.read().unwrap(), Some(completion));
        }
    }

    #[test]
    fn file_and_directory_are_for_their_owner_only_and_nothing_else_is_left() {
        let (_home, marker) = marker();
        marker.write(&Completion::now(None)).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&marker.directory), 0o700);
        assert_eq!(mode(&marker.path()), 0o600);
        let names: Vec<_> = fs::read_dir(&marker.directory).unwrap().collect();
        assert_eq!(names.len(), 1, "{names:?}");
    }

    #[test]
    fn only_one_has_the_lock_and_it_goes_with_its_holder() {
        let (_home, marker) = marker();
        let held = marker.lock().unwrap().unwrap();
        assert!(marker.lock().unwrap().is_none());
        drop(held);
        assert!(marker.lock().unwrap().is_some());
        assert_eq!(marker.read().unwrap(), None, "a lock is no marker");
    }

    #[test]
    fn a_file_that_says_something_else_is_an_error_and_not_a_no() {
        let (_home, marker) = marker();
        marker.write(&Completion::now(None)).unwrap();
        for text in ["", "{", "{}", "[]", r#"{"bootstrap-completed":"false"}"#] {
            fs::write(marker.path(), text).unwrap();
            assert!(matches!(marker.read(), Err(FileError::Malformed(_))), "{text:?}");
        }
    }

    /// It was taken for no marker, and a key was made.
    #[test]
    fn a_marker_that_is_a_link_to_nowhere_is_an_error_and_not_a_no() {
        for name in [".spike", ".spike/bootstrap", ".spike/bootstrap/bootstrap-completed.json"] {
            let (home, marker) = marker();
            let link = home.path().join(name);
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(home.path().join("volume"), &link).unwrap();
            let error = marker.read().unwrap_err();
            assert!(matches!(error, FileError::Read { .. }), "{name}: {error}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_an_error_and_not_a_no() {
        let (home, marker) = marker();
        // A file where a directory should be: an error of its own kind, for any user.
        fs::write(home.path().join(".spike"), "").unwrap();
        assert!(matches!(marker.read(), Err(FileError::Read { .. })));
        assert!(matches!(marker.write(&Completion::now(None)), Err(FileError::Write { .. })));
    }
}
