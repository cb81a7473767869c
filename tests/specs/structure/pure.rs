//! The permitted dependencies. The pure crates have no runtime, server, database or log. The SDK has nothing that only a server
//! needs.

use std::{collections::BTreeSet, ffi::OsStr, fs, path::Path, process::Command};

use anyhow::{Result, ensure};

use crate::repository::{files_below, root};

const PURE: [&str; 4] = ["crypto", "domain", "policy", "wire"];
const IMPURE: [&str; 5] = ["axum", "rusqlite", "tokio", "tracing", "hyper"];

/// The most packages of the SDK, itself included.
const MOST: usize = 120;

/// Packages that only a server needs.
const SERVER_ONLY: [&str; 7] = [
    "axum",
    "prometheus-client",
    "rusqlite",
    "spike-crypto",
    "spike-daemon",
    "spike-nexus",
    "tracing-subscriber",
];

#[test]
fn pure_crates_bring_nothing_that_acts() {
    for name in PURE {
        let packages = packages(&format!("spike-{name}")).unwrap();
        assert!(packages.len() > 5, "{packages:?}");
        assert_eq!(among(&packages, &IMPURE), [""; 0], "brought by spike-{name}");
    }
}

#[test]
fn a_workload_takes_in_few_packages_and_none_that_only_a_server_needs() {
    let packages = packages("spike-sdk").unwrap();
    assert!(packages.iter().any(|package| package.starts_with("spike-mtls ")), "{packages:#?}");
    assert!(packages.len() <= MOST, "{} packages: {packages:#?}", packages.len());
    assert_eq!(among(&packages, &SERVER_ONLY), [""; 0], "needed by a server only");
}

/// Every package that a crate is built from, by name and version.
fn packages(name: &str) -> Result<BTreeSet<String>> {
    let mut tree = Command::new(env!("CARGO"));
    tree.args(["tree", "--offline", "--locked", "-e", "normal", "--prefix", "none", "-p", name]);
    let output = tree.current_dir(root()).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout)?;
    // A line is a name, a version and perhaps a remark.
    let package = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    Ok(lines.lines().filter(|line| !line.is_empty()).map(package).collect())
}

/// Which of these names are those of a package.
fn among<'a>(packages: &BTreeSet<String>, names: &[&'a str]) -> Vec<&'a str> {
    let known: BTreeSet<&str> = packages.iter().filter_map(|line| line.split(' ').next()).collect();
    names.iter().copied().filter(|name| known.contains(name)).collect()
}

#[test]
fn pure_crates_do_not_look_at_the_environment() {
    for name in PURE {
        let source = root().join("common").join(name).join("src");
        // What tests look at is the developer's.
        let of_tests =
            |part: &OsStr| Path::new(part).file_stem().is_some_and(|stem| stem == "tests");
        let mut files = files_below(source.clone(), "rs").unwrap();
        files.retain(|file| !file.strip_prefix(&source).unwrap().iter().any(of_tests));
        assert!(files.len() > 2, "{files:?}");
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            assert!(!text.contains("std::env"), "{}", file.display());
        }
    }
}
