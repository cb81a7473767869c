//! The names under which one binary is every program: see [`crate::programs`].
//!
//! The state directory gets hard links named `nexus`, `keeper`, `bootstrap` and `spike`, so that each process has the
//! name that scripts, `pgrep` and the Workload API expect, and one `cargo run` builds all of them.

use std::{fs, io, path::Path};

use crate::private;

/// What `spike-dev` can be called as, apart from itself.
pub const PROGRAMS: [&str; 4] = ["nexus", "keeper", "bootstrap", "spike"];

/// The variable that tells a daemon that it must not outlive the `spike-dev` that started it.
pub const CHILD: &str = "SPIKE_DEV_CHILD";

/// Puts every program into `directory`, as links to `binary`, which stays where it is.
///
/// # Errors
/// The operating system's, where the directory cannot be made or written.
pub fn install(binary: &Path, directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let mut source = binary.to_owned();
    for program in PROGRAMS.into_iter().chain(["spike-dev"]) {
        let path = directory.join(program);
        // Made beside and renamed: another shell may be running the one that is there.
        let fresh = directory.join(format!(".{program}.new"));
        private::remove(&fresh)?;
        if fs::hard_link(&source, &fresh).is_err() {
            // On another file system, or another user's: one copy is enough for all.
            fs::copy(&source, &fresh)?;
            source.clone_from(&path);
        }
        fs::rename(&fresh, &path)?;
        // Renaming one link onto another of the same file does nothing and leaves both.
        private::remove(&fresh)?;
    }
    Ok(())
}
