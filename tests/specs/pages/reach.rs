//! Whoever begins at the README finds every page.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Component, Path, PathBuf},
};

use super::pages;

/// The pages of the repository that a page links to. A link to a folder leads to its `README.md`.
fn linked(path: &str, page: &str, pages: &BTreeMap<String, String>) -> Vec<String> {
    let targets = page.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let local = targets.filter(|target| !target.starts_with("http"));
    local
        .filter_map(|target| {
            let target = target.split('#').next()?;
            let mut found = PathBuf::new();
            for part in Path::new(path).with_file_name("").join(target).components() {
                match part {
                    Component::ParentDir => drop(found.pop()),
                    part => found.push(part),
                }
            }
            let page = found.to_str()?.to_owned();
            let index = found.join("README.md").to_str()?.to_owned();
            [page, index].into_iter().find(|page| pages.contains_key(page))
        })
        .collect()
}

#[test]
fn every_page_is_reached_from_the_table_of_the_readme() -> io::Result<()> {
    let pages = pages()?;
    let readme = &pages["README.md"];
    let (_, table) = readme.split_once("## Where to read on").unwrap_or_default();
    let mut left = linked("README.md", table, &pages);
    assert!(left.len() > 20, "the table links only to {left:?}");
    let mut reached: BTreeSet<String> = left.iter().cloned().collect();
    while let Some(path) = left.pop() {
        for next in linked(&path, &pages[&path], &pages) {
            if reached.insert(next.clone()) {
                left.push(next);
            }
        }
    }
    let lost: Vec<_> = pages.keys().filter(|path| !reached.contains(*path)).collect();
    assert_eq!(lost, Vec::<&String>::new(), "no way leads there");
    Ok(())
}

// What people looked for and did not find.
#[test]
fn the_table_of_the_readme_leads_to_what_people_look_for() -> io::Result<()> {
    let pages = pages()?;
    let (_, table) = pages["README.md"].split_once("## Where to read on").unwrap_or_default();
    let direct = linked("README.md", table, &pages);
    for (page, words) in [
        ("docs/operations/bare-metal.md", "without cargo"),
        ("docs/operations/upgrading.md", "## The way back"),
        ("docs/operations/backup.md", "write-ahead log"),
        ("docs/operations/backup.md", "older one"),
        ("docs/operations/sizing.md", "Keepers"),
        ("docs/operations/identities.md", "which SVID"),
        ("docs/operations/identities.md", "`lastExport`"),
        ("docs/operations/deleting.md", "deleting a secret for good"),
        ("docs/audit-log.md", "## Rotation"),
        ("docs/audit-log.md", "`TrailID`"),
        ("docs/audit-log.md", "`Subject`"),
        ("docs/audit-log.md", "X-Request-Id"),
        ("docs/health.md", "/healthz"),
        ("docs/metrics.md", "## The daemon"),
        ("CHANGELOG.md", "Keep a Changelog"),
        ("CHANGELOG.md", "minor version"),
    ] {
        assert!(direct.iter().any(|linked| linked == page), "the table has no {page}");
        assert!(pages[page].to_lowercase().contains(&words.to_lowercase()), "{page}: {words}");
    }
    Ok(())
}
