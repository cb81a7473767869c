//! What a workload takes in with the SDK.

use std::{collections::BTreeSet, process::Command};

/// The most packages that the SDK may bring, itself among them.
const MOST: usize = 120;

/// What only a server needs.
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
fn a_workload_takes_in_few_packages_and_none_that_only_a_server_needs() {
    let mut tree = Command::new(env!("CARGO"));
    tree.args(["tree", "--offline", "--locked", "-p", "spike-sdk", "-e", "normal"]);
    tree.args(["--prefix", "none", "--manifest-path"]);
    tree.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
    let output = tree.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    // A line is a name, a version and perhaps a remark.
    let package = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let lines = lines.lines().filter(|line| !line.is_empty());
    // Every package that the SDK is built from, by name and version.
    let packages: BTreeSet<String> = lines.map(package).collect();
    assert!(packages.iter().any(|package| package.starts_with("spike-mtls ")), "{packages:#?}");
    assert!(packages.len() <= MOST, "{} packages: {packages:#?}", packages.len());
    let names: BTreeSet<&str> = packages.iter().filter_map(|line| line.split(' ').next()).collect();
    let present: Vec<_> = SERVER_ONLY.into_iter().filter(|name| names.contains(name)).collect();
    assert_eq!(present, [""; 0], "needed by a server only");
}
