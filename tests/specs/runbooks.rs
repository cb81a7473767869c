//! Alerts, their tests, their pages and the metrics they ask for belong together.

use std::{collections::BTreeSet, io};

use crate::repository::{files_below, root, shown, text};

const RULES: &str = "deploy/observability/alerts.yaml";
const PAGES: &str = "docs/runbooks";

/// The form of every page.
const HEADINGS: [&str; 7] =
    ["Symptom", "What users feel", "Cause", "Diagnose", "Resolve", "Prevent", "Escalate"];

/// The values of `key` in a YAML file, in its order.
fn values(yaml: &str, key: &str) -> Vec<String> {
    let lines = yaml.lines().map(|line| line.trim_start().trim_start_matches("- "));
    let values = lines.filter_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
    values.map(str::to_owned).collect()
}

fn alerts() -> io::Result<BTreeSet<String>> {
    let alerts: BTreeSet<_> = values(&text(RULES)?, "alert").into_iter().collect();
    assert!(alerts.len() > 20, "only {} alerts were found", alerts.len());
    Ok(alerts)
}

#[test]
fn every_alert_is_tried_by_a_test_and_links_to_its_own_page() -> io::Result<()> {
    let alerts = alerts()?;
    let tried: BTreeSet<_> =
        values(&text("deploy/observability/alerts-test.yaml")?, "alertname").into_iter().collect();
    assert_eq!(tried, alerts);
    let linked: BTreeSet<_> = values(&text(RULES)?, "runbook").into_iter().collect();
    let expected = alerts.iter().map(|alert| format!("{PAGES}/{alert}.md"));
    assert_eq!(linked, expected.collect());
    Ok(())
}

#[test]
fn every_alert_has_a_page_in_the_common_form_and_every_page_an_alert() -> io::Result<()> {
    let index = text(&format!("{PAGES}/README.md"))?;
    let mut pages = BTreeSet::new();
    for file in files_below(root().join(PAGES), "md")? {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if name == "README" {
            continue;
        }
        let page = std::fs::read_to_string(&file)?;
        let headings: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(headings, HEADINGS, "{}", shown(&file));
        assert!(page.starts_with(&format!("# {name}\n")), "{}", shown(&file));
        assert!(index.contains(&format!("[{name}]({name}.md)")), "{name} is not in the index");
        pages.insert(name);
    }
    assert_eq!(pages, alerts()?);
    Ok(())
}

#[test]
fn the_severity_of_an_alert_is_that_of_its_page() -> io::Result<()> {
    let rules = text(RULES)?;
    for rule in rules.split("- alert: ").skip(1) {
        let name = rule.lines().next().unwrap_or_default();
        let severity = rule.split("severity: ").nth(1).and_then(|rest| rest.split('}').next());
        let page = text(&format!("{PAGES}/{name}.md"))?;
        let severity = severity.unwrap_or_default();
        assert!(page.contains(&format!("\nSeverity: {severity}. ")), "{name}: {severity}");
    }
    Ok(())
}

#[test]
fn alerts_ask_for_metrics_that_are_there() -> io::Result<()> {
    let metrics = text("docs/metrics.md")?;
    let rules = text(RULES)?;
    let word = |byte: char| byte.is_ascii_alphanumeric() || byte == '_';
    let mut found = 0;
    for line in rules.lines().filter(|line| !line.trim_start().starts_with('#')) {
        for name in line.split(|byte| !word(byte)).filter(|name| name.starts_with("spike_")) {
            found += 1;
            let family = ["_total", "_bucket"].iter().find_map(|end| name.strip_suffix(end));
            let family = family.unwrap_or(name);
            assert!(metrics.contains(&format!("| `{family}` |")), "{name} is no metric");
        }
    }
    assert!(found > 25, "only {found} metrics were found");
    Ok(())
}
