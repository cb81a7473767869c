//! Our images in the hardened SPIFFE chart: what it gives to its programs is written down in
//! `tests/fixtures/hardened-chart`. `.ci/deploy` runs the images with exactly that.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{
    manifest::{Manifest, environment, list_of},
    settings::{problems, process_of},
};
use crate::repository::text;

const CHART: &str = "tests/fixtures/hardened-chart/spike.yaml";
const VALUES: &str = "deploy/helm/hardened-values.yaml";

#[test]
fn what_the_hardened_chart_sets_is_accepted_without_a_warning() -> Result<()> {
    let manifest = Manifest::read(CHART)?;
    let mut found = BTreeSet::new();
    for (_, container) in manifest.containers() {
        let name = container["name"].as_str().context("no name")?;
        let process = process_of(name)?;
        assert_eq!(problems(process, &environment(container))?, [""; 0], "{process}");
        found.insert(name.to_owned());
    }
    assert_eq!(found, ["bootstrap", "keeper", "nexus", "shell"].map(str::to_owned).into());
    Ok(())
}

#[test]
fn the_images_start_what_the_hardened_chart_calls() -> Result<()> {
    let manifest = Manifest::read(CHART)?;
    for (_, container) in manifest.containers() {
        let image = container["image"].as_str().context("no image")?;
        let Some((_, program)) = image.split_once("/spike-") else { continue };
        let program = program.split(':').next().context("no name")?;
        let containerfile = text(&format!("deploy/docker/{program}.Containerfile"))?;
        let entry = containerfile
            .lines()
            .find(|line| line.starts_with("ENTRYPOINT"))
            .context("no entry")?;
        assert_eq!(entry, format!("ENTRYPOINT [\"/{program}\"]"));
        // Where the chart names the program itself, it is at the same place.
        let command = list_of(&container["command"]);
        assert!(
            command.first().is_none_or(|first| **first == format!("/{program}")),
            "{command:?}"
        );
        assert!(
            containerfile.contains("\nUSER 1000\n"),
            "{program}: a Keeper has no user of the chart's"
        );
        assert!(containerfile.contains("ENV HOME=/"), "{program}: the data is below HOME");
    }
    Ok(())
}

#[test]
fn the_values_for_the_hardened_chart_say_nothing_but_where_the_images_are() -> Result<()> {
    let values: Value = serde_saphyr::from_str(&text(VALUES)?)?;
    let mut images = Vec::new();
    walk(&values, "", &mut images);
    let mut expected = Vec::new();
    for (chart, image) in [
        ("spike-keeper.image", "spike-keeper"),
        ("spike-nexus.bootstrap.image", "spike-bootstrap"),
        ("spike-nexus.image", "spike-nexus"),
        ("spike-pilot.image", "spike-pilot"),
    ] {
        expected.push(format!("{chart}.registry=registry.example.org"));
        expected.push(format!("{chart}.repository=spike/{image}"));
        expected.push(format!("{chart}.tag={}", env!("CARGO_PKG_VERSION")));
    }
    images.sort();
    assert_eq!(images, expected);
    Ok(())
}

/// Every leaf, with the way to it.
fn walk(value: &Value, way: &str, found: &mut Vec<String>) {
    match value.as_object() {
        Some(fields) => {
            for (name, below) in fields {
                walk(
                    below,
                    &if way.is_empty() { name.clone() } else { format!("{way}.{name}") },
                    found,
                );
            }
        }
        None => found.push(format!("{way}={}", value.as_str().unwrap_or("not text"))),
    }
}
