use std::io::Write as _;
use std::process::{Command, Stdio};

use super::*;
use crate::cli;

fn pages() -> Vec<Page> {
    let mut tree = cli::tree();
    tree.build();
    all(&tree)
}

#[test]
fn every_page_that_a_page_refers_to_is_there() {
    let pages = pages();
    let there = |name: &str| pages.iter().any(|page| page.file == name);
    for page in &pages {
        let (_, others) = page.text.split_once(".SH SEE ALSO\n").unwrap();
        for other in others.trim().replace('\\', "").split(", ") {
            let file = other.replace('(', ".").replace(')', "");
            assert!(there(&file), "{} names {other}", page.file);
        }
    }
    for command in ["spike.1", "spike-secret-put.1", "nexus.8", "keeper.8", "bootstrap.8"] {
        assert!(there(command), "{command}");
    }
}

#[test]
fn examples_tables_and_lists_of_values_are_set_as_they_are_written() {
    let pages = pages();
    let put = pages.iter().find(|page| page.file == "spike-secret-put.1").unwrap();
    let examples = put.text.split_once(".SH EXAMPLES\n").unwrap().1;
    assert!(
        examples.starts_with(".RS 4\n.EX\nspike secret put tenants/acme/db user=app"),
        "{examples}"
    );
    assert!(put.text.contains(".SH VALUES\n.RS 4\n.EX\nkey=value "), "{}", put.text);
    assert!(!put.text.contains(".SH EXTRA"), "{}", put.text);
}

#[test]
fn the_page_of_spike_names_every_setting_that_it_reads_and_every_exit_status() {
    let mut tree = cli::tree();
    tree.build();
    let page = of_spike(&tree).text;
    for variable in table::variables().filter(|variable| variable.readers.contains(&Process::Pilot))
    {
        assert!(page.contains(&format!("\n\\fB{}\\fR\n", variable.name)), "{}", variable.name);
    }
    for exit in Exit::ALL {
        assert!(page.contains(&format!(".TP\n\\fB{}\\fR\n", exit.status())), "{exit:?}");
    }
}

#[test]
fn the_day_of_the_pages_is_that_of_the_release_in_the_changelog() {
    let changelog = include_str!("../../../CHANGELOG.md");
    let released = format!("## [{VERSION}] - {RELEASED}\n");
    assert!(changelog.contains(&released), "CHANGELOG.md has no {released:?}");
}

// `.SH EXTRA`, examples run together into one paragraph, and references to pages that nobody writes.
#[test]
fn mandoc_finds_nothing_wrong_and_shows_each_page_in_every_width() {
    let Ok(found) = Command::new("mandoc").arg("-V").output() else {
        assert!(!in_the_gate(), "no mandoc on PATH: the pages would not be checked");
        return;
    };
    drop(found);
    for page in pages() {
        let linted = mandoc(&["-Tlint", "-Wwarning"], &page.text);
        assert_eq!(linted, "", "{}", page.file);
        for width in ["width=60", "width=80", "width=120"] {
            let columns: usize = width["width=".len()..].parse().unwrap();
            let shown = mandoc(&["-Tutf8", "-O", width], &page.text);
            let plain = without_overstrikes(&shown);
            let written: Vec<String> = lines_as_written(&page.text);
            let too_long = plain.lines().find(|line| {
                line.chars().count() > columns
                    && line.trim().contains(' ')
                    && !written.iter().any(|it| it == line.trim())
            });
            assert_eq!(too_long, None, "{} {width}", page.file);
            assert!(plain.contains("SYNOPSIS") && plain.contains("SEE ALSO"), "{}", page.file);
        }
    }
}

/// The lines of the page that nobody fills.
fn lines_as_written(page: &str) -> Vec<String> {
    let blocks = page.split(".EX\n").skip(1).filter_map(|rest| rest.split(".EE\n").next());
    let plain = |line: &str| line.replace("\\&", "").replace("\\-", "-").replace("\\e", "\\");
    blocks.flat_map(str::lines).map(|line| plain(line).trim().to_owned()).collect()
}

/// Bold letters are a letter, a backspace, and the letter again.
fn without_overstrikes(text: &str) -> String {
    let mut plain = String::new();
    for c in text.chars() {
        if c == '\u{8}' {
            plain.pop();
        } else {
            plain.push(c);
        }
    }
    plain
}

fn mandoc(arguments: &[&str], page: &str) -> String {
    let mut mandoc = Command::new("mandoc");
    mandoc.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut running = mandoc.spawn().unwrap();
    let mut input = running.stdin.take().unwrap();
    let text = page.to_owned();
    let writing = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = running.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// The gate installs mandoc, so there its absence is a fault.
fn in_the_gate() -> bool {
    std::env::vars_os().any(|(name, value)| name == "CI" && value == "true")
}
