//! What ARCHITECTURE.md promises of the crates: pure ones stay pure, and there are no circles between the files of a crate.
//!
//! Files of one folder may need each other: they are halves of one concept. A folder is a module with all that is below
//! it. The files directly under `src` are not a folder in this sense.

mod circle;
mod module;
mod pure;

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use self::module::Crate;

/// Crates that still have circles.
const UNTANGLED_LATER: [&str; 1] = ["nexus/src"];

/// The root of the sources.
fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The `src` directories of all crates that are programs or libraries.
fn sources(below: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(below)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !path.is_dir() || name.starts_with('.') || name == "target" {
            continue;
        }
        if name == "src" && below.join("Cargo.toml").exists() {
            found.push(path);
        } else {
            sources(&path, found)?;
        }
    }
    Ok(())
}

#[test]
fn files_of_a_crate_do_not_need_each_other_in_a_circle() -> io::Result<()> {
    let mut all = Vec::new();
    sources(root(), &mut all)?;
    assert!(all.len() > 10, "crates found: {all:?}");
    let (mut circles, mut uses) = (Vec::new(), 0);
    for source in all {
        let read = Crate::read(&source)?;
        let graph = read.graph();
        uses += graph.values().map(BTreeSet::len).sum::<usize>();
        for circle in circle::all(&graph) {
            if !read.is_one_folder(&circle) {
                let shown = source.strip_prefix(root()).unwrap_or(&source).display().to_string();
                circles.push((shown, circle.join(", ")));
            }
        }
    }
    let (known, new): (Vec<_>, Vec<_>) =
        circles.into_iter().partition(|(name, _)| UNTANGLED_LATER.contains(&name.as_str()));
    assert_eq!(new, [], "files that need each other in a circle");
    for name in UNTANGLED_LATER {
        let has_one = known.iter().any(|(known, _)| known == name);
        assert!(has_one, "{name} has no circle any more: take it out of the list");
    }
    assert!(uses > 500, "only {uses} uses between files were found");
    Ok(())
}
