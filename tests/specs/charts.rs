//! The chart in `deploy/helm/spike`, and what it renders into `deploy/kubernetes`.
//!
//! `tests/charts` renders it with Helm's own engine; here it is built and run. What the rendered objects promise is in
//! [`objects`] and [`settings`], what its page says of it in [`page`], and what a rolling update of Keepers rests on in [`upgrade`].

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context, Result, ensure};
use spike_tests::{build_go, skipped};

use crate::repository::{files_below, root};

mod hardened;
mod manifest;
mod objects;
mod page;
mod settings;
mod upgrade;

use self::manifest::{Manifest, environment};
pub(crate) use manifest::note_key;

/// The versions of Kubernetes beside the newest one, which `go.mod` names: as in the names of `kubernetes-1.35.mod`.
const OLDER: [&str; 2] = ["1.36", "1.35"];

fn said(output: Output) -> Result<String> {
    let (told, wrong) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    ensure!(output.status.success(), "{told}{wrong}");
    Ok(told)
}

/// The program that renders; `None` where there is no Go.
fn charts(dir: &Path) -> Result<Option<PathBuf>> {
    let program = dir.join("charts");
    if build_go("charts", &[], &program)? {
        return Ok(Some(program));
    }
    skipped("no go on PATH")?;
    Ok(None)
}

#[test]
fn the_chart_renders_what_is_in_the_repository_and_is_restricted_and_refuses_bad_values()
-> Result<()> {
    let dir = tempfile::tempdir()?;
    let Some(program) = charts(dir.path())? else { return Ok(()) };
    // `UPDATE_CHARTS` is no setting of SPIKE.
    if std::env::vars_os().any(|(name, _)| name == "UPDATE_CHARTS") {
        said(Command::new(&program).arg("update").arg(root()).output()?)?;
    }
    let told = said(Command::new(&program).arg("check").arg(root()).output()?)?;
    assert_eq!(told.lines().filter(|line| line.starts_with("ok: ")).count(), 4, "{told}");
    Ok(())
}

#[test]
fn three_minor_versions_of_kubernetes_know_every_field_that_is_rendered() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let Some(program) = charts(dir.path())? else { return Ok(()) };
    let cases = dir.path().join("cases");
    fs::create_dir(&cases)?;
    said(Command::new(&program).arg("cases").arg(root()).arg(&cases).output()?)?;
    let mut rendered = files_below(cases, "yaml")?;
    rendered.extend(files_below(root().join("deploy/kubernetes"), "yaml")?);
    let typo = dir.path().join("typo");
    let service = "apiVersion: v1\nkind: Service\nspec:\n  publishNotReadyAdresses: true\n";
    fs::write(&typo, service)?;

    let mods = OLDER.map(|version| format!("-modfile=kubernetes-{version}.mod"));
    for flags in [vec![], vec![mods[0].as_str()], vec![mods[1].as_str()]] {
        let schema = dir.path().join("schema");
        ensure!(build_go("charts/schema", &flags, &schema)?, "no go on PATH");
        let count = said(Command::new(&schema).args(&rendered).output()?)?;
        let count: usize = count.trim().parse().context("no number of objects")?;
        assert!(count > 100, "only {count} objects were read");
        let refused = Command::new(&schema).arg(&typo).output()?;
        let told = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(told.contains("publishNotReadyAdresses"), "{told}");
        assert!(!refused.status.success());
    }
    Ok(())
}

/// The setting had no value: it had to be given to Nexus and to the Keepers by hand, and their policies let nobody to that port.
#[test]
fn ids_that_may_read_metrics_over_mtls_are_given_to_nexus_and_keepers_and_let_through() -> Result<()>
{
    let dir = tempfile::tempdir()?;
    let Some(program) = charts(dir.path())? else { return Ok(()) };
    said(Command::new(&program).arg("cases").arg(root()).arg(dir.path()).output()?)?;
    for (case, ids) in [
        (
            "everything",
            Some("spiffe://prod.example.org/prometheus,spiffe://prod.example.org/agent"),
        ),
        ("production", None),
    ] {
        let rendered = fs::read_to_string(dir.path().join(case).with_extension("yaml"))?;
        let manifest = Manifest::parse(&rendered, case)?;
        let mut given = 0;
        for (_, container) in manifest.containers() {
            let is_asked = ["nexus", "keeper"].iter().any(|name| container["name"] == *name);
            let variables = environment(container);
            let set = variables.iter().find(|(name, _)| name == "SPIKE_METRICS_SPIFFE_IDS");
            let expected = ids.filter(|_| is_asked);
            assert_eq!(set.map(|(_, value)| value.as_str()), expected, "{case}: {container}");
            given += usize::from(set.is_some());
        }
        assert_eq!(given, ids.map_or(0, |_| 2), "{case}");
        // Those who read metrics come to the port of the API if they may read them there.
        for policy in manifest.of_kind("NetworkPolicy") {
            let rules = policy["spec"]["ingress"].as_array().cloned().unwrap_or_default();
            for rule in rules {
                let ports: Vec<_> = rule["ports"].as_array().into_iter().flatten().collect();
                if ports.iter().any(|port| port["port"] == "telemetry") {
                    assert_eq!(ports.iter().any(|port| port["port"] == "https"), ids.is_some());
                }
            }
        }
    }
    Ok(())
}
