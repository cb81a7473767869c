//! Holds the translation to what Go says: `tests/go_patterns/expected.json`, made by the program beside it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use regex_syntax::hir::ClassUnicode;
use serde::Deserialize;

use super::super::Pattern;
use super::super::pattern;
use super::*;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Expected {
    go: String,
    unicode: String,
    subjects: Vec<String>,
    written: Vec<GoPattern>,
    generated: Vec<GoPattern>,
    classes: Vec<GoClass>,
    no_classes: Vec<String>,
    folding: String,
}

#[derive(Deserialize)]
struct GoPattern {
    pattern: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    expr: String,
    #[serde(default)]
    matches: String,
}

#[derive(Deserialize)]
struct GoClass {
    name: String,
    plain: String,
    folded: String,
}

fn expected() -> Expected {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/go_patterns/expected.json");
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// What is different about one pattern, or nothing.
fn difference(go: &GoPattern, subjects: &[String]) -> Option<String> {
    let ours = Pattern::new(&go.pattern);
    let error = match (&ours, go.error.as_str()) {
        (Ok(_), "") => None,
        (Ok(_), code) => return Some(format!("accepted, Go: {code}")),
        (Err(error), "") => return Some(format!("refused, Go accepts: {error}")),
        (Err(error), code) => Some((error, code)),
    };
    if let Some((error, code)) = error {
        // Go names the whole pattern for parentheses; a place is more use.
        let names_whole = matches!(
            error.kind,
            SyntaxErrorKind::MissingParen
                | SyntaxErrorKind::UnexpectedParen
                | SyntaxErrorKind::NestingDepth
                | SyntaxErrorKind::TrailingBackslash
        );
        let expr: String = go.expr.chars().take(60).collect();
        let alike = error.kind.as_str() == code && (names_whole || error.fragment == expr);
        let in_place = go.pattern[error.offset..].starts_with(&error.fragment);
        return (!alike || !in_place).then(|| format!("{error}, Go: {code}: {expr}"));
    }
    let node = parse(&go.pattern).unwrap();
    let regex = pattern::compile(&go.pattern, &node, Alphabet::Unicode).unwrap();
    let matcher = ours.unwrap().matcher();
    for (subject, expected) in subjects.iter().zip(go.matches.bytes()) {
        let expected = expected == b'1';
        if regex.is_match(subject) != expected || matcher.is_match(subject) != expected {
            return Some(format!(
                "on {subject:?} Go says {expected}, emitted {}",
                node.to_rust(Alphabet::Unicode)
            ));
        }
    }
    assert_eq!(subjects.len(), go.matches.len(), "the file is whole");
    None
}

fn assert_alike(patterns: &[GoPattern], subjects: &[String]) {
    let differences: BTreeMap<&str, String> = patterns
        .iter()
        .filter_map(|go| Some((go.pattern.as_str(), difference(go, subjects)?)))
        .collect();
    assert!(differences.is_empty(), "{} differences: {differences:#?}", differences.len());
}

#[test]
fn every_written_pattern_is_accepted_refused_and_matched_as_go_does() {
    let expected = expected();
    assert!(expected.written.len() >= 800, "{} patterns", expected.written.len());
    assert_alike(&expected.written, &expected.subjects);
}

#[test]
fn every_generated_pattern_is_accepted_refused_and_matched_as_go_does() {
    let expected = expected();
    assert!(expected.generated.len() >= 1000, "{} patterns", expected.generated.len());
    assert_alike(&expected.generated, &expected.subjects);
}

#[test]
fn the_fixtures_come_from_the_go_and_unicode_versions_that_the_tables_follow() {
    let expected = expected();
    assert!(expected.go.starts_with("go1.26"), "{}", expected.go);
    assert_eq!(expected.unicode, "15.0.0");
}

#[test]
fn every_unicode_class_holds_the_characters_that_go_knows() {
    let mut wrong = Vec::new();
    for class in expected().classes {
        for (fold, expected) in [(false, &class.plain), (true, &class.folded)] {
            let set = unicode::class(&class.name, fold);
            if set.as_ref().map(digest).as_ref() != Some(expected) {
                wrong.push((class.name.clone(), fold));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn names_that_go_does_not_know_are_no_classes() {
    for name in expected().no_classes {
        assert!(parse(&format!(r"\p{{{name}}}")).is_err(), "{name:?}");
    }
}

#[test]
fn case_folds_by_the_tables_that_go_has() {
    let mut text = String::new();
    for c in '\0'..=char::MAX {
        let orbit = fold::folded(&set::range(c.into(), c.into()));
        let members: Vec<String> = orbit
            .iter()
            .flat_map(|range| range.start()..=range.end())
            .map(|c| format!("{:X}", u32::from(c)))
            .collect();
        if members.len() > 1 {
            write!(text, "{:X}:[{}];", u32::from(c), members.join(" ")).unwrap();
        }
    }
    assert_eq!(fnv(text.as_bytes()), expected().folding);
}

#[test]
fn an_error_says_where_and_why() {
    for (text, offset, message) in [
        ("ab**", 2, "invalid nested repetition operator: `**` at byte 2"),
        (r"é\y", 2, r"invalid escape sequence: `\y` at byte 2"),
        ("x(?P<a b>c)", 1, "invalid named capture: `(?P<a b>` at byte 1"),
        ("a(b", 1, "missing closing ): `(b` at byte 1"),
        ("ab)", 2, "unexpected ): `)` at byte 2"),
        ("a[z-a]", 2, "invalid character class range: `z-a` at byte 2"),
        ("a{1001}", 1, "invalid repeat count: `{1001}` at byte 1"),
    ] {
        let error = parse(text).unwrap_err();
        assert_eq!((error.offset, error.to_string().as_str()), (offset, message));
    }
}

#[test]
fn an_error_repeats_no_more_than_a_line_of_the_pattern() {
    let error = parse(&format!("[{}", "x".repeat(10_000))).unwrap_err();
    assert_eq!(error.kind, SyntaxErrorKind::MissingBracket);
    assert_eq!(error.fragment.len(), 60);
}

#[test]
fn nesting_ends_at_its_limit_whatever_it_is_made_of() {
    let groups = |n: usize| format!("{}a{}", "(".repeat(n), ")".repeat(n));
    assert!(Pattern::new(&groups(MAX_NESTING)).is_ok());
    let repeats = |n: usize| format!("a*{}", "(?i)*".repeat(n));
    assert!(Pattern::new(&repeats(MAX_NESTING - 1)).is_ok());
    for text in [groups(MAX_NESTING + 1), repeats(MAX_NESTING), groups(20_000)] {
        assert_eq!(parse(&text).unwrap_err().kind, SyntaxErrorKind::NestingDepth);
    }
}

#[test]
fn the_deepest_pattern_fits_the_stack_of_a_worker_thread() {
    let text = format!("{}c{}", "(?:a|b(?:x)*".repeat(120), ")+".repeat(120));
    let deep = std::thread::Builder::new().stack_size(1024 * 1024).spawn(move || {
        let pattern = Pattern::new(&text).unwrap();
        (pattern.is_match("a"), pattern.is_match("bc"))
    });
    assert_eq!(deep.unwrap().join().unwrap(), (true, false));
}

#[test]
fn patterns_that_need_too_much_memory_are_refused_without_using_it() {
    let classes = r"\pL".repeat(1000);
    let many = format!("[{}]", r"\pL".repeat(1000));
    for text in [
        "a".repeat(MAX_PATTERN_BYTES + 1),
        classes,
        many,
        r"\pL{1000}".into(),
        "(a{1000}|b{1000}|c{1000}|d{1000}|[^a]{1000}){1}".repeat(60),
    ] {
        let error = Pattern::new(&text).unwrap_err();
        assert_eq!(error.kind, SyntaxErrorKind::TooLarge, "{}", error.fragment);
    }
}

#[test]
fn patterns_taken_to_be_light_compile() {
    for text in [
        r"\pL",
        r"[^\pL]{1}",
        r"(?i)\pL",
        "(?i)[^a]{300}",
        ".{400}",
        "(?:.a){300}",
        "[\u{80}-\u{10FFFF}]{650}",
        ".{0,400}",
        "(?:.*.){200}",
        &"[^é]".repeat(300),
        &"(.*x)+".repeat(60),
    ] {
        let node = parse(text).unwrap();
        assert!(
            pattern::compile(text, &node, Alphabet::Unicode).is_ok(),
            "{text}, weight {}",
            node.weight()
        );
    }
}

#[test]
fn nothing_that_is_typed_makes_the_parser_panic() {
    let pieces = ["\\", "[", "(", "(?", "{", "é", "\\p", "\\x{", "[[:", ":]", "-", "^", "?", ")"];
    for a in pieces {
        for b in pieces {
            for c in pieces {
                drop(parse(&[a, b, c].concat()));
                drop(parse(&["[", a, b, c, "]"].concat()));
            }
        }
    }
}

fn digest(set: &ClassUnicode) -> String {
    // The ranges of Go stop at the surrogates and go on after them.
    let mut text = String::new();
    let mut open: Option<(u32, u32)> = None;
    for range in set.iter() {
        let (first, last) = (u32::from(range.start()), u32::from(range.end()));
        match &mut open {
            Some((_, end)) if *end == 0xD7FF && first == 0xE000 => *end = last,
            _ => {
                push_range(open, &mut text);
                open = Some((first, last));
            }
        }
    }
    push_range(open, &mut text);
    fnv(text.as_bytes())
}

fn push_range(range: Option<(u32, u32)>, text: &mut String) {
    if let Some((first, last)) = range {
        write!(text, "{first:X}-{last:X};").unwrap();
    }
}

/// FNV-1a, 64 bits, as Go's `hash/fnv` writes it.
fn fnv(bytes: &[u8]) -> String {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
    format!("{:016x}", bytes.iter().fold(0xCBF2_9CE4_8422_2325, step))
}
