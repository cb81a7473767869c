//! Links by whose names one binary runs as every program: see [`crate::programs`].
//!
//! The state directory gets hard links named `nexus`, `keeper`, `bootstrap` and `spike`. So each process has the name that
//! scripts, `pgrep` and the Workload API expect, and one `cargo run` builds all of them.

use std::{fs, io, path::Path};

use crate::private;

/// The other programs as which `spike-dev` can run.
pub const PROGRAMS: [&str; 4] = ["nexus", "keeper", "bootstrap", "spike"];

/// The variable by which a daemon knows that it must end with the `spike-dev` that started it.
pub const CHILD: &str = "SPIKE_DEV_CHILD";

/// Links every program to `binary` in `directory`.
///
/// # Errors
/// The operating system's, if the directory cannot be made or written.
pub fn install(binary: &Path, directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let mut source = binary.to_owned();
    for program in PROGRAMS.into_iter().chain(["spike-dev"]) {
        let path = directory.join(program);
        // Made under another name and renamed, because another shell may be running the existing one.
        let fresh = directory.join(format!(".{program}.new"));
        private::remove(&fresh)?;
        if fs::hard_link(&source, &fresh).is_err() {
            // The binary is on another file system, or another user's. One copy is enough for all links.
            fs::copy(&source, &fresh)?;
            source.clone_from(&path);
        }
        fs::rename(&fresh, &path)?;
        // Renaming one link onto another of the same file does nothing and leaves both.
        private::remove(&fresh)?;
    }
    Ok(())
}
