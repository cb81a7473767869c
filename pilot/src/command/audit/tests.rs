use std::fs;

use spike_daemon::chain::LineHash;

use super::*;
use crate::testing::{Ran, run_alone};

const CHAIN: &str = "0123456789abcdef";

/// Lines 1 to `count` of a chain, each with its newline, written by hand.
fn chained(chain: &str, count: usize) -> Vec<String> {
    let mut previous = "0".repeat(64);
    let line = |number| {
        let line = format!(
            r#"{{"time":"t","audit":{{"n":{number}}},"chain":{{"id":"{chain}","seq":{number},"prev":"{previous}"}}}}"#
        );
        previous = LineHash::of(line.as_bytes()).to_string();
        line + "\n"
    };
    (1..=count).map(line).collect()
}

/// `audit verify` of files with these contents, named `1.log`, `2.log`, …, in a directory that is left out of the output.
fn verify(contents: &[String], options: &[&str]) -> Ran {
    let dir = tempfile::tempdir().unwrap();
    let names: Vec<String> = (1..=contents.len())
        .map(|number| dir.path().join(format!("{number}.log")).display().to_string())
        .collect();
    for (name, content) in names.iter().zip(contents) {
        fs::write(name, content).unwrap();
    }
    let mut arguments = vec!["audit", "verify"];
    arguments.extend(options);
    arguments.extend(names.iter().map(String::as_str));
    let ran = run_alone(&arguments, "");
    let stdout = ran.stdout.replace(&format!("{}/", dir.path().display()), "");
    Ran { stdout, ..ran }
}

/// The findings of lines that are changed by `change`, in one file.
fn findings(change: impl FnOnce(&mut Vec<String>)) -> Vec<String> {
    let mut lines = chained(CHAIN, 8);
    change(&mut lines);
    let ran = verify(&[lines.concat()], &[]);
    let found: Vec<String> =
        ran.stdout.lines().filter(|line| line.starts_with("1.log:")).map(str::to_owned).collect();
    let expected = if found.is_empty() { Exit::Success } else { Exit::Findings };
    assert_eq!(ran.exit, expected, "{ran}");
    found
}

#[test]
fn an_untouched_log_is_clean_in_one_file_and_over_a_rotation() {
    let lines = chained(CHAIN, 8);
    assert!(findings(|_| ()).is_empty());
    let ran = verify(&[lines[..3].concat(), lines[3..].concat()], &[]);
    assert_eq!(ran.exit, Exit::Success, "{ran}");
    assert!(ran.stdout.ends_with("OK: 8 lines in one chain\n"), "{ran}");
    let without_the_oldest = verify(&[lines[3..].concat()], &[]);
    assert_eq!(without_the_oldest.exit, Exit::Success, "{without_the_oldest}");
    assert!(without_the_oldest.stdout.contains("lines 4 to 8"), "{without_the_oldest}");
}

#[test]
fn a_changed_dropped_doubled_or_swapped_line_is_named_by_its_place() {
    let changed = "changed: the line (number 4) is not as it was when the next one was written";
    let of = |change: fn(&mut Vec<String>)| findings(change);
    assert_eq!(
        of(|lines| lines[3] = lines[3].replace("\"n\":4", "\"n\":5")),
        [format!("1.log:4: {changed}")]
    );
    assert_eq!(
        of(|lines| drop(lines.remove(3))),
        ["1.log:4: missing: a line (number 4) is missing before this one"]
    );
    assert_eq!(
        of(|lines| drop(lines.drain(2..5))),
        ["1.log:3: missing: 3 lines (numbers 3 to 5) are missing before this one"]
    );
    assert_eq!(
        of(|lines| lines.insert(4, lines[3].clone())),
        ["1.log:5: repeated: a line with this number was there before (number 4)"]
    );
    assert_eq!(
        of(|lines| lines.swap(3, 4)),
        ["1.log:5: moved: the line (number 4) stands behind lines with higher numbers"]
    );
    assert_eq!(
        of(|lines| lines.insert(3, "{\"audit\":{}}\n".to_owned())),
        ["1.log:4: foreign: this is no audit line with a place in a chain"]
    );
}

#[test]
fn a_whole_block_that_was_moved_or_repeated_is_one_finding() {
    let moved = findings(|lines| {
        let block: Vec<String> = lines.drain(1..4).collect();
        lines.extend(block);
    });
    assert_eq!(moved.len(), 1, "{moved:?}");
    assert!(moved[0].contains("1.log:6: moved: the line (number 2)"), "{moved:?}");
    let repeated = findings(|lines| lines.extend(lines[1..4].to_vec()));
    assert_eq!(repeated.len(), 1, "{repeated:?}");
}

/// Every byte: also those of the mark, and newlines.
#[test]
fn a_flipped_byte_anywhere_but_in_the_last_line_is_found_at_its_line_or_the_next() {
    let text = chained(CHAIN, 4).concat().into_bytes();
    let last = text.len() - chained(CHAIN, 4)[3].len();
    for at in 0..last {
        let mut flipped = text.clone();
        flipped[at] ^= 1;
        let line =
            text[..=at].split(|byte| *byte == b'\n').count() as u64 - u64::from(text[at] == b'\n');
        let mut verifier = verifier::Verifier::new(None);
        for (number, line) in (1..).zip(flipped.split_inclusive(|byte| *byte == b'\n')) {
            verifier.line(verifier::Place { file: 0, line: number }, line);
        }
        let report = verifier.finish();
        let near = |finding: &verifier::Finding| finding.place.line.abs_diff(line) <= 1;
        assert!(
            report.findings.iter().any(near),
            "byte {at} in line {line}: {:?}",
            report.findings
        );
    }
}

#[test]
fn a_cut_tail_is_found_by_the_head_and_a_torn_one_by_itself() {
    let lines = chained(CHAIN, 8);
    let head = LineHash::of(lines[7].as_bytes()).to_string();
    let with_head = |lines: &[String]| verify(&[lines.concat()], &["--head", &head]);
    assert_eq!(with_head(&lines).exit, Exit::Success);
    let cut = with_head(&lines[..6]);
    assert_eq!(cut.exit, Exit::Findings);
    assert!(cut.stdout.contains("the end was cut off, or the lines were written anew"), "{cut}");
    // The last line has no next one that vouches for it.
    let mut changed = lines.clone();
    changed[7] = changed[7].replace("\"n\":8", "\"n\":9");
    assert_eq!(with_head(&changed).exit, Exit::Findings);
    // A head is good for ever: lines come behind it.
    assert_eq!(with_head(&chained(CHAIN, 12)).exit, Exit::Success);
    let torn = findings(|lines| lines[7].truncate(20));
    assert_eq!(torn, ["1.log:8: cut off: the end of this line is missing"]);
}

#[test]
fn a_line_that_the_daemon_found_cut_off_is_named_and_the_chain_goes_on_behind_it() {
    let mut lines = chained(CHAIN, 3);
    let cut = "{\"time\":\"20";
    let previous = LineHash::of(cut.as_bytes());
    lines.push(format!("{cut}\n"));
    lines.push(
        format!(r#"{{"audit":{{}},"chain":{{"id":"{CHAIN}","seq":5,"prev":"{previous}"}}}}"#)
            + "\n",
    );
    let ran = verify(&[lines.concat()], &[]);
    assert_eq!(ran.exit, Exit::Findings);
    let found: Vec<&str> = ran.stdout.lines().filter(|line| line.contains(".log:")).collect();
    assert_eq!(found, ["1.log:4: cut off: the end of this line is missing"]);
}

#[test]
fn every_fault_is_found_over_a_rotation_too() {
    let lines = chained(CHAIN, 8);
    let over =
        |first: &[String], second: &[String]| verify(&[first.concat(), second.concat()], &[]);
    for (ran, place) in [
        // The last line of the old file is dropped, doubled, swapped with the first of the new one, and changed.
        (over(&lines[..3], &lines[4..]), "2.log:1: missing: a line (number 4)"),
        (over(&lines[..4], &lines[3..]), "2.log:1: repeated"),
        (
            over(&[&lines[..3], &lines[4..5]].concat(), &[&lines[3..4], &lines[5..]].concat()),
            "2.log:1: moved",
        ),
        (
            over(&[&lines[..3], &[lines[3].replace("n\":4", "n\":7")]].concat(), &lines[4..]),
            "1.log:4: changed",
        ),
        (over(&lines[4..], &lines[..4]), "2.log:1: moved: the line (number 1)"),
    ] {
        assert_eq!(ran.exit, Exit::Findings, "{ran}");
        assert!(ran.stdout.contains(place), "{place}: {ran}");
        assert!(ran.stdout.contains("NOT OK: 1 finding in"), "{ran}");
    }
}

#[test]
fn several_chains_are_checked_apart_also_where_they_alternate() {
    let (one, two) = (chained(CHAIN, 4), chained("fedcba9876543210", 4));
    let mixed: String = one.iter().zip(&two).map(|(one, two)| one.clone() + two).collect();
    let ran = verify(&[mixed], &[]);
    assert!(ran.stdout.ends_with("OK: 8 lines in 2 chains\n"), "{ran}");
}

/// Only the first of all lines may have others before it that are no longer kept.
#[test]
fn a_chain_that_begins_in_its_middle_behind_another_lacks_its_beginning() {
    let (one, two) = (chained(CHAIN, 4), chained("fedcba9876543210", 4));
    let ran = verify(&[one[2..].concat() + &two[2..].concat()], &[]);
    assert!(ran.stdout.starts_with("1.log:3: missing: 2 lines (numbers 1 to 2)"), "{ran}");
    assert_eq!(ran.exit, Exit::Findings);
}

#[test]
fn the_answer_is_json_too() {
    let mut lines = chained(CHAIN, 3);
    lines.remove(1);
    let ran = verify(&[lines.concat()], &["-f", "json"]);
    let answer: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(answer["ok"], false);
    assert_eq!(answer["findings"][0]["kind"], "missing");
    assert_eq!(
        (&answer["findings"][0]["file"], &answer["findings"][0]["line"]),
        (&"1.log".into(), &2.into())
    );
    assert_eq!(answer["chains"][0]["last"], 3);
}

#[test]
fn standard_input_is_verified_and_what_cannot_be_read_is_a_bad_argument() {
    let text = chained(CHAIN, 3).concat();
    assert_eq!(run_alone(&["audit", "verify", "-"], &text).exit, Exit::Success);
    assert_eq!(run_alone(&["audit", "verify", "-", "-"], &text).exit, Exit::Usage);
    for arguments in [["audit", "verify", "/nowhere/audit.log"], ["audit", "verify", "/tmp"]] {
        assert_eq!(run_alone(&arguments, "").exit, Exit::Usage);
    }
    let compressed = run_alone(&["audit", "verify", "-"], "\u{1f}\u{8b}");
    assert_eq!(compressed.exit, Exit::Findings, "these are UTF-8 and not what gzip writes");
    let dir = tempfile::tempdir().unwrap();
    let gzip = dir.path().join("audit.log.gz");
    fs::write(&gzip, [0x1f, 0x8b, 8]).unwrap();
    let refused = run_alone(&["audit", "verify", gzip.to_str().unwrap()], "");
    assert!(refused.stderr.contains("is compressed") && refused.exit == Exit::Usage, "{refused}");
}

fn record(fields: &[(&str, &str)], status: u64) -> String {
    let mut audit = serde_json::json!({
        "Component": "routeGetSecret", "TrailID": "", "Timestamp": "2026-07-25T12:00:00Z", "UserID": "",
        "Action": "read", "Path": "/v1/store/secrets", "Resource": "action=get", "SessionID": "",
        "State": if (1..400).contains(&status) { "audit-success" } else { "audit-errored" }, "Err": "", "Duration": 1,
        "Status": status,
    });
    for (name, value) in fields {
        audit[name] = (*value).into();
    }
    serde_json::json!({ "time": "2026-07-25T12:00:00Z", "audit": audit }).to_string() + "\n"
}

fn query(options: &[&str]) -> Ran {
    let acme = ("UserID", "spiffe://example.org/acme/app");
    let log = [
        record(&[("TrailID", "aaaa"), acme, ("Subject", "tenants/acme/db")], 200),
        record(
            &[
                ("TrailID", "bbbb"),
                acme,
                ("Subject", "tenants/acme2/db"),
                ("Err", "no policy lets it read"),
            ],
            401,
        ),
        record(
            &[
                ("TrailID", "cccc"),
                ("UserID", "spiffe://example.org/acme2"),
                ("Action", "list"),
                ("Timestamp", "2026-07-25T13:00:00Z"),
            ],
            500,
        ),
        "not json\n".to_owned(),
        record(
            &[("Action", "handshake"), ("Address", "192.0.2.7:4711"), ("Err", "evil\u{1b}[2J")],
            0,
        ),
    ];
    let arguments: Vec<&str> =
        ["audit", "query", "-"].into_iter().chain(options.iter().copied()).collect();
    run_alone(&arguments, &log.concat())
}

#[test]
fn the_id_that_a_denied_caller_was_given_leads_to_the_reason() {
    let ran = query(&["--request-id", "bbbb"]);
    insta::assert_snapshot!(ran, @r"
    [0]
    2026-07-25T12:00:00Z  401  read  spiffe://example.org/acme/app  tenants/acme2/db  bbbb
        no policy lets it read
    --
    note: 1 line is no audit line
    ");
}

#[test]
fn each_condition_leaves_out_what_does_not_meet_it() {
    let ids = |options: &[&str]| {
        let ran = query(&[options, &["-f", "json"]].concat());
        let id = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["audit"]["TrailID"].as_str().unwrap().to_owned()
        };
        ran.stdout.lines().map(id).collect::<Vec<_>>().join(" ")
    };
    for (options, expected) in [
        (&["--caller", "spiffe://example.org/acme"][..], "aaaa bbbb"),
        (&["--caller", "spiffe://example.org/acme2"], "cccc"),
        (&["--path", "tenants/acme/"], "aaaa"),
        (&["--path", "tenants/acme2/db"], "bbbb"),
        (&["--path", "/v1/store", "--status", "500"], "cccc"),
        (&["--outcome", "success"], "aaaa"),
        (&["--outcome", "denied"], "bbbb"),
        (&["--outcome", "error", "--action", "list"], "cccc"),
        (&["--outcome", "error"], "cccc "),
        (&["--action", "handshake"], ""),
        (&["--since", "2026-07-25T13:00:00Z"], "cccc"),
        (&["--until", "2026-07-25T13:00:00Z", "--status", "200"], "aaaa"),
        (&["--until", "2026-07-25T13:00:00+02:00"], ""),
    ] {
        assert_eq!(ids(options), expected, "{options:?}");
    }
}

/// It found nothing, and said only that: no line has a path as its caller.
#[test]
fn a_caller_that_is_no_spiffe_id_is_refused() {
    for caller in ["/workload/app1", "workload/app1", "example.org/acme", ""] {
        let ran = query(&["--caller", caller]);
        assert_eq!(ran.exit, Exit::Usage, "{ran}");
        assert!(ran.stderr.contains("begins with spiffe://"), "{ran}");
    }
}

#[test]
fn a_hostile_text_does_not_reach_the_terminal() {
    let ran = query(&["--action", "handshake"]);
    assert!(ran.stdout.contains(r"evil\u{1b}[2J") && !ran.stdout.contains('\u{1b}'), "{ran}");
}

/// It was "OK: 0 lines in 0 chains": an emptied log passed a check that runs every night.
#[test]
fn files_without_a_line_are_a_finding() {
    for contents in [vec![String::new()], vec![String::new(), String::new()]] {
        let ran = verify(&contents, &[]);
        assert_eq!(ran.exit, Exit::Findings, "{ran}");
        assert!(ran.stdout.contains("there is no line to verify"), "{ran}");
        assert!(ran.stdout.ends_with("NOT OK: 1 finding in 0 lines\n"), "{ran}");
        let ran = verify(&contents, &["-f", "json"]);
        assert!(ran.stdout.contains(r#""kind": "empty""#), "{ran}");
        assert!(ran.stdout.contains(r#""ok": false"#), "{ran}");
    }
}
