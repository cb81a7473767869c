//! The place of a store and what it contains, found out without a key and without opening anything.

use std::path::{Path, PathBuf};
use std::{fs, io};

use spike_daemon::process::DanglingLink;

use super::sqlite::create;

/// The place of the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Home {
    /// In `nexus.db` in this directory, which is created if it is missing.
    File(PathBuf),
    /// In this process only. Pair it with a random root key.
    Memory,
}

/// The kind of data there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// No data.
    Nothing,
    /// A store of ours, or its write-ahead log.
    Ours,
    /// A database of upstream that is not imported yet.
    Upstream,
    /// There may be data: the directory cannot be read, or it contains something that only a store leaves behind.
    Unreadable,
}

/// The kind of data there, and if that is uncertain: why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// The kind of data.
    pub found: Found,
    /// What an operator should check, for [`Found::Unreadable`].
    pub doubt: Option<String>,
}

impl Look {
    const fn sure(found: Found) -> Self {
        Self { found, doubt: None }
    }

    /// There may be data, for this reason.
    pub fn in_doubt(why: &impl ToString) -> Self {
        Self { found: Found::Unreadable, doubt: Some(why.to_string()) }
    }
}

impl Home {
    /// The directory, if there is one.
    pub fn directory(&self) -> Option<&Path> {
        match self {
            Self::File(directory) => Some(directory),
            Self::Memory => None,
        }
    }

    /// Finds out what is there, whether it can be opened or not. Reads a directory, so call it off the threads that serve
    /// requests.
    pub fn look(&self) -> Look {
        let Some(directory) = self.directory() else { return Look::sure(Found::Nothing) };
        for path in [directory.join(create::FILE), directory.join(spike_import::FILE)] {
            if let Some(link) = DanglingLink::on(&path) {
                return Look::in_doubt(&link);
            }
        }
        let entries = match fs::read_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Look::sure(Found::Nothing);
            }
            Err(error) => return Look::in_doubt(&format!("cannot read it: {error}")),
            Ok(_) if create::exists(directory) => return Look::sure(Found::Ours),
            Ok(_) if spike_import::exists(directory) => return Look::sure(Found::Upstream),
            Ok(entries) => entries,
        };
        for entry in entries {
            let name = match entry {
                Ok(entry) => entry.file_name(),
                Err(error) => return Look::in_doubt(&format!("cannot read it: {error}")),
            };
            let name = name.to_string_lossy();
            if is_left_behind(&name) {
                return Look::in_doubt(&format!(
                    "{name} is there, and the database that it belongs to is not"
                ));
            }
        }
        Look::sure(Found::Nothing)
    }
}

/// Whether a file of this name exists only beside a database. The lock is not such a file, nor is what an interrupted creation
/// or import leaves: no write was acknowledged there.
fn is_left_behind(name: &str) -> bool {
    let is_unfinished = name.starts_with(create::NEW_FILE) || name == spike_import::COPY;
    let is_ours = name.starts_with("nexus.") && name != super::sqlite::private::LOCK_FILE;
    (is_ours && !is_unfinished) || name.starts_with(spike_import::FILE)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn found(path: &Path) -> Found {
        Home::File(path.to_owned()).look().found
    }

    #[test]
    fn what_lies_in_a_directory_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(found(&dir.path().join("not made yet")), Found::Nothing);
        assert_eq!(found(dir.path()), Found::Nothing);
        fs::write(dir.path().join("lost+found"), "").unwrap();
        assert_eq!(found(dir.path()), Found::Nothing);
        fs::write(dir.path().join("spike.db"), "").unwrap();
        assert_eq!(found(dir.path()), Found::Upstream);
        fs::write(dir.path().join("nexus.db"), "").unwrap();
        assert_eq!(found(dir.path()), Found::Ours);
        assert_eq!(found(&dir.path().join("nexus.db")), Found::Unreadable);
        assert_eq!(Home::Memory.look().found, Found::Nothing);
    }

    #[test]
    fn the_log_of_a_store_that_is_gone_counts_as_one() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("nexus.db-wal"), "frames").unwrap();
        assert_eq!(found(dir.path()), Found::Ours);
    }

    /// They counted as nothing, and Bootstrap made another key beside them.
    #[test]
    fn what_only_a_store_leaves_behind_is_in_doubt_and_is_named() {
        for name in [
            "nexus.commits",
            "nexus.loss",
            "nexus.db-wal.damaged-1",
            "nexus.db-shm",
            "nexus.db.bak",
            "spike.db-wal",
            "spike.db.old",
        ] {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join(name), "").unwrap();
            let look = Home::File(dir.path().to_owned()).look();
            assert_eq!(look.found, Found::Unreadable, "{name}");
            assert!(look.doubt.unwrap().starts_with(name), "{name}");
        }
        for name in ["nexus.lock", "nexus.db.new", "nexus.db.new-journal", "nexus.import"] {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join(name), "").unwrap();
            assert_eq!(found(dir.path()), Found::Nothing, "{name}");
        }
    }

    /// A link to a volume that is not mounted counted as nothing.
    #[test]
    fn a_link_that_leads_nowhere_is_in_doubt_and_its_target_is_named() {
        for name in ["data", "data/nexus.db", "data/spike.db"] {
            let dir = tempfile::tempdir().unwrap();
            let (link, target) = (dir.path().join(name), dir.path().join("volume/data"));
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            symlink(&target, &link).unwrap();
            let look = Home::File(dir.path().join("data")).look();
            assert_eq!(look.found, Found::Unreadable, "{name}");
            let doubt = look.doubt.unwrap();
            assert!(doubt.contains(target.to_str().unwrap()), "{doubt}");
        }
    }
}
