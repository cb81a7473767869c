use super::*;
use crate::output::Name;

/// Texts that a writer of YAML has to take care of.
const KNOWN: &str = include_str!("../../../tests/vectors/yaml_text.json");

fn written(node: &Node<'_>) -> String {
    let mut out = Vec::new();
    write_yaml(&mut out, node).unwrap();
    String::from_utf8(out).unwrap()
}

fn read(yaml: &str) -> serde_json::Value {
    serde_saphyr::from_str(yaml).unwrap()
}

/// Writes a text alone, as a value with another behind it, as a name, and in a list, and reads it back.
fn check(text: &str) {
    let name = format!("{text}z");
    let (value, list) = (Node::Text(text), Node::List(vec![Node::Text(text), Node::Null]));
    assert_eq!(read(&written(&value)), serde_json::json!(text));
    let node = Node::Map(vec![
        ("k".into(), value),
        (name.as_str().into(), Node::Integer(1)),
        ("list".into(), list),
    ]);
    let yaml = written(&node);
    let expected = serde_json::json!({"k": text, name: 1, "list": [text, null]});
    assert_eq!(read(&yaml), expected, "{yaml:?}");
}

#[test]
fn what_is_written_is_read_back() {
    let known: Vec<String> = serde_json::from_str(KNOWN).unwrap();
    let more =
        ["\u{2028}", "a\u{2029}b\nc", "\u{feff}x", "# a\n# b\n", "\n\n\n", "a: b\nc: d", "\t\n"];
    known.iter().map(String::as_str).chain(more).for_each(check);
    let ranges = [0..0x300, 0x2000..0x2070, 0xfef0..0xff10, 0xffff..0x1_0010];
    for c in ranges.into_iter().flatten().filter_map(char::from_u32) {
        check(&format!("{c}"));
        check(&format!("a{c} b\n{c}"));
    }
}

/// Short texts of what has a meaning in YAML.
#[test]
fn pieces_of_structure_are_text_wherever_they_stand() {
    let pieces = [
        "",
        " ",
        "\n",
        "\t",
        "\r\n",
        "a",
        "-",
        "- ",
        ":",
        ": ",
        "#",
        " #",
        "'",
        "\"",
        "\\",
        "|",
        ">",
        "&",
        "*",
        "!",
        "%",
        "@",
        "`",
        "{",
        "}",
        "[",
        "]",
        ",",
        "?",
        "---",
        "...",
        "~",
        "null",
        "yes",
        "on",
        "0",
        "0x1",
        "1e3",
        "1_0",
        "12:30",
        "2026-07-25",
        ".inf",
        "=",
        "<<",
        "\u{85}",
        "\u{feff}",
    ];
    for first in pieces {
        for second in pieces {
            check(&format!("{first}{second}"));
            check(&format!("a{first}{second}\n"));
        }
    }
}

/// What a reader of YAML 1.1 takes for a truth value, a number or a date is quoted for it.
#[test]
fn words_that_an_older_reader_takes_for_something_else_are_quoted() {
    for text in [
        "y",
        "N",
        "yes",
        "No",
        "on",
        "OFF",
        "true",
        "null",
        "~",
        "",
        "012",
        "0o14",
        "0b1",
        "1_000",
        "12:30:45",
        "2026-07-25",
        "2026-07-25T20:02:04Z",
        ".inf",
        "-.INF",
        ".nan",
        "1e3",
        "+1",
        "<<",
        "=",
    ] {
        let yaml = written(&Node::map([("k", Node::Text(text))]));
        assert!(yaml.starts_with("k: \"") || yaml.starts_with("k: '"), "{yaml}");
    }
}

#[test]
fn a_long_line_stays_one() {
    let text = "word ".repeat(100);
    assert_eq!(written(&Node::Text(text.trim_end())).lines().count(), 1);
}

#[test]
fn a_name_that_needs_quotes_gets_them_and_stays_on_its_line() {
    let node = Node::Map(vec![
        (Name::Number(1), Node::Null),
        ("1".into(), Node::Integer(1)),
        ("a: b".into(), Node::Null),
        ("c\nd".into(), Node::Text("e")),
    ]);
    assert_eq!(written(&node), "1: null\n\"1\": 1\n\"a: b\": null\n\"c\\nd\": e\n");
}

#[test]
fn nesting_is_indented_by_four_and_lists_of_maps_are_compact() {
    let node = Node::map([
        ("versions", Node::Map(vec![("1".into(), Node::map([("version", Node::Integer(1))]))])),
        ("list", Node::List(vec![Node::Text("read"), Node::Text("write")])),
        ("maps", Node::List(vec![Node::map([("id", Node::Text("")), ("name", Node::Text("a"))])])),
        ("none", Node::List(vec![])),
        ("empty", Node::map([])),
        ("flag", Node::Boolean(true)),
    ]);
    insta::assert_snapshot!(written(&node), @r#"
    versions:
        "1":
            version: 1
    list:
        - read
        - write
    maps:
        - id: ""
          name: a
    none: []
    empty: {}
    flag: true
    "#);
}
