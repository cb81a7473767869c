//! What ARCHITECTURE.md promises of the crates: pure ones stay pure, there are no circles between the files of a crate, and the
//! rooms of Nexus know only those further in.
//!
//! Files of one folder may need each other: they are halves of one concept. A folder is a module with all that is below
//! it. The files directly under `src` are not a folder in this sense.

mod circle;
mod module;
mod nexus;
mod picture;
mod pure;
mod surface;

use std::{collections::BTreeSet, io, path::PathBuf};

use self::module::Crate;
use crate::repository::{files, shown};

/// The `src` directories of all crates that are programs or libraries.
fn sources() -> io::Result<Vec<PathBuf>> {
    let manifests = files("toml")?.into_iter().filter(|file| file.ends_with("Cargo.toml"));
    let sources = manifests.map(|manifest| manifest.with_file_name("src"));
    Ok(sources.filter(|source| source.is_dir()).collect())
}

#[test]
fn files_of_a_crate_do_not_need_each_other_in_a_circle() -> io::Result<()> {
    let all = sources()?;
    assert!(all.len() > 10, "crates found: {all:?}");
    let (mut circles, mut uses) = (Vec::new(), 0);
    for source in all {
        let read = Crate::read(&source)?;
        let graph = read.graph();
        uses += graph.values().map(BTreeSet::len).sum::<usize>();
        for circle in circle::all(&graph) {
            if !read.is_one_folder(&circle) {
                circles.push((shown(&source), circle.join(", ")));
            }
        }
    }
    assert_eq!(circles, [], "files that need each other in a circle");
    assert!(uses > 500, "only {uses} uses between files were found");
    Ok(())
}
