//! What the pure crates may bring: no runtime, no server, no database, no log.

use std::{fs, process::Command};

use super::{root, sources};

const PURE: [&str; 4] = ["crypto", "domain", "policy", "wire"];
const IMPURE: [&str; 5] = ["axum", "rusqlite", "tokio", "tracing", "hyper"];

#[test]
fn pure_crates_bring_nothing_that_acts() {
    for name in PURE {
        let mut tree = Command::new(env!("CARGO"));
        tree.args(["tree", "--offline", "--locked", "-e", "normal", "--prefix", "none", "-p"]);
        tree.arg(format!("spike-{name}")).current_dir(root());
        let output = tree.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8(output.stdout).unwrap();
        let packages: Vec<_> = lines.lines().filter_map(|line| line.split(' ').next()).collect();
        assert!(packages.len() > 5, "{packages:?}");
        let impure: Vec<_> = IMPURE.into_iter().filter(|name| packages.contains(name)).collect();
        assert_eq!(impure, [""; 0], "brought by spike-{name}");
    }
}

#[test]
fn pure_crates_do_not_look_at_the_environment() {
    for name in PURE {
        let mut found = Vec::new();
        sources(&root().join("common").join(name), &mut found).unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        let mut folders = found;
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                // What tests look at is the developer's.
                if path.file_stem().is_some_and(|stem| stem == "tests") {
                    continue;
                }
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let source = fs::read_to_string(&path).unwrap();
                    assert!(!source.contains("std::env"), "{}", path.display());
                }
            }
        }
    }
}
