//! Documents and sources agree: each code in a comment has its line in `docs/reference/`, each test in `docs/formats.md` exists,
//! and so do all links and paths.

mod citation;
mod paths;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::Path,
};

use self::citation::{Citation, comments};
use crate::repository::{files, shown, text};

#[test]
fn every_code_that_a_comment_cites_leads_to_its_line_in_the_reference() -> io::Result<()> {
    let anchors = anchors()?;
    let mut cited = 0;
    let mut pages = BTreeSet::new();
    let mut lost = BTreeSet::new();
    for source in files("rs")? {
        for (line, comment) in comments(&fs::read_to_string(&source)?) {
            for Citation { page, anchor } in citation::all(&comment) {
                cited += 1;
                pages.insert(page);
                if !anchors[page].contains(&anchor) {
                    lost.insert(format!("{}:{line}: {page}#{anchor}", shown(&source)));
                }
            }
        }
    }
    assert_eq!(lost, BTreeSet::new(), "codes in comments that lead nowhere");
    assert_eq!(pages, citation::PAGES.into(), "no comment cites the other pages");
    assert!(cited > 300, "only {cited} citations were found");
    Ok(())
}

#[test]
fn no_anchor_of_the_reference_is_there_twice() -> io::Result<()> {
    for page in citation::PAGES {
        let text = text(&format!("docs/reference/{page}"))?;
        let mut seen = BTreeSet::new();
        let twice: Vec<_> = anchors_of(&text).filter(|anchor| !seen.insert(*anchor)).collect();
        assert_eq!(twice, Vec::<&str>::new(), "{page}");
        assert!(seen.len() > 3, "{page} has only {seen:?}");
    }
    Ok(())
}

#[test]
fn every_link_to_an_anchor_of_the_reference_finds_it() -> io::Result<()> {
    let anchors = anchors()?;
    let mut found = 0;
    let mut lost = Vec::new();
    for document in files("md")? {
        let text = fs::read_to_string(&document)?;
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let Some((file, anchor)) = target.split_once('#') else { continue };
            let name = Path::new(file).file_name().unwrap_or_default().to_string_lossy();
            let linked = document.with_file_name("").join(file);
            // Only explicit anchors are checked. The viewer of a page makes those of headings.
            if linked.parent().is_some_and(|parent| parent.ends_with("reference")) {
                found += 1;
                if !anchors.get(name.as_ref()).is_some_and(|anchors| anchors.contains(anchor)) {
                    lost.push(format!("{}: {target}", shown(&document)));
                }
            }
        }
    }
    assert_eq!(lost, Vec::<String>::new());
    assert!(found > 5, "only {found} links were found");
    Ok(())
}

#[test]
fn every_test_that_the_page_of_formats_names_is_a_test() -> io::Result<()> {
    let text = text("docs/formats.md")?;
    let named: BTreeSet<&str> = held_by(&text).into_iter().flatten().collect();
    assert!(named.len() > 20, "only {named:?}");
    let mut there = BTreeSet::new();
    for source in files("rs")? {
        let text = fs::read_to_string(&source)?;
        there.extend(tests_of(&text).filter_map(|name| named.get(name).copied()));
    }
    let missing: Vec<_> = named.difference(&there).collect();
    assert_eq!(missing, Vec::<&&str>::new(), "docs/formats.md names what is no test");
    Ok(())
}

#[test]
fn every_row_of_the_page_of_formats_names_a_test() -> io::Result<()> {
    let text = text("docs/formats.md")?;
    let rows = held_by(&text);
    assert!(rows.len() > 20, "only {} rows", rows.len());
    assert!(rows.iter().all(|names| !names.is_empty()), "{rows:#?}");
    Ok(())
}

#[test]
fn only_a_function_with_the_attribute_of_a_test_counts_as_a_test() {
    let text =
        "#[test]\nfn one() {}\n\n#[tokio::test]\n#[ignore]\nasync fn two(\n) {}\nfn three() {}\n";
    assert_eq!(tests_of(text).collect::<Vec<_>>(), ["one", "two"]);
}

#[test]
fn names_of_tests_are_read_from_the_last_column_of_tables_that_are_headed_so() {
    let text = "| a | held by |\n|---|---|\n| `x_y` | `one`, `two` |\n| z | |\n\n| a | b |\n|---|---|\n| c | `three` |\n";
    assert_eq!(held_by(text), [vec!["one", "two"], vec![]]);
}

/// The names of tests in each row of the tables whose last column is headed "held by".
pub(crate) fn held_by(text: &str) -> Vec<Vec<&str>> {
    let mut rows = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        let Some(row) = line.strip_prefix('|').and_then(|row| row.trim_end().strip_suffix('|'))
        else {
            inside = false;
            continue;
        };
        let last = row.rsplit('|').next().unwrap_or_default().trim();
        if last == "held by" {
            inside = true;
        } else if inside && !last.starts_with("--") {
            rows.push(last.split('`').skip(1).step_by(2).collect());
        }
    }
    rows
}

/// The names of the functions that are tests.
pub(crate) fn tests_of(text: &str) -> impl Iterator<Item = &str> {
    let mut is_test = false;
    text.lines().filter_map(move |line| {
        let line = line.trim_start();
        if line.starts_with("#[") {
            is_test |= ["#[test]", "#[tokio::test"].iter().any(|test| line.starts_with(test));
            return None;
        }
        let name = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
        let found = name.filter(|_| is_test).and_then(|rest| rest.split('(').next());
        is_test &= line.starts_with("//");
        found
    })
}

/// The anchors of each page of the reference.
fn anchors() -> io::Result<BTreeMap<&'static str, BTreeSet<String>>> {
    let read = |page| {
        let text = text(&format!("docs/reference/{page}"))?;
        Ok((page, anchors_of(&text).map(str::to_owned).collect()))
    };
    citation::PAGES.into_iter().map(read).collect()
}

fn anchors_of(text: &str) -> impl Iterator<Item = &str> {
    text.split("<a id=\"").skip(1).filter_map(|rest| rest.split('"').next())
}
