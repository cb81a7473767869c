//! What a workload takes in with the SDK.

use std::{collections::BTreeSet, error::Error, process::Command};

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

/// Every package that the SDK is built from, by name and version.
fn packages() -> Result<BTreeSet<String>, Box<dyn Error>> {
    let mut tree = Command::new(env!("CARGO"));
    tree.args(["tree", "--offline", "--locked", "-p", "spike-sdk", "-e", "normal"]);
    tree.args(["--prefix", "none", "--manifest-path"]);
    tree.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
    let output = tree.output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let lines = String::from_utf8(output.stdout)?;
    // A line is a name, a version and perhaps a remark.
    let package = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    Ok(lines.lines().filter(|line| !line.is_empty()).map(package).collect())
}

#[test]
fn a_workload_takes_in_few_packages_and_none_that_only_a_server_needs() {
    let packages = packages().unwrap();
    assert!(packages.iter().any(|package| package.starts_with("spike-mtls ")), "{packages:#?}");
    assert!(packages.len() <= MOST, "{} packages: {packages:#?}", packages.len());
    let names: BTreeSet<&str> = packages.iter().filter_map(|line| line.split(' ').next()).collect();
    let present: Vec<_> = SERVER_ONLY.into_iter().filter(|name| names.contains(name)).collect();
    assert_eq!(present, [""; 0], "needed by a server only");
}
