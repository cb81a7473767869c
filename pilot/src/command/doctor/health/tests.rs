use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::super::check::Outcome;
use super::*;

fn failing(name: &str, effect: CheckEffect, reason: &str) -> CheckStatus {
    CheckStatus { name: name.to_owned(), effect, reason: reason.to_owned() }
}

fn judged(name: &str, effect: CheckEffect) -> Check {
    let checks = vec![failing(name, effect, "a reason")];
    judge(&StatusResponse { checks, ..StatusResponse::default() }).remove(0)
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
}

/// The names in `health().add("…", Effect::…)` of the daemons, and in `add_on_disk`.
fn registered() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for directory in ["nexus/src", "keeper/src", "common/daemon/src"] {
        sources(&root.join(directory), &mut files);
    }
    let mut names = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        let program = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for adds in [".add(\"", ".add_on_disk(\""] {
            let added = program.split(adds).skip(1);
            names.extend(added.filter_map(|after| after.split('"').next()).map(str::to_owned));
        }
    }
    names
}

/// Everything that Nexus reported was told as a store that cannot be written.
#[test]
fn every_check_of_the_daemons_has_its_own_row_with_a_page_that_exists() {
    let registered = registered();
    assert!(registered.contains("store_write") && registered.contains("memory_locked"));
    let rows: BTreeSet<String> = ROWS.iter().map(|row| row.check.to_owned()).collect();
    assert_eq!(rows.len(), ROWS.len(), "one row for each");
    let with_start = registered.into_iter().chain(["start".to_owned()]).collect();
    assert_eq!(rows, with_start);
    for row in &ROWS {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(row.page);
        assert!(page.exists(), "{}", row.page);
    }
}

#[test]
fn a_trouble_that_is_not_one_of_the_store_is_not_told_as_one() {
    for (name, group, page) in [
        ("svid_rotation", Group::Nexus, "SpikeSvidNotRenewed"),
        ("store_loss", Group::Storage, "SpikeCommitsLost"),
        ("clock", Group::Clock, "SpikeClockWrong"),
        ("audit", Group::Storage, "SpikeAuditFailing"),
        ("trust_bundles", Group::Nexus, "SpikeTrustBundleFault"),
        ("store_read", Group::Storage, "SpikeStoreNotReadable"),
    ] {
        let found = judged(name, CheckEffect::Degraded);
        assert_eq!(found.group, group, "{name}");
        assert!(found.page.contains(page), "{name}: {}", found.page);
        assert!(found.cause.unwrap().contains("a reason"), "{name}");
    }
}

/// The Nexus of a user without privileges is well, and the doctor ended with a failure.
#[test]
fn memory_that_is_not_locked_is_a_warning() {
    assert_eq!(judged("memory_locked", CheckEffect::Degraded).outcome, Outcome::Warning);
    assert_eq!(judged("clock", CheckEffect::Warning).outcome, Outcome::Warning);
    let lost = judged("store_loss", CheckEffect::Degraded).outcome;
    assert_eq!(lost, Outcome::Failed(Exit::Failure));
    let full = judged("store_write", CheckEffect::Failing).outcome;
    assert_eq!(full, Outcome::Failed(Exit::NotReady));
}

#[test]
fn what_is_told_by_a_check_is_not_told_again_and_what_is_not_is() {
    let checks = vec![failing("audit", CheckEffect::Failing, "the disk is full")];
    let troubles = vec!["the disk is full".to_owned(), "something else".to_owned()];
    let found = judge(&StatusResponse { checks, troubles, ..StatusResponse::default() });
    let evidence: Vec<_> = found.iter().map(|check| check.evidence.as_str()).collect();
    assert_eq!(evidence, ["the disk is full", "something else"]);
    assert_eq!(found[1].group, Group::Nexus);
}

#[test]
fn a_check_that_this_program_does_not_know_is_told_by_its_name() {
    let found = judged("fans", CheckEffect::Degraded);
    assert_eq!((found.group, found.name.as_str()), (Group::Nexus, "fans"));
}

#[test]
fn the_root_key_is_not_blamed_for_a_check_of_another_layer() {
    let with = |name, effect| StatusResponse {
        checks: vec![failing(name, effect, "x")],
        ..StatusResponse::default()
    };
    assert!(explains_not_ready(&with("store_write", CheckEffect::Failing)));
    assert!(!explains_not_ready(&with("store_loss", CheckEffect::Degraded)));
    assert!(!explains_not_ready(&with("root_key", CheckEffect::Failing)));
}
