//! What the doctor found: lines of at most 80 columns for people, and a tree for JSON and YAML.

use std::io::{self, Write};

use super::check::{Check, Report};
use crate::output::{Node, one_line};

const WIDTH: usize = 80;

/// Everything, group by group, and the answer last. It looks the same on a terminal and piped, without colour.
pub(crate) fn report(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    let checks = report.checks();
    for group in checks.chunk_by(|a, b| a.group == b.group) {
        if let Some(first) = group.first() {
            writeln!(out, "{}", first.group.heading())?;
        }
        group.iter().try_for_each(|found| check(out, found))?;
        writeln!(out)?;
    }
    wrapped(out, "The answer: ", "  ", &answer(report))?;
    if let Some(Check { next: Some(next), page, .. }) = report.answer() {
        wrapped(out, "  Next: ", "  ", next)?;
        writeln!(out, "  Page: {page}")?;
    }
    Ok(())
}

/// The answer in one sentence.
pub(crate) fn answer(report: &Report) -> String {
    let Some(first) = report.answer() else {
        return "nothing is broken, as far as it was checked.".to_owned();
    };
    let Check { group, name, evidence, cause, .. } = first;
    let what = cause.as_deref().unwrap_or(evidence);
    let at = format!("{what} ({}: {name})", group.heading());
    match (first.outcome.name(), report.warnings()) {
        ("failed", _) => at,
        (_, 1) => format!("nothing is broken. One warning: {at}"),
        (_, count) => format!("nothing is broken. {count} warnings, the first: {at}"),
    }
}

fn check(out: &mut dyn Write, check: &Check) -> io::Result<()> {
    let mut lines = check.evidence.lines();
    let first = format!("  {} {}: ", check.outcome.mark(), one_line(&check.name));
    wrapped(out, &first, "         ", lines.next().unwrap_or_default())?;
    for line in lines {
        wrapped(out, "    ", "      ", line)?;
    }
    if let Some(cause) = &check.cause {
        wrapped(out, "         cause: ", "           ", cause)?;
    }
    if let Some(next) = &check.next {
        wrapped(out, "         next:  ", "           ", next)?;
        writeln!(out, "         page:  {}", check.page)?;
    }
    Ok(())
}

/// Writes a text after `first`, broken between words, with `indent` before every further line. A word that is longer than a
/// line stays whole, so that it can be copied.
fn wrapped(out: &mut dyn Write, first: &str, indent: &str, text: &str) -> io::Result<()> {
    let text = one_line(text);
    let mut line = first.to_owned();
    let mut is_empty = true;
    for word in text.split(' ') {
        let space = usize::from(!is_empty);
        if !is_empty && line.chars().count() + space + word.chars().count() > WIDTH {
            writeln!(out, "{}", line.trim_end())?;
            indent.clone_into(&mut line);
        } else if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    writeln!(out, "{}", line.trim_end())
}

/// The same as a tree; every field is always present.
pub(crate) fn report_node<'a>(report: &'a Report, answer: &'a str) -> Node<'a> {
    let check = |check: &'a Check| {
        Node::map([
            ("group", Node::Text(check.group.name())),
            ("name", Node::Text(&check.name)),
            ("outcome", Node::Text(check.outcome.name())),
            ("evidence", Node::Text(&check.evidence)),
            ("cause", Node::optional(check.cause.as_deref())),
            ("next", Node::optional(check.next.as_deref())),
            ("page", Node::Text(check.page)),
        ])
    };
    let first = report.answer().map(|first| first.group.name());
    Node::map([
        ("version", Node::Text(report.version)),
        ("exit", Node::Integer(report.exit().status().into())),
        ("answer", Node::Text(answer)),
        ("layer", Node::optional(first)),
        ("checks", Node::List(report.checks().into_iter().map(check).collect())),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_at_80_columns_and_a_long_word_stays_whole() {
        let text = format!("{} {} end", "word ".repeat(20).trim(), "x".repeat(100));
        let mut out = Vec::new();
        wrapped(&mut out, "  [ ok ] name: ", "    ", &text).unwrap();
        let shown = String::from_utf8(out).unwrap();
        let lines: Vec<_> = shown.lines().collect();
        assert!(lines[0].starts_with("  [ ok ] name: word word"), "{shown}");
        assert!(lines.iter().all(|line| line.len() <= WIDTH || line.contains("xxx")), "{shown}");
        assert!(shown.contains(&"x".repeat(100)), "{shown}");
        assert!(lines[1..].iter().all(|line| line.starts_with("    ")), "{shown}");
    }

    #[test]
    fn text_of_others_begins_no_line_of_its_own() {
        let mut out = Vec::new();
        wrapped(&mut out, "a: ", "  ", "x\nThe answer: forged \x1b[2J").unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "a: x\\nThe answer: forged \\u{1b}[2J\n");
    }
}
