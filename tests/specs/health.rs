//! Every health check of every daemon is driven down and up (design 6). `docs/health.md` lists which test does it.
//!
//! What is followed each time: the status and the reason, how often it failed and since when, `/readyz`, the log, and that a check that
//! passes again is shown as such.

mod course;
mod identity;
mod key;
mod process;
mod store;

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{
    crew,
    repository::{root, text},
};

/// The daemon, and the check.
type Row = (String, String);

/// The rows of the table in `docs/health.md`, with the tests that drive them.
fn table() -> Result<Vec<(Row, Vec<String>)>> {
    let page = text("docs/health.md")?;
    let (_, table) = page.split_once("## Which test drives").context("no table of tests")?;
    let mut rows = Vec::new();
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [_, checks, of, tests, _] = cells[..] else {
            anyhow::bail!("not three columns: {row}")
        };
        let code = |cell: &str| -> Vec<String> {
            cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
        };
        let daemons: &[&str] = match of {
            "both" => &["nexus", "keeper-1"],
            "Nexus" => &["nexus"],
            "Keeper" => &["keeper-1"],
            other => anyhow::bail!("neither Nexus nor Keeper: {other}"),
        };
        for check in code(checks) {
            for daemon in daemons {
                rows.push((((*daemon).to_owned(), check.clone()), code(tests)));
            }
        }
    }
    Ok(rows)
}

/// A check was added, and no test broke it.
#[tokio::test]
async fn every_check_of_every_daemon_is_in_the_table_of_those_that_are_driven_down_and_up()
-> Result<()> {
    let mut crew = crew().start().await?;
    let mut registered = BTreeSet::new();
    for daemon in crew.cluster().daemons().take(2) {
        let report: Value = serde_json::from_str(&daemon.get("/healthz").await?.1)?;
        let checks = report["checks"].as_object().context("no checks")?;
        registered.extend(checks.keys().map(|check| (daemon.name().to_owned(), check.clone())));
        // It is there only while the others are being added.
        registered.insert((daemon.name().to_owned(), "start".to_owned()));
    }
    let table = table()?;
    let listed: BTreeSet<Row> = table.iter().map(|(row, _)| row.clone()).collect();
    assert_eq!(listed.len(), table.len(), "a check is listed twice");
    assert_eq!(listed, registered);
    crew.stop().await
}

/// A table whose tests have other names, or break other checks, promises nothing.
#[test]
fn each_test_of_the_table_is_there_and_follows_its_check() -> Result<()> {
    let mut files = vec![text("tests/specs/store.rs")?];
    for file in std::fs::read_dir(root().join("tests/specs/health"))? {
        files.push(std::fs::read_to_string(file?.path())?);
    }
    for ((daemon, check), tests) in table()? {
        ensure!(!tests.is_empty(), "no test of {check}");
        for test in tests {
            let head = format!("async fn {test}()");
            let body = files.iter().find_map(|file| Some(file.split_once(&head)?.1));
            let body = body.with_context(|| format!("no test {test}"))?;
            let body = body.split("\n}\n").next().unwrap_or_default();
            let follows = body.contains(&format!("\"{check}\""));
            ensure!(follows, "{test} does not name the check {check} of {daemon}");
        }
    }
    Ok(())
}
