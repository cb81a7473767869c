//! The documents: the README's two commands are what it says, its tour prints what it shows, every route is in the
//! reference, and every link leads somewhere.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use spike_wire::{KeeperOperation, Operation};
use tokio::process::Command;

use crate::tour::{Place, tour};

#[tokio::test]
async fn each_command_of_the_tour_prints_what_the_readme_shows() -> Result<()> {
    let dir = tempfile::Builder::new().prefix("readme-").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    tour(&Place::new(dir.path())).await
}

#[tokio::test]
async fn the_first_command_needs_no_argument_to_find_the_program_that_is_everything() -> Result<()>
{
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .await?;
    ensure!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout)?;
    let members = metadata["workspace_default_members"].as_array().context("no members")?;
    let names: Vec<_> = metadata["packages"]
        .as_array()
        .context("no packages")?
        .iter()
        .filter(|package| members.contains(&package["id"]))
        .map(|package| package["name"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(names, ["spike-dev"]);
    Ok(())
}

#[test]
fn every_route_is_in_the_reference_of_the_wire() -> Result<()> {
    let text = std::fs::read_to_string(root().join("docs/wire-api.md"))?;
    let nexus = Operation::ALL.iter().map(|operation| operation.path_and_query());
    let keeper = KeeperOperation::ALL.iter().map(|operation| operation.path_and_query());
    let missing: Vec<_> =
        nexus.chain(keeper).filter(|route| !text.contains(&format!("`POST {route}`"))).collect();
    assert_eq!(missing, Vec::<&str>::new());
    Ok(())
}

#[test]
fn every_link_from_one_document_to_another_leads_somewhere() -> Result<()> {
    let mut documents = Vec::new();
    for folder in [
        "",
        "docs",
        "docs/decisions",
        "docs/operations",
        "docs/reference",
        "deploy/docker",
        "deploy/systemd",
    ] {
        for entry in std::fs::read_dir(root().join(folder))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "md") {
                documents.push(path);
            }
        }
    }
    ensure!(documents.len() > 10, "only {documents:?}");
    let mut dead = Vec::new();
    for document in documents {
        let text = std::fs::read_to_string(&document)?;
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let elsewhere = |target: &&str| !target.starts_with("http") && !target.starts_with('#');
        for target in targets.filter(elsewhere) {
            let file = target.split('#').next().unwrap_or_default();
            if !document.with_file_name("").join(file).exists() {
                dead.push(format!("{}: {target}", document.display()));
            }
        }
    }
    assert_eq!(dead, Vec::<String>::new());
    Ok(())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
