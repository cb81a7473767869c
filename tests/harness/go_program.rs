//! Programs in Go that tests run.

use std::{
    path::Path,
    process::Command,
    sync::{Mutex, PoisonError},
};

use anyhow::{Result, ensure};

/// Builds wait for each other: with an empty cache, each would compile what they share.
static BUILDING: Mutex<()> = Mutex::new(());

/// Builds the program in this folder below `tests` into the file `out`. It may have to fetch modules. `false`: there is no Go here.
///
/// # Errors
/// What the compiler says.
pub fn build_go(folder: &str, flags: &[&str], out: &Path) -> Result<bool> {
    if Command::new("go").arg("version").output().is_err() {
        return Ok(false);
    }
    let _others_wait = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    let build = Command::new("go")
        .arg("build")
        .args(flags)
        .arg("-o")
        .arg(out)
        .arg(".")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))
        .output()?;
    ensure!(build.status.success(), "{}", String::from_utf8_lossy(&build.stderr));
    Ok(true)
}
