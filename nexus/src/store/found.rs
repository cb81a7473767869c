//! What lies in a data directory, told without a key and without opening anything.

use std::{fs, io, path::Path};

use super::{Home, Store, sqlite::create};

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
}

impl Store {
    /// What lies at `home`, whether it can be opened or not. Reads a directory: keep it off the threads that serve.
    pub fn found(home: &Home) -> Found {
        let Some(directory) = home.directory() else { return Found::Nothing };
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
        assert_eq!(Store::found(&home(&dir.path().join("not made yet"))), Found::Nothing);
        assert_eq!(Store::found(&home(dir.path())), Found::Nothing);
        fs::write(dir.path().join("lost+found"), "").unwrap();
        assert_eq!(Store::found(&home(dir.path())), Found::Nothing);
        fs::write(dir.path().join("spike.db"), "").unwrap();
        assert_eq!(Store::found(&home(dir.path())), Found::Upstream);
        fs::write(dir.path().join("nexus.db"), "").unwrap();
        assert_eq!(Store::found(&home(dir.path())), Found::Ours);
        assert_eq!(Store::found(&home(&dir.path().join("nexus.db"))), Found::Unreadable);
        assert_eq!(Store::found(&Home::Memory), Found::Nothing);
    }

    #[test]
    fn the_log_of_a_store_that_is_gone_counts_as_one() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("nexus.db-wal"), "frames").unwrap();
        assert_eq!(Store::found(&Home::File(dir.path().to_owned())), Found::Ours);
    }
}
