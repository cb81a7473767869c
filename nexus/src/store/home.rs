//! Where a store is, and what lies there, told without a key and without opening anything.

use std::path::{Path, PathBuf};
use std::{fs, io};

use super::sqlite::create;

/// Where the data lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Home {
    /// In `nexus.db` in this directory, which is created when missing.
    File(PathBuf),
    /// In this process only. Pair it with a random root key.
    Memory,
}

/// What lies there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// No data.
    Nothing,
    /// A store of ours, or what is left of one.
    Ours,
    /// A database of upstream, which is not taken in yet.
    Upstream,
    /// The directory cannot be looked at.
    Unreadable,
}

impl Home {
    /// The directory, where there is one.
    pub fn directory(&self) -> Option<&Path> {
        match self {
            Self::File(directory) => Some(directory),
            Self::Memory => None,
        }
    }

    /// What lies there, whether it can be opened or not. Reads a directory: keep it off the threads that serve.
    pub fn found(&self) -> Found {
        let Some(directory) = self.directory() else { return Found::Nothing };
        match fs::read_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Found::Nothing,
            Err(_) => Found::Unreadable,
            Ok(_) if create::exists(directory) => Found::Ours,
            Ok(_) if spike_import::exists(directory) => Found::Upstream,
            Ok(_) => Found::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_in_a_directory_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let home = |path: &Path| Home::File(path.to_owned());
        assert_eq!(home(&dir.path().join("not made yet")).found(), Found::Nothing);
        assert_eq!(home(dir.path()).found(), Found::Nothing);
        fs::write(dir.path().join("lost+found"), "").unwrap();
        assert_eq!(home(dir.path()).found(), Found::Nothing);
        fs::write(dir.path().join("spike.db"), "").unwrap();
        assert_eq!(home(dir.path()).found(), Found::Upstream);
        fs::write(dir.path().join("nexus.db"), "").unwrap();
        assert_eq!(home(dir.path()).found(), Found::Ours);
        assert_eq!(home(&dir.path().join("nexus.db")).found(), Found::Unreadable);
        assert_eq!(Home::Memory.found(), Found::Nothing);
    }

    #[test]
    fn the_log_of_a_store_that_is_gone_counts_as_one() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("nexus.db-wal"), "frames").unwrap();
        assert_eq!(Home::File(dir.path().to_owned()).found(), Found::Ours);
    }
}
