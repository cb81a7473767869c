//! The state directory: its checks, its parts, and the lock against a second `spike-dev`.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::{StatVfsMountFlags, statvfs};
use spike_config::{DirectoryError, user_directory};

use crate::{private, shell_word::word};

/// The directories that are made in a state directory.
const PARTS: [&str; 3] = ["bin", "data", "logs"];

/// The locked file. It holds the process number of the `spike-dev` that has the lock.
const LOCK: &str = "spike-dev.lock";

/// A state directory, locked for this process until the value is dropped.
#[derive(Debug)]
pub(super) struct StateDir {
    path: PathBuf,
    /// Closing the file releases the lock.
    _lock: File,
}

/// Why a directory cannot be the state directory.
#[derive(Debug, thiserror::Error)]
pub enum StateDirError {
    /// The daemons would refuse it.
    #[error("{path:?} cannot be the state directory; name another with --dir")]
    Refused {
        /// The directory as it was named.
        path: PathBuf,
        /// Why.
        source: DirectoryError,
    },
    /// The path is not text. The daemons get it in settings, which are text.
    #[error(
        "{0:?} cannot be the state directory, because the path is not UTF-8; name another with --dir"
    )]
    NotText(PathBuf),
    /// A file or directory cannot be used.
    #[error("{} cannot be used for the state directory; name another with --dir", path.display())]
    File {
        /// The file or directory at fault.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its file system permits no programs.
    #[error(
        "{} cannot be the state directory, because its file system is mounted with noexec; name another with --dir",
        .0.display()
    )]
    NoExec(PathBuf),
    /// Another `spike-dev` has it.
    #[error(
        "a cluster is running in {} already ({holder}). Use it from a shell with `. {}`, end it with Ctrl-C where it was \
         started{}, or name another directory with --dir",
        path.display(), word(&path.join("env").display().to_string()), or_kill(*pid)
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The other process, as far as it is known.
        holder: String,
        /// Its number, if it is known.
        pid: Option<u32>,
    },
}

impl StateDir {
    /// Checks `dir` before anything is made in it, makes it and its parts for their owner only, and locks it.
    ///
    /// # Errors
    /// [`StateDirError`].
    pub(super) fn open(dir: &Path) -> Result<Self, StateDirError> {
        let path = user_directory(dir)
            .map_err(|source| StateDirError::Refused { path: dir.to_owned(), source })?;
        if path.to_str().is_none() {
            return Err(StateDirError::NotText(path));
        }
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| StateDirError::File { path, source }
        };
        make(&path).map_err(at(&path))?;
        let mounted = statvfs(&path).map_err(|error| at(&path)(error.into()))?;
        if mounted.f_flag.contains(StatVfsMountFlags::NOEXEC) {
            return Err(StateDirError::NoExec(path));
        }
        let lock = lock(&path)?;
        for part in PARTS {
            let part = path.join(part);
            make(&part).and_then(|()| private::make_private(&part)).map_err(at(&part))?;
        }
        Ok(Self { path, _lock: lock })
    }

    /// The absolute path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// How else than in its terminal the other process is ended.
fn or_kill(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" or with `kill {pid}`"))
}

fn make(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

fn lock(dir: &Path) -> Result<File, StateDirError> {
    let path = dir.join(LOCK);
    let failed = |source| StateDirError::File { path: path.clone(), source };
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        // A few network file systems have no locks. Then only the socket of the Workload API shows a second cluster.
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {}
        Err(TryLockError::Error(error)) => return Err(failed(error)),
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            // This is only for the message.
            let read = file.read_to_string(&mut pid);
            let pid = read.ok().and_then(|_| pid.trim().parse::<u32>().ok());
            let holder =
                pid.map_or("another spike-dev".to_owned(), |pid| format!("spike-dev, pid {pid}"));
            return Err(StateDirError::InUse { path: dir.to_owned(), holder, pid });
        }
    }
    file.set_len(0)
        .and_then(|()| file.write_all(format!("{}\n", std::process::id()).as_bytes()))
        .map_err(failed)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::{MetadataExt, PermissionsExt},
    };

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn a_directory_of_the_system_is_refused_before_it_is_made() {
        let named = Path::new("/etc/spike-dev-state");
        let error = StateDir::open(named).unwrap_err();
        assert!(matches!(error, StateDirError::Refused { .. }), "{error}");
        assert!(error.to_string().contains("--dir"), "{error}");
        assert!(!named.exists());
    }

    /// The message named `DIR/env`, which is no file, and no way to end a cluster whose terminal is gone.
    #[test]
    fn a_second_holder_is_told_who_the_first_is_how_to_use_its_cluster_and_how_to_end_it() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("a state");
        let first = StateDir::open(&dir).unwrap();
        let error = StateDir::open(&dir).unwrap_err().to_string();
        let pid = std::process::id();
        for part in [
            format!("already (spike-dev, pid {pid})"),
            format!("`. '{}/env'`", dir.display()),
            format!("`kill {pid}`"),
            "--dir".to_owned(),
        ] {
            assert!(error.contains(&part), "{part}: {error}");
        }
        drop(first);
        StateDir::open(&dir).unwrap();
    }

    #[test]
    fn parts_and_logs_that_others_could_read_become_private() {
        let dir = tempfile::tempdir().unwrap();
        let (logs, log) = (dir.path().join("logs"), dir.path().join("logs/nexus.log"));
        fs::create_dir(&logs).unwrap();
        fs::write(&log, "a line\n").unwrap();
        fs::set_permissions(&log, Permissions::from_mode(0o666)).unwrap();
        fs::set_permissions(&logs, Permissions::from_mode(0o777)).unwrap();
        let _state = StateDir::open(dir.path()).unwrap();
        private::open_log(&log).unwrap();
        assert_eq!((mode(&logs), mode(&log)), (0o700, 0o600));
        assert_eq!(fs::read_to_string(&log).unwrap(), "a line\n");
    }

    #[test]
    fn the_message_names_what_is_in_the_way() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("logs"), "a file").unwrap();
        let error = StateDir::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains("/logs cannot be used"), "{error}");
    }
}
