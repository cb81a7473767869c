//! `spike doctor` names the cause of a fault, and not its symptom (cli-config-deploy 7). `docs/operations/doctor.md` has a row for
//! each of these tests, and the words that its row quotes are in the answer. The page also has a row for each symptom of the
//! reference: which test produces it, or why none does.

mod files;
mod identity;
mod keepers;
mod nexus;
mod policies;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use anyhow::{Context, Result};
use serde_json::Value;
use spike_tests::{SUPERUSER, crew::Crew};
use tokio::process::Command;

use crate::{
    crew,
    documents::{held_by, tests_of},
    repository::{files_below, root, text},
};

const PAGE: &str = "docs/operations/doctor.md";

/// The cells of a row; the last one names tests.
fn rows(page: &str) -> impl Iterator<Item = Vec<&str>> {
    page.lines()
        .filter(|line| line.starts_with("| ") && !line.ends_with("| held by |"))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
}

fn in_code(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

#[test]
fn every_test_of_the_doctor_has_a_row_and_every_row_names_tests_that_exist() -> Result<()> {
    let mut tests = BTreeSet::new();
    for file in files_below(root().join("tests/specs/doctor"), "rs")? {
        if !file.ends_with("mod.rs") {
            tests.extend(tests_of(&fs::read_to_string(file)?).map(str::to_owned));
        }
    }
    let page = text(PAGE)?;
    let named: BTreeSet<String> = held_by(&page).into_iter().flatten().map(str::to_owned).collect();
    assert_eq!(named, tests);
    assert!(tests.iter().all(|test| promised(&page, test).next().is_some()), "a row has no words");
    Ok(())
}

#[test]
fn every_symptom_of_the_reference_is_covered_or_has_a_reason() -> Result<()> {
    let reference = text("docs/reference/cli-config-deploy.md")?;
    let (_, from) = reference.split_once("<a id=\"s7\">").context("no section 7")?;
    let (section, _) = from.split_once("<a id=\"s9\">").context("no section after 7")?;
    let symptoms: BTreeSet<&str> = rows(section)
        .filter_map(|cells| cells.first().copied())
        .filter(|cell| !matches!(*cell, "symptom" | "---"))
        .collect();
    assert!(symptoms.len() > 60, "only {} symptoms", symptoms.len());
    let page = text(PAGE)?;
    let told: BTreeMap<&str, (&str, &str)> = rows(&page)
        .filter_map(|cells| match cells.as_slice() {
            [symptom, told, tests] => Some((*symptom, (*told, *tests))),
            _ => None,
        })
        .collect();
    let missing: Vec<_> = symptoms.iter().filter(|symptom| !told.contains_key(*symptom)).collect();
    assert_eq!(missing, Vec::<&&str>::new(), "symptoms without a row");
    for symptom in symptoms {
        let (told, tests) = told[symptom];
        let is_covered = in_code(tests).next().is_some();
        assert!(is_covered || told.starts_with("Not covered: "), "{symptom}: {told}");
    }
    Ok(())
}

#[test]
fn every_page_that_the_doctor_names_is_there() -> Result<()> {
    let mut found = BTreeSet::new();
    for file in files_below(root().join("pilot/src/command"), "rs")? {
        let text = fs::read_to_string(file)?;
        let pages = text.split('"').filter(|piece| piece.starts_with("docs/"));
        found.extend(pages.map(str::to_owned));
    }
    assert!(found.len() > 10, "only {found:?}");
    let missing: Vec<_> = found.iter().filter(|page| !root().join(page).exists()).collect();
    assert_eq!(missing, Vec::<&String>::new());
    Ok(())
}

/// The words in code in the rows of a test.
fn promised<'a>(page: &'a str, test: &'a str) -> impl Iterator<Item = &'a str> {
    rows(page)
        .filter(move |cells| {
            cells.last().is_some_and(|tests| in_code(tests).any(|name| name == test))
        })
        .filter_map(|cells| cells.iter().rev().nth(1).copied())
        .flat_map(in_code)
}

/// What the doctor found.
struct Found {
    status: Option<i32>,
    report: Value,
}

impl Found {
    async fn of(command: &mut Command) -> Result<Self> {
        let output = command.output().await?;
        Self::read(output.status.code(), &output.stdout, &output.stderr)
    }

    fn read(status: Option<i32>, stdout: &[u8], stderr: &[u8]) -> Result<Self> {
        let report = serde_json::from_slice(stdout)
            .with_context(|| String::from_utf8_lossy(stderr).into_owned())?;
        Ok(Self { status, report })
    }

    fn answer(&self) -> &str {
        self.report.get("answer").and_then(Value::as_str).unwrap_or_default()
    }

    /// The outcome of a check; empty if it was not made.
    fn outcome(&self, name: &str) -> &str {
        let is_named = |check: &&Value| check.get("name").is_some_and(|found| found == name);
        let mut checks = self.report.get("checks").and_then(Value::as_array).into_iter().flatten();
        let outcome = checks.find(is_named).and_then(|check| check.get("outcome")?.as_str());
        outcome.unwrap_or_default()
    }

    /// The answer has the words of the page, and the run ended with this status.
    fn is(&self, test: &str, status: i32) -> Result<()> {
        let page = text(PAGE)?;
        for words in promised(&page, test) {
            assert!(self.answer().contains(words), "{words:?} is promised: {:#}", self.report);
        }
        assert_eq!(self.status, Some(status), "{:#}", self.report);
        Ok(())
    }
}

const DOCTOR: [&str; 3] = ["doctor", "-f", "json"];

/// The doctor as the superuser.
async fn doctor(crew: &Crew) -> Result<Found> {
    doctor_with(crew, &[]).await
}

/// The same with settings in place of those of a client.
async fn doctor_with(crew: &Crew, settings: &[(&str, &str)]) -> Result<Found> {
    doctor_as(crew, SUPERUSER, &[], settings).await
}

/// The same under the SPIFFE ID with this path, and with more arguments.
async fn doctor_as(
    crew: &Crew,
    path: &str,
    arguments: &[&str],
    settings: &[(&str, &str)],
) -> Result<Found> {
    let arguments = [&DOCTOR, arguments].concat();
    // Otherwise it is the directory that all users of this machine share.
    let home = crew.dir().display().to_string();
    let settings = [&[("HOME", home.as_str())], settings].concat();
    let output = crew.pilot_with(path, &arguments, &settings).await?;
    Found::read(output.status.code(), &output.stdout, &output.stderr)
}

/// A crew that is well.
async fn well() -> Result<Crew> {
    let crew = crew().start().await?;
    // Otherwise there is a warning that they were never taken out.
    crew.recover().await?;
    crew.keepers_good().await?;
    Ok(crew)
}
