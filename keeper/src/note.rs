//! Whether Bootstrap is done, as far as a file says. It decides on readiness, and on nothing else.
//!
//! A service manager that replaces one Keeper after another waits until each is ready. Ready must therefore mean that it
//! holds its share. Before Bootstrap no Keeper can hold one: if none were ready then, a wrong setting could not be mended,
//! because the first Keeper with the right one would be waited for without end.

use std::path::PathBuf;

use spike_daemon::read_small;

/// What the file says once Bootstrap is done. It is the value in Bootstrap's ConfigMap; before, it is `false`.
const DONE: &[u8] = b"true";

/// The most bytes of the file.
const LONGEST: usize = 4096;

/// The file; without one, a Keeper without a share is never ready.
#[derive(Debug)]
pub(crate) struct BootstrapNote(Option<PathBuf>);

impl BootstrapNote {
    pub(crate) const fn at(path: Option<PathBuf>) -> Self {
        Self(path)
    }

    /// `found`, except that nobody is to blame for a missing share as long as Bootstrap has not delivered any.
    ///
    /// # Errors
    /// That of `found`.
    pub(crate) fn excuse(&self, found: Result<(), String>) -> Result<(), String> {
        // The file is only read while there is no share.
        if found.is_err() && self.is_before_bootstrap() { Ok(()) } else { found }
    }

    fn is_before_bootstrap(&self) -> bool {
        let Some(path) = &self.0 else { return false };
        match read_small(path, LONGEST) {
            Ok(content) => content.trim_ascii() != DONE,
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn empty() -> Result<(), String> {
        Err("no share".to_owned())
    }

    #[test]
    fn a_keeper_without_a_share_is_ready_only_before_bootstrap() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("done");
        let note = BootstrapNote::at(Some(path.clone()));
        assert_eq!(note.excuse(empty()), Ok(()), "no file yet");
        for (content, is_ready) in [("false", true), ("", true), ("true", false), ("true\n", false)]
        {
            fs::write(&path, content).unwrap();
            assert_eq!(note.excuse(empty()).is_ok(), is_ready, "{content:?}");
            assert_eq!(note.excuse(Ok(())), Ok(()), "{content:?}");
        }
        assert_eq!(BootstrapNote::at(None).excuse(empty()), empty());
    }

    /// It may say that Bootstrap is done. A Keeper that passed for ready then could be followed by the next one.
    #[test]
    fn a_note_that_cannot_be_read_excuses_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let note = BootstrapNote::at(Some(dir.path().to_owned()));
        assert_eq!(note.excuse(empty()), empty());
    }
}
