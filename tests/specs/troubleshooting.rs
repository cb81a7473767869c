//! `docs/troubleshooting.md` quotes what programs print: every quoted message is in their sources, every entry has the same form, and
//! every page that an output names is there. That the commands can be read is held by a test of `spike`.

use std::{fs, io};

use crate::repository::{files_below, root, text};

const PAGE: &str = "docs/troubleshooting.md";

/// What is quoted and comes from the operating system.
const OF_OTHERS: [&str; 2] = ["Connection refused", "os error"];

/// What a program puts together from two of its texts: the halves.
const PUT_TOGETHER: [(&str, &str); 3] = [
    ("expected", "an https URL such as"),
    ("the whole call", "took longer than"),
    ("change", "pathPattern to"),
];

/// The sources of the programs, without tests, in one line: strings that go on in the next line are joined.
fn sources() -> io::Result<String> {
    let mut whole = String::new();
    for place in ["pilot/src", "nexus/src", "keeper/src", "bootstrap/src", "common"] {
        for file in files_below(root().join(place), "rs")? {
            let path = file.to_string_lossy();
            if path.contains("/tests") || path.ends_with("testing.rs") {
                continue;
            }
            let source = fs::read_to_string(&file)?;
            let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            let code = code.replace("\\\"", "\"");
            for piece in code.split("\\\n") {
                whole.push_str(piece.trim_start());
            }
        }
    }
    Ok(whole.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// An output with a number, which separates, between what a program writes apart: lines, columns of a screen, cause, next step.
fn separated(output: &str) -> String {
    if output.starts_with("The answer:") {
        let output = output.replace("The answer:", " 0 ");
        return output
            .replace("\n  Next:", " 0 ")
            .replace("\n  Page:", " 0 ")
            .replace(" (", " 0 (");
    }
    output.replace("  ", " 0 ").replace('\n', " 0 ")
}

/// The runs of words that a program has as they stand: without numbers, units, paths and names of this run.
fn fragments(quoted: &str) -> Vec<String> {
    let mut fragments = vec![String::new()];
    for word in quoted.split_whitespace() {
        let is_of_this_run = word.contains(|c: char| c.is_ascii_digit() || "/[]#<>".contains(c))
            || ["s", "min", "h", "ago)", "app,", "drill"].contains(&word);
        let bare = word.trim_start_matches('(');
        let end = bare.trim_end_matches([':', ',', ';', '.', ')', '?', '(']);
        if is_of_this_run || bare.len() < word.len() {
            fragments.push(String::new());
        }
        if is_of_this_run {
            continue;
        }
        if let Some(last) = fragments.last_mut() {
            let space = if last.is_empty() { "" } else { " " };
            last.extend([space, end]);
        }
        if end.len() < bare.len() {
            fragments.push(String::new());
        }
    }
    fragments.retain(|fragment| fragment.len() > 3 && !OF_OTHERS.contains(&fragment.as_str()));
    fragments
}

/// The blocks of a page that are marked so.
fn blocks<'p>(page: &'p str, kind: &str) -> Vec<&'p str> {
    let begin = format!("```{kind}\n");
    page.split(begin.as_str()).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

#[test]
fn every_message_on_the_page_is_one_that_a_program_prints() -> io::Result<()> {
    let (page, sources) = (text(PAGE)?, sources()?);
    let headings = page.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'));
    let headings: Vec<_> = headings.collect();
    assert!(headings.len() > 15, "only {headings:?}");
    let outputs = blocks(&page, "text");
    assert!(outputs.len() > 14, "only {} outputs", outputs.len());
    let is_put_together = |fragment: &str| {
        PUT_TOGETHER.iter().any(|(one, other)| {
            fragment == format!("{one} {other}")
                && other.split(' ').chain(one.split(' ')).all(|word| sources.contains(word))
        })
    };
    let quoted = headings.into_iter().map(str::to_owned);
    let quoted = quoted.chain(outputs.into_iter().map(separated));
    let missing: Vec<_> = quoted
        .flat_map(|quoted| fragments(&quoted))
        .filter(|fragment| !sources.contains(fragment) && !is_put_together(fragment))
        .collect();
    assert_eq!(missing, Vec::<String>::new());
    Ok(())
}

#[test]
fn a_message_that_no_program_prints_is_found() -> io::Result<()> {
    let sources = sources()?;
    let found = fragments("The answer: SPIKE Nexus has gone fishing (SPIKE Nexus: TLS)");
    assert!(found.iter().any(|fragment| !sources.contains(fragment)), "{found:?}");
    assert!(sources.contains("the SVID has expired"), "the sources are not read");
    Ok(())
}

#[test]
fn every_entry_of_the_page_has_a_cause_commands_and_a_next_step() -> io::Result<()> {
    let page = text(PAGE)?;
    for entry in page.split("\n### ").skip(1) {
        let entry = entry.split("\n## ").next().unwrap_or_default();
        let places = ["**Cause.**", "```sh\n", "**Next.**"].map(|part| entry.find(part));
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}: {entry}");
    }
    let named = page.lines().filter_map(|line| line.trim_start().strip_prefix("Page: "));
    let missing: Vec<_> = named.filter(|page| !root().join(page).exists()).collect();
    assert_eq!(missing, Vec::<&str>::new());
    Ok(())
}
