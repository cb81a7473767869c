use super::*;

/// Made with gopkg.in/yaml.v3 v3.0.1: each text alone, as a value, and in a list. Left out are
/// U+2028, U+FEFF and newlines in front, which that version writes in a way that it does not read back.
const KNOWN: &str = include_str!("../../../tests/vectors/yaml_v3_text.json");

fn written(node: &Node<'_>) -> String {
    let mut out = Vec::new();
    write_yaml(&mut out, node).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn text_is_written_as_go_writes_it() {
    let known: Vec<serde_json::Value> = serde_json::from_str(KNOWN).unwrap();
    assert!(known.len() > 100);
    for case in known {
        let text = case["in"].as_str().unwrap();
        assert_eq!(written(&Node::Text(text)), case["top"], "{text:?} alone");
        assert_eq!(
            written(&Node::map([("k", Node::Text(text))])),
            case["map"],
            "{text:?} in a map"
        );
        assert_eq!(written(&Node::List(vec![Node::Text(text)])), case["seq"], "{text:?} in a list");
    }
}

#[test]
fn what_is_written_is_read_back() {
    let known: Vec<serde_json::Value> = serde_json::from_str(KNOWN).unwrap();
    let more =
        ["\u{2028}", "a\u{2029}b\nc", "\u{feff}x", "# a\n# b\n", "\n\n\n", "a: b\nc: d", "\t\n"];
    for text in known.iter().filter_map(|case| case["in"].as_str()).chain(more) {
        let yaml = written(&Node::map([("k", Node::Text(text)), ("z", Node::Integer(1))]));
        let read: serde_json::Value = serde_saphyr::from_str(&yaml).unwrap();
        assert_eq!(read, serde_json::json!({"k": text, "z": 1}), "{yaml:?}");
    }
}

#[test]
fn a_name_that_needs_quotes_gets_them_and_stays_on_its_line() {
    let node = Node::Map(vec![
        (Name::Number(1), Node::Null),
        ("1".into(), Node::Integer(1)),
        ("a: b".into(), Node::Null),
        ("c\nd".into(), Node::Text("e")),
    ]);
    assert_eq!(written(&node), "1: null\n\"1\": 1\n'a: b': null\n\"c\\nd\": e\n");
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
