//! Finds the files of the repository, for tests about all of them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Directories without files of this project.
const SKIPPED: [&str; 4] = ["target", ".git", ".spike-dev", "node_modules"];

pub(crate) fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_owned()
}

/// The text of one file, by its path from the root.
pub(crate) fn text(path: &str) -> io::Result<String> {
    fs::read_to_string(root().join(path))
}

/// A path as a person would write it.
pub(crate) fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// Every file of the repository whose name ends so.
pub(crate) fn files(extension: &str) -> io::Result<Vec<PathBuf>> {
    let found = files_below(root(), extension)?;
    assert!(found.len() > 10, "only {found:?}");
    Ok(found)
}

/// Every file below a folder whose name ends so, in order.
pub(crate) fn files_below(folder: PathBuf, extension: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut left = vec![folder];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                if !is_skipped(&entry) {
                    left.push(entry.path());
                }
            } else if entry.path().extension().is_some_and(|found| found == extension) {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The names of the folders at the root.
pub(crate) fn top_folders() -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root())? {
        let entry = entry?;
        if entry.file_type()?.is_dir() && !is_skipped(&entry) {
            found.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(found)
}

fn is_skipped(entry: &fs::DirEntry) -> bool {
    entry.file_name().to_str().is_some_and(|name| SKIPPED.contains(&name))
}
