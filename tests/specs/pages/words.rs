//! Settings, metrics, routes, error codes and exit statuses that pages name are there.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use spike_config::table::variables;
use spike_wire::{KeeperOperation, Operation, PeerErrorCode};

use super::pages;

/// What upstream has and we have not, by its own page.
const UPSTREAM: &str = "docs/reference/";

/// Names of no setting that pages have on purpose: a misspelt one, and those of others.
const NO_SETTINGS: [&str; 5] = [
    "SPIKE_NEXUS_TLS_PROT",
    // Of Kubernetes, and of upstream: the page of settings says that nobody reads them.
    "SPIKE_NEXUS_SERVICE_HOST",
    "SPIKE_NEXUS_PBKDF2_ITERATION_COUNT",
    "SPIKE_SHOW_MEMORY_WARNING",
    "SPIKE_USE_LOCAL_CHARTS",
];

/// Our pages: without those about upstream.
fn ours() -> io::Result<BTreeMap<String, String>> {
    let mut pages = pages()?;
    pages.retain(|path, _| !path.starts_with(UPSTREAM));
    Ok(pages)
}

/// The words of all pages that `is_one` accepts, where words are made of such characters, and are not known: each with its page.
fn unknown(
    is_in_word: impl Fn(char) -> bool,
    is_one: impl Fn(&str) -> bool,
    is_known: impl Fn(&str) -> bool,
) -> io::Result<BTreeSet<String>> {
    let (mut found, mut lost) = (0, BTreeSet::new());
    for (path, page) in ours()? {
        let words = page.split(|c| !is_in_word(c)).map(|word| word.trim_end_matches(['.', '/']));
        for word in words.filter(|word| is_one(word)) {
            found += 1;
            if !is_known(word) {
                lost.insert(format!("{path}: {word}"));
            }
        }
    }
    assert!(found > 5, "only {found} words were found");
    Ok(lost)
}

#[test]
fn every_setting_that_a_page_names_is_one() -> io::Result<()> {
    let known: BTreeSet<_> = variables().map(|variable| variable.name).collect();
    let unknown = unknown(
        |c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_',
        |word| (word.starts_with("SPIKE_") || word.starts_with("SPIFFE_")) && !word.ends_with('_'),
        |word| known.contains(word) || NO_SETTINGS.contains(&word),
    )?;
    assert_eq!(unknown, BTreeSet::new());
    Ok(())
}

#[test]
fn every_metric_that_a_page_names_is_one() -> io::Result<()> {
    // A test holds this page against the daemons.
    let metrics = pages()?["docs/metrics.md"].clone();
    let crates = ["sdk", "tests", "dev", "wire", "config", "policy", "crypto", "mtls", "domain"];
    // Names of crates, and of tests.
    let is_crate = |word: &str| {
        crates.iter().any(|name| word == format!("spike_{name}"))
            || word.starts_with("spike_before_")
            || word.starts_with("spike_without_")
    };
    let family = |word: &str| {
        let ends = ["_total", "_bucket", "_sum", "_count"];
        let family = ends.iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word);
        // Diagnosis looks for families by their beginning.
        [word, family].iter().any(|name| metrics.contains(&format!("`{name}")))
    };
    let unknown = unknown(
        |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_',
        |word| word.starts_with("spike_") && !is_crate(word),
        family,
    )?;
    assert_eq!(unknown, BTreeSet::new());
    Ok(())
}

#[test]
fn every_route_that_a_page_names_is_one() -> io::Result<()> {
    let nexus = Operation::ALL.iter().map(|operation| operation.path_and_query());
    let keeper = KeeperOperation::ALL.iter().map(|operation| operation.path_and_query());
    let known: BTreeSet<_> = nexus.chain(keeper).collect();
    let paths: BTreeSet<_> = known.iter().filter_map(|route| route.split('?').next()).collect();
    let unknown = unknown(
        |c| c.is_ascii_alphanumeric() || "/-?=._".contains(c),
        |word| word.starts_with("/v1/"),
        |word| {
            known.contains(word)
                || paths.contains(word)
                || paths.iter().any(|path| path.starts_with(&format!("{word}/")))
        },
    )?;
    assert_eq!(unknown, BTreeSet::new());
    Ok(())
}

#[test]
fn every_code_of_an_error_that_a_page_names_is_one() -> io::Result<()> {
    let beginnings = ["api_", "access_", "state_", "entity_", "crypto_", "data_read_"];
    let unknown = unknown(
        |c| c.is_ascii_lowercase() || c == '_',
        |word| beginnings.iter().any(|beginning| word.starts_with(beginning)),
        |word| PeerErrorCode::parse(word).is_registered(),
    )?;
    assert_eq!(unknown, BTreeSet::new());
    Ok(())
}

#[test]
fn every_exit_status_that_a_page_names_is_in_the_table_of_statuses() -> io::Result<()> {
    let pages = ours()?;
    let (_, table) = pages["docs/error-codes.md"].split_once("## Exit status").unwrap_or_default();
    let known: BTreeSet<_> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split([' ', ',']).next()?.parse::<u16>().ok())
        .collect();
    assert!(known.contains(&78) && known.contains(&7), "{known:?}");
    let (mut found, mut lost) = (0, Vec::new());
    for (path, page) in &pages {
        for rest in page.to_lowercase().split("exit status ").skip(1) {
            let number = rest.trim_start_matches('*').split(|c: char| !c.is_ascii_digit()).next();
            let Some(number) = number.and_then(|number| number.parse().ok()) else { continue };
            found += 1;
            if !known.contains(&number) {
                lost.push(format!("{path}: {number}"));
            }
        }
    }
    assert!(found > 7, "only {found}");
    assert_eq!(lost, Vec::<String>::new());
    Ok(())
}
