//! One binary, every program: `spike-dev` runs as the program that it is called as.
//!
//! The state directory gets hard links named `nexus`, `keeper`, `bootstrap` and `spike`, so that each process has the
//! name that scripts, `pgrep` and the Workload API expect, and one `cargo run` builds all of them.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use rustix::process::{Signal, set_parent_process_death_signal};
use spike_config::Environment;
use spike_pilot::Streams;

/// What `spike-dev` can be called as, apart from itself.
pub const PROGRAMS: [&str; 4] = ["nexus", "keeper", "bootstrap", "spike"];

/// The variable that tells a daemon that it must not outlive the `spike-dev` that started it.
pub const CHILD: &str = "SPIKE_DEV_CHILD";

/// Runs the program that this process was called as.
pub fn main() -> ExitCode {
    let called = std::env::args_os().next().unwrap_or_default();
    let arguments =
        std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned());
    let environment = Environment::of_process();
    if environment.get(CHILD).is_some() {
        end_with_parent();
    }
    match Path::new(&called).file_name().and_then(OsStr::to_str) {
        Some("nexus") => spike_nexus::run(arguments, &environment),
        Some("keeper") => spike_keeper::run(arguments, &environment),
        Some("bootstrap") => spike_bootstrap::run(arguments, &environment),
        Some("spike") => {
            spike_pilot::run(std::env::args_os(), &environment, Streams::of_process()).into()
        }
        _ => crate::cli::main(&environment),
    }
}

/// A daemon whose `spike-dev` was killed would hold ports and confuse the next one.
fn end_with_parent() {
    if let Err(error) = set_parent_process_death_signal(Some(Signal::TERM)) {
        tracing::warn!(reason = %error, "this daemon may outlive spike-dev");
    }
}

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
        remove(&fresh)?;
        if fs::hard_link(&source, &fresh).is_err() {
            // On another file system, or another user's: one copy is enough for all.
            fs::copy(&source, &fresh)?;
            source.clone_from(&path);
        }
        fs::rename(&fresh, &path)?;
        // Renaming one link onto another of the same file does nothing and leaves both.
        remove(&fresh)?;
    }
    Ok(())
}

/// Where this program is.
///
/// # Errors
/// The operating system's, where it does not say.
pub fn this_binary() -> io::Result<PathBuf> {
    std::env::current_exe()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
