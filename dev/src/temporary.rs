//! A private directory with a short path, which is removed when it is dropped.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// The longest parent directory, in bytes.
const PARENT_MAX: usize = 48;

/// A directory below the system's temporary one, mode 0700.
#[derive(Debug)]
pub(crate) struct TemporaryDir(PathBuf);

impl TemporaryDir {
    pub(crate) fn new() -> io::Result<Self> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let name = format!("spike-dev-{:016x}", u64::from_ne_bytes(random));
        // The path must be short, so a long TMPDIR is ignored.
        let temporary = std::env::temp_dir();
        let parent =
            if temporary.as_os_str().len() > PARENT_MAX { "/tmp".into() } else { temporary };
        let path = parent.join(name);
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryDir {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::debug!(reason = %error, "a temporary directory stays behind");
        }
    }
}
