//! `docs/operations/migrating.md`: what it names exists, and its commands run in an order that loses no share.
//!
//! There is no Kubernetes here. A program instead of `kubectl` records its arguments. If a real `kubectl` is on `PATH`, it checks
//! what can be checked without a server.

use std::{fs::Permissions, os::unix::fs::PermissionsExt, process::Command};

use anyhow::{Context, Result, ensure};
use spike_config::table::variables;

use crate::{
    repository::text,
    tour::{Place, Up},
};

/// Writes its arguments to `$CALLS`, manifests to `$CALLS.yaml`, and hands changes of an object to `$REAL`.
const KUBECTL: &str = r#"#!/bin/sh
set -eu
printf '%s\n' "$*" >> "$CALLS"
[ "$1" = -n ] && [ "$2" = spire-server ] || { echo "no namespace: $*" >&2; exit 1; }
shift 2
case "$1 $2" in
  "apply -f") { echo ---; cat; } >> "$CALLS.yaml" ;;
  "set image") shift 3; [ -z "$REAL" ] || "$REAL" set image --local -f "$OBJECT" "$@" -o name ;;
  "patch "*) shift 2; [ -z "$REAL" ] || "$REAL" patch --local -f "$OBJECT" "$@" -o name ;;
esac
"#;

/// What is changed: the containers that the page names are in it.
const OBJECT: &str = r#"{"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"name":"object"},"spec":{
    "serviceName":"object","selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{
    "initContainers":[{"name":"init2","image":"before"}],"containers":[{"name":"main","image":"before"}]}}}}"#;

fn page() -> Result<String> {
    Ok(text("docs/operations/migrating.md")?)
}

/// The commands in the part of the page between two headings.
fn commands(page: &str, from: &str, to: &str) -> Result<String> {
    let (_, part) = page.split_once(from).with_context(|| format!("no heading {from}"))?;
    let (part, _) = part.split_once(to).with_context(|| format!("no heading {to}"))?;
    let mut commands = String::new();
    let mut indent = None;
    for line in part.lines() {
        match (indent, line.trim_start()) {
            (None, "```sh") => indent = Some(line.len() - "```sh".len()),
            (Some(_), "```") => indent = None,
            (Some(indent), _) => {
                commands.push_str(line.get(indent..).unwrap_or_default());
                commands.push('\n');
            }
            (None, _) => {}
        }
    }
    ensure!(!commands.is_empty(), "no commands after {from}");
    Ok(commands)
}

#[test]
fn every_setting_that_the_page_names_is_one() -> Result<()> {
    let page = page()?;
    let named = page.split(|c: char| !(c.is_ascii_uppercase() || c == '_'));
    let named: Vec<_> = named.filter(|word| word.starts_with("SPIKE_")).collect();
    ensure!(named.len() >= 3, "only {named:?}");
    let unknown: Vec<_> =
        named.iter().filter(|name| variables().all(|known| known.name != **name)).collect();
    assert_eq!(unknown, Vec::<&&str>::new());
    Ok(())
}

#[tokio::test]
async fn the_commands_that_show_what_was_imported_run() -> Result<()> {
    let commands = commands(&page()?, "## On machines with systemd", "## In Kubernetes")?;
    assert!(commands.contains("spike operator status"), "{commands}");
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let place = Place::new(dir.path());
    let cluster = Up::start(&place).await?;
    let (status, printed) = place.run(&format!(". .spike-dev/env; set -e\n{commands}")).await?;
    assert!(status.success(), "{commands}\n{printed}");
    cluster.end().await
}

#[test]
fn the_kubernetes_commands_take_a_snapshot_first_and_never_empty_nexus_and_the_keepers_together()
-> Result<()> {
    let calls = Calls::of(&commands(&page()?, "## In Kubernetes", "## Why spike.db")?)?;
    let order = [
        "scale statefulset/spiffe-spike-nexus --replicas=0",
        "wait --for=delete pod/spiffe-spike-nexus-0",
        "apply -f -",
        "volumesnapshot/spike-before-import",
        "set image deployment/spiffe-spike-pilot init2=",
        "set image statefulset/spiffe-spike-nexus *=registry.example.org/spike/spike-nexus:0.1.0",
        "scale statefulset/spiffe-spike-nexus --replicas=1",
        "exec deployment/spiffe-spike-pilot -- spike operator status",
        "\"partition\":2",
        "set image statefulset/spiffe-spike-keeper *=registry.example.org/spike/spike-keeper:0.1.0",
        "exec deployment/spiffe-spike-pilot -- spike operator status",
        "\"partition\":1",
        // The way back.
        "set image statefulset/spiffe-spike-nexus *=upstream/nexus",
    ];
    let mut left = calls.lines.iter();
    for step in order {
        assert!(left.any(|line| line.contains(step)), "{step} is not where it belongs: {calls:#?}");
    }
    let keepers = calls.lines.iter().filter(|line| line.contains("spike-keeper"));
    let harmless = ["patch ", "set image ", "wait "];
    for line in keepers {
        assert!(harmless.iter().any(|verb| line.contains(verb)), "Keepers are ended by: {line}");
    }
    Ok(())
}

#[test]
fn the_manifests_name_the_claim_of_nexus_and_the_snapshot_of_it() -> Result<()> {
    let calls = Calls::of(&commands(&page()?, "## In Kubernetes", "## Why spike.db")?)?;
    let manifests: Vec<serde_json::Value> = calls
        .manifests
        .split("---\n")
        .filter(|manifest| !manifest.trim().is_empty())
        .map(serde_saphyr::from_str)
        .collect::<Result<_, _>>()?;
    let [snapshot, claim] = manifests.as_slice() else {
        anyhow::bail!("two manifests: {manifests:?}");
    };
    assert_eq!(snapshot["kind"], "VolumeSnapshot");
    let source = &snapshot["spec"]["source"]["persistentVolumeClaimName"];
    assert_eq!(source, "nexus-data-spiffe-spike-nexus-0");
    assert_eq!(claim["kind"], "PersistentVolumeClaim");
    assert_eq!(claim["metadata"]["name"], *source);
    assert_eq!(claim["spec"]["dataSource"]["name"], snapshot["metadata"]["name"]);
    Ok(())
}

/// The recorded calls of the commands.
#[derive(Debug)]
struct Calls {
    /// The arguments of each `kubectl`.
    lines: Vec<String>,
    /// The applied manifests.
    manifests: String,
}

impl Calls {
    /// Runs them.
    #[expect(clippy::print_stdout, reason = "the output of a test says what it left out")]
    fn of(commands: &str) -> Result<Self> {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("kubectl"), KUBECTL)?;
        std::fs::set_permissions(at("kubectl"), Permissions::from_mode(0o755))?;
        std::fs::write(at("object.json"), OBJECT)?;
        let real = Command::new("sh").args(["-c", "command -v kubectl || true"]).output()?;
        let real = String::from_utf8(real.stdout)?;
        if real.trim().is_empty() {
            println!("there is no kubectl on PATH, so its options were not checked");
        }
        let ended = Command::new("sh")
            .args(["-eu", "-c", &format!("PATH={}:$PATH\n{commands}", dir.path().display())])
            .env("CALLS", at("calls"))
            .env("OBJECT", at("object.json"))
            .env("REAL", real.trim())
            .env("UPSTREAM", "upstream/nexus")
            .output()?;
        ensure!(ended.status.success(), "{commands}\n{}", String::from_utf8_lossy(&ended.stderr));
        Ok(Self {
            lines: std::fs::read_to_string(at("calls"))?.lines().map(str::to_owned).collect(),
            manifests: std::fs::read_to_string(at("calls.yaml"))?,
        })
    }
}
