//! `audit verify`: prints what the check of the chain finds.

use std::borrow::Cow;
use std::io::{self, Write};

use spike_daemon::counted;

use super::verifier::{Finding, Kind, Place, Report, Summary, Verifier};
use super::{each_line, input_name};
use crate::cli::{Format, VerifyArgs};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::{Node, one_line, write_json, write_yaml};

/// The status is a failure if something is wrong.
pub(super) fn run(arguments: &VerifyArgs, context: &mut Context<'_>) -> Result<Exit, Error> {
    let VerifyArgs { files, head, format } = arguments;
    let mut verifier = Verifier::new(*head);
    each_line(files, context, |_, file, line, bytes| {
        verifier.line(Place { file, line }, bytes);
        Ok(())
    })?;
    let report = verifier.finish();
    let names: Vec<String> = files.iter().map(|file| input_name(file)).collect();
    let answer =
        Answer { report: &report, names: &names, lost_head: head.is_some() && !report.has_head };
    context.streams.render(|out| match format {
        Format::Human => answer.write(out),
        Format::Json => answer.with_node(|node| write_json(out, node, 2)),
        Format::Yaml => answer.with_node(|node| write_yaml(out, node)),
    })?;
    Ok(if answer.is_clean() { Exit::Success } else { Exit::Findings })
}

/// What a missing head means.
const NO_HEAD: &str =
    "no line has the hash of --head: the end was cut off, or the lines were written anew";

/// What no line at all means. An emptied log would pass a check that runs every night.
const NO_LINE: &str = "there is no line to verify: is this the log, and was it cut?";

struct Answer<'a> {
    report: &'a Report,
    names: &'a [String],
    lost_head: bool,
}

impl Answer<'_> {
    fn is_clean(&self) -> bool {
        self.report.findings.is_empty() && !self.lost_head && !self.is_empty()
    }

    const fn is_empty(&self) -> bool {
        self.report.lines == 0
    }

    fn name(&self, place: Place) -> &str {
        self.names.get(place.file).map_or("", String::as_str)
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let Report { lines, chains, findings, left_out, .. } = self.report;
        for finding in findings {
            let name = one_line(self.name(finding.place));
            writeln!(out, "{name}:{}: {}", finding.place.line, words(finding))?;
        }
        if *left_out > 0 {
            let further = counted(*left_out, "further finding is", "further findings are");
            writeln!(out, "{further} not shown")?;
        }
        if self.lost_head {
            writeln!(out, "{NO_HEAD}")?;
        }
        if self.is_empty() {
            writeln!(out, "{NO_LINE}")?;
        }
        for Summary { chain, first, last, head } in chains {
            writeln!(out, "chain {}: lines {first} to {last}, head {head}", chain.as_str())?;
        }
        let lines = counted(*lines, "line", "lines");
        let total = findings.len() as u64
            + left_out
            + u64::from(self.lost_head)
            + u64::from(self.is_empty());
        match (self.is_clean(), chains.len()) {
            (true, 1) => writeln!(out, "OK: {lines} in one chain"),
            (true, count) => writeln!(out, "OK: {lines} in {count} chains"),
            (false, _) => {
                writeln!(out, "NOT OK: {} in {lines}", counted(total, "finding", "findings"))
            }
        }
    }

    fn with_node<R>(&self, write: impl FnOnce(&Node<'_>) -> R) -> R {
        let Report { lines, chains, findings, left_out, .. } = self.report;
        let texts: Vec<String> = findings.iter().map(words).collect();
        let heads: Vec<String> = chains.iter().map(|chain| chain.head.to_string()).collect();
        let mut listed: Vec<Node<'_>> = findings
            .iter()
            .zip(&texts)
            .map(|(finding, text)| {
                Node::map([
                    ("kind", Node::Text(kind(finding.kind))),
                    ("file", Node::Text(self.name(finding.place))),
                    ("line", number(finding.place.line)),
                    ("message", Node::Text(text)),
                ])
            })
            .collect();
        if self.lost_head {
            listed
                .push(Node::map([("kind", Node::Text("head")), ("message", Node::Text(NO_HEAD))]));
        }
        if self.is_empty() {
            listed
                .push(Node::map([("kind", Node::Text("empty")), ("message", Node::Text(NO_LINE))]));
        }
        let chains = chains.iter().zip(&heads).map(|(chain, head)| {
            Node::map([
                ("id", Node::Text(chain.chain.as_str())),
                ("first", number(chain.first)),
                ("last", number(chain.last)),
                ("head", Node::Text(head)),
            ])
        });
        write(&Node::map([
            ("ok", Node::Boolean(self.is_clean())),
            ("lines", number(*lines)),
            ("chains", Node::List(chains.collect())),
            ("findings", Node::List(listed)),
            ("leftOut", number(*left_out)),
        ]))
    }
}

fn number<'a>(number: u64) -> Node<'a> {
    Node::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Changed => "changed",
        Kind::Missing { .. } => "missing",
        Kind::Repeated => "repeated",
        Kind::Moved => "moved",
        Kind::Foreign => "foreign",
        Kind::CutOff => "cutOff",
    }
}

fn words(finding: &Finding) -> String {
    let number: Cow<'_, str> = match finding.number {
        Some(number) => format!(" (number {number})").into(),
        None => "".into(),
    };
    match finding.kind {
        Kind::Changed => {
            format!("changed: the line{number} is not as it was when the next one was written")
        }
        Kind::Missing { first, last } if first == last => {
            format!("missing: a line (number {first}) is missing before this one")
        }
        Kind::Missing { first, last } => {
            format!(
                "missing: {} lines (numbers {first} to {last}) are missing before this one",
                last - first + 1
            )
        }
        Kind::Repeated => format!("repeated: a line with this number was there before{number}"),
        Kind::Moved => format!("moved: the line{number} stands behind lines with higher numbers"),
        Kind::Foreign => "foreign: this is no audit line with a place in a chain".to_owned(),
        Kind::CutOff => "cut off: the end of this line is missing".to_owned(),
    }
}
