//! What `docs/operations/kubernetes.md` and the notes of the chart say of the chart is so.

use std::collections::BTreeSet;

use anyhow::Result;
use serde_json::Value;

use super::manifest::{Manifest, RENDERED};
use crate::repository::{files, text};

const PAGE: &str = "docs/operations/kubernetes.md";
const NOTES: &str = "deploy/helm/spike/templates/NOTES.txt";

#[test]
fn every_value_that_a_command_sets_is_a_value_of_the_chart() -> Result<()> {
    let values: Value = serde_saphyr::from_str(&text("deploy/helm/spike/values.yaml")?)?;
    let mut set = BTreeSet::new();
    for path in [PAGE, NOTES] {
        for rest in text(path)?.split("--set ").skip(1) {
            let name = rest.split('=').next().unwrap_or_default();
            set.insert(name.to_owned());
        }
    }
    assert!(set.len() > 3, "only {set:?}");
    let unknown: Vec<&String> = set
        .iter()
        .filter(|name| values.pointer(&format!("/{}", name.replace('.', "/"))).is_none())
        .collect();
    assert_eq!(unknown, [""; 0]);
    Ok(())
}

/// Where all values below `value` are, as JSON pointers.
fn places(value: &Value, above: &str, found: &mut Vec<String>) {
    match value.as_object() {
        Some(map) if !map.is_empty() => {
            map.iter().for_each(|(name, below)| places(below, &format!("{above}/{name}"), found));
        }
        _ => found.push(above.to_owned()),
    }
}

// An upgrade with `--set` took back what an earlier command had set, such as that Bootstrap is gone.
#[test]
fn an_upgrade_does_not_forget_what_was_set_because_every_command_has_the_values_file() -> Result<()>
{
    let page = text(PAGE)?;
    let commands = page.split("\nhelm -n spike ").skip(1).filter_map(|rest| rest.lines().next());
    let commands: Vec<_> = commands.filter(|line| !line.starts_with("test ")).collect();
    assert!(commands.len() > 8, "only {commands:?}");
    for command in commands {
        assert!(command.contains(" -f spike-values.yaml"), "{command}");
    }
    let kept = page.split("cat >> spike-values.yaml <<END\n").nth(1).unwrap_or_default();
    let kept = kept.split("\nEND\n").next().unwrap_or_default();
    let after = "bootstrap:\n  enabled: false\n";
    assert!(page.contains(&format!("printf '{}' >> spike-values.yaml", after.escape_default())));
    let production = text("deploy/helm/spike/values-production.yaml")?;
    assert!(production.contains("\nspire:\n"), "the `sed` of the page finds no such line");
    // Read strictly: a key that is there twice is refused.
    let file: Value = serde_saphyr::from_str(&format!("{production}{kept}\n{after}"))?;
    let values: Value = serde_saphyr::from_str(&text("deploy/helm/spike/values.yaml")?)?;
    let mut set = Vec::new();
    places(&file, "", &mut set);
    let unknown: Vec<_> = set.iter().filter(|name| values.pointer(name).is_none()).collect();
    assert_eq!(unknown, [""; 0], "no values of the chart");
    assert!(set.contains(&"/image/registry".to_owned()), "{set:?}");
    Ok(())
}

#[test]
fn every_value_in_a_block_of_values_is_a_value_of_the_chart() -> Result<()> {
    let values: Value = serde_saphyr::from_str(&text("deploy/helm/spike/values.yaml")?)?;
    let mut named = Vec::new();
    for block in text(PAGE)?.split("```yaml\n").skip(1) {
        let block = block.split("```").next().unwrap_or_default();
        places(&serde_saphyr::from_str::<Value>(block)?, "", &mut named);
    }
    assert!(named.len() > 1, "only {named:?}");
    // Labels are the user's own.
    let is_known = |place: &String| {
        values.pointer(place).is_some()
            || place.contains("/labels/")
            || place.contains("/annotations/")
    };
    named.retain(|place| !is_known(place));
    assert_eq!(named, [""; 0]);
    Ok(())
}

#[test]
fn every_object_that_the_page_names_is_rendered() -> Result<()> {
    let mut rendered = BTreeSet::new();
    for path in RENDERED {
        for object in &Manifest::read(path)?.0 {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            rendered.insert(name.to_owned());
            for claim in object["spec"]["volumeClaimTemplates"].as_array().into_iter().flatten() {
                rendered.insert(format!(
                    "{}-{name}-0",
                    claim["metadata"]["name"].as_str().unwrap_or("")
                ));
            }
        }
    }
    let page = text(PAGE)?;
    for name in ["data-spike-nexus-0", "spike-nexus", "spike-nexus-headless", "spike-pilot"] {
        assert!(page.contains(name), "{name} is not named any more");
        assert!(rendered.contains(name), "{name} is not rendered");
    }
    // Each ceremony has a pod of its own name.
    for role in ["recover", "restore"] {
        assert!(page.contains(&format!("ceremony.{role}=true")), "{role}");
        assert!(page.contains(&format!("deploy/spike-{role} -- spike operator {role}")), "{role}");
    }
    Ok(())
}

#[test]
fn a_log_that_the_page_quotes_is_what_a_program_says() -> Result<()> {
    let page = text(PAGE)?;
    let mut sources = String::new();
    for file in files("rs")? {
        // This file would prove itself.
        if !file.components().any(|part| part.as_os_str() == "specs") {
            sources.push_str(&std::fs::read_to_string(file)?);
        }
    }
    let quotes: Vec<&str> =
        page.split("its log says `").skip(1).filter_map(|rest| rest.split('`').next()).collect();
    assert!(quotes.len() > 1, "only {quotes:?}");
    for quote in quotes {
        assert!(sources.contains(quote), "no program says {quote:?}");
    }
    Ok(())
}
