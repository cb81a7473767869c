//! Steps of a first start in a wrong order, and steps that were left out (cli-config-deploy 3.4 and 7): each ends well by
//! itself, or with a line that names the missing step. `docs/operations/first-start.md` has a row for each of these tests,
//! and what a test looks for are the words of its row.

mod addresses;
mod agreement;
mod starting;
mod trust;

use std::{collections::BTreeSet, fs, io, process::Output};

use anyhow::{Context, Result, bail};
use spike_tests::{
    PATIENCE, SUPERUSER,
    crew::{BootstrapRun, Crew, CrewPlan},
    secrets::{put, value_of},
};
use tokio::time::timeout;

use crate::{
    crew,
    documents::{held_by, tests_of},
    repository::{files_below, root, text},
};

const PAGE: &str = "docs/operations/first-start.md";

/// Everybody lives there, so that a trust root that is missing is not the right one by chance.
const TRUST_DOMAIN: &str = "example.org";

/// Nobody waits as long as a person would.
const IMPATIENT: [(&str, &str); 3] = [
    ("SPIKE_SPIFFE_SOURCE_TIMEOUT", "2s"),
    ("SPIKE_BOOTSTRAP_KEEPER_MAX_RETRIES", "1"),
    ("SPIKE_BOOTSTRAP_INIT_VERIFICATION_TIMEOUT", "4s"),
];

/// For a Bootstrap that must succeed, on a machine that may be busy.
const PATIENT: [(&str, &str); 2] = [
    ("SPIKE_BOOTSTRAP_KEEPER_MAX_RETRIES", "5"),
    ("SPIKE_BOOTSTRAP_INIT_VERIFICATION_TIMEOUT", "1m"),
];

#[test]
fn every_row_of_the_page_is_tried_by_a_test_and_every_test_has_a_row() -> Result<()> {
    let page = text(PAGE)?;
    let rows = held_by(&page);
    let mut named = BTreeSet::new();
    for row in &rows {
        let [name] = row.as_slice() else { bail!("a row names {row:?}") };
        assert!(named.insert((*name).to_owned()), "{name} has two rows");
        assert!(!promised(name)?.is_empty(), "the row of {name} has no words");
    }
    assert_eq!(named, tests()?);
    Ok(())
}

/// The tests of this folder, but for those of this file.
fn tests() -> io::Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for file in files_below(root().join("tests/specs/orders"), "rs")? {
        if !file.ends_with("mod.rs") {
            found.extend(tests_of(&fs::read_to_string(file)?).map(str::to_owned));
        }
    }
    Ok(found)
}

/// The words in the row of a test: what stands in code in the column before that of its name.
fn promised(test: &str) -> Result<Vec<String>> {
    let page = text(PAGE)?;
    let end = format!("| `{test}` |");
    let row = page.lines().find(|line| line.ends_with(&end));
    let row = row.with_context(|| format!("{PAGE} has no row for {test}"))?;
    let words = row.rsplit(" | ").nth(1).context("a row without words")?;
    Ok(words.split('`').skip(1).step_by(2).map(str::to_owned).collect())
}

/// All that the row of this test promises is in what was said.
fn says(test: &str, said: &str) -> Result<()> {
    for words in promised(test)? {
        assert!(said.contains(&words), "{words:?} is promised, and this was said: {said}");
    }
    Ok(())
}

fn plan() -> CrewPlan {
    let plan = crew().trust_domain(TRUST_DOMAIN);
    IMPATIENT.iter().fold(plan, |plan, (name, value)| plan.setting(name, *value))
}

/// All daemons run, and nobody has made a key.
async fn before_bootstrap() -> Result<Crew> {
    plan().start_sealed().await
}

/// Bootstrap makes the key now, and everything works.
async fn ends_well(mut crew: Crew) -> Result<()> {
    let told = crew.bootstrap(&PATIENT).await?;
    assert_eq!(told.status, 0, "{}", told.text);
    works(&mut crew).await?;
    crew.stop().await
}

async fn works(crew: &mut Crew) -> Result<()> {
    crew.ready(PATIENCE).await?;
    let superuser = crew.superuser()?;
    superuser.put_secret(&put("a/b", &[("k", "v")])).await?;
    assert_eq!(value_of(&superuser, "a/b", 0, "k").await?, "v");
    Ok(())
}

/// `spike secret list` of a person whose environment differs by these settings.
async fn list(crew: &Crew, settings: &[(&str, &str)]) -> Result<BootstrapRun> {
    Ok(told(crew.pilot_with(SUPERUSER, &["secret", "list"], settings).await?))
}

fn told(output: Output) -> BootstrapRun {
    let text = [output.stdout, output.stderr].concat();
    BootstrapRun {
        status: output.status.code().unwrap_or(-1),
        text: String::from_utf8_lossy(&text).into_owned(),
    }
}

/// The daemon starts with one setting more, and does not stay; what it said at its end.
async fn nexus_ends(crew: &mut Crew, settings: &[(&str, &str)]) -> Result<BootstrapRun> {
    crew.nexus().terminate().await?;
    for (name, value) in settings {
        crew.nexus().set(name, value);
    }
    crew.cluster().restart_nexus()?;
    let status = timeout(PATIENCE, crew.nexus().wait()).await??;
    Ok(BootstrapRun {
        status: status.code().context("ended by a signal")?,
        text: crew.nexus().end_reason(status),
    })
}

/// Nexus starts again, with one setting more.
async fn nexus_with(crew: &mut Crew, name: &str, value: &str) -> Result<()> {
    crew.nexus().terminate().await?;
    crew.nexus().set(name, value);
    crew.start_nexus().await
}
