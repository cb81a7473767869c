//! The crates as ARCHITECTURE.md shows them are those that there are.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::repository::{root, shown, text};

/// What each crate needs of the others, by the path of its folder.
type Needs = BTreeMap<String, BTreeSet<String>>;

#[test]
fn every_crate_is_in_the_table_with_the_crates_that_it_needs() -> Result<()> {
    let shown = needs_shown(&text("ARCHITECTURE.md")?)?;
    assert!(shown.len() > 10, "{shown:?}");
    assert_eq!(shown, needs_of_the_manifests()?);
    Ok(())
}

/// The table of the section on crates: a row has the folder of a crate, what it owns, and what it needs.
fn needs_shown(text: &str) -> Result<Needs> {
    let (_, section) = text.split_once("\n## Crates\n").context("no section on crates")?;
    let section = section.split("\n## ").next().unwrap_or(section);
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let row = |line: &str| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let [_, folder, _, needs, _] = cells[..] else { return None };
        let names = needs.split('`').skip(1).step_by(2).map(str::to_owned);
        Some((folder.trim_matches('`').to_owned(), names.collect()))
    };
    rows.map(|line| row(line).with_context(|| line.to_owned())).collect()
}

/// What Cargo takes in for the crates themselves; what only their tests need is left out.
fn needs_of_the_manifests() -> Result<Needs> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["metadata", "--no-deps", "--offline", "--locked", "--format-version", "1"]);
    let output = command.current_dir(root()).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata.get("packages").and_then(Value::as_array).context("no packages")?;
    packages.iter().map(|package| need_of(package).context("a package of another shape")).collect()
}

fn need_of(package: &Value) -> Option<(String, BTreeSet<String>)> {
    let folder = Path::new(package.get("manifest_path")?.as_str()?).parent()?;
    let is_normal = |dependency: &&Value| dependency.get("kind").is_some_and(Value::is_null);
    let name = |dependency: &Value| {
        Some(dependency.get("name")?.as_str()?.strip_prefix("spike-")?.to_owned())
    };
    let all = package.get("dependencies")?.as_array()?;
    Some((shown(folder), all.iter().filter(is_normal).filter_map(name).collect()))
}

#[test]
fn a_row_is_read_as_a_person_reads_it() -> Result<()> {
    let text = "\n## Crates\n\n| crate | owns | needs |\n|---|---|---|\n\
                | `a/b` | `x` → y | `c`, `d` |\n| `c` | z | |\n\n## Other\n\n| `e` | f | |\n";
    let of = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let expected = [("a/b", of(&["c", "d"])), ("c", of(&[]))];
    let expected = expected.map(|(folder, needs)| (folder.to_owned(), needs));
    assert_eq!(needs_shown(text)?, BTreeMap::from(expected));
    Ok(())
}
