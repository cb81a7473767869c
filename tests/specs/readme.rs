//! The two commands of README.md exist, its tour prints what it shows, and every route is in `docs/wire-api.md`.

use anyhow::{Context, Result, ensure};
use spike_wire::{KeeperOperation, Operation};
use tokio::process::Command;

use crate::{
    repository::{root, text},
    tour::{Place, tour},
};

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
    let text = text("docs/wire-api.md")?;
    let nexus = Operation::ALL.iter().map(|operation| operation.path_and_query());
    let keeper = KeeperOperation::ALL.iter().map(|operation| operation.path_and_query());
    let missing: Vec<_> =
        nexus.chain(keeper).filter(|route| !text.contains(&format!("`POST {route}`"))).collect();
    assert_eq!(missing, Vec::<&str>::new());
    Ok(())
}
