//! JSON as Go's encoder writes it with indentation: `<`, `>`, `&`, U+2028 and U+2029 escaped, empty lists on one line.

use std::io::{self, Write};

use serde::Serialize as _;
use serde_json::Serializer;
use serde_json::ser::PrettyFormatter;

use super::node::Node;

/// Writes a value and a newline, nested ones indented by `indent` spaces each.
pub(crate) fn write_json(out: &mut dyn Write, node: &Node<'_>, indent: usize) -> io::Result<()> {
    let indent = b" ".repeat(indent);
    let formatter = PrettyFormatter::with_indent(&indent);
    node.serialize(&mut Serializer::with_formatter(AsGo(out), formatter))?;
    out.write_all(b"\n")
}

/// Escapes what Go escapes and the library does not. In JSON these characters occur only within text.
struct AsGo<'a>(&'a mut dyn Write);

impl Write for AsGo<'_> {
    /// Each piece has whole characters; the library never splits one.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = std::str::from_utf8(bytes).map_err(io::Error::other)?;
        let mut rest = text;
        while let Some(at) = rest.find(is_escaped_by_go) {
            let (plain, special) = rest.split_at(at);
            self.0.write_all(plain.as_bytes())?;
            let mut characters = special.chars();
            if let Some(c) = characters.next() {
                write!(self.0, "\\u{:04x}", u32::from(c))?;
            }
            rest = characters.as_str();
        }
        self.0.write_all(rest.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

const fn is_escaped_by_go(c: char) -> bool {
    matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(node: &Node<'_>, indent: usize) -> String {
        let mut out = Vec::new();
        write_json(&mut out, node, indent).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_is_escaped_as_go_escapes_it() {
        let text = "a<b>&\"\\\u{8}\u{c}\n\r\t\u{1}\u{7f}\u{2028}\u{2029}é😀";
        assert_eq!(
            written(&Node::Text(text), 2),
            "\"a\\u003cb\\u003e\\u0026\\\"\\\\\\b\\f\\n\\r\\t\\u0001\u{7f}\\u2028\\u2029é😀\"\n"
        );
        let read: String = serde_json::from_str(&written(&Node::Text(text), 2)).unwrap();
        assert_eq!(read, text);
    }

    #[test]
    fn nesting_is_indented_and_empty_values_stay_on_their_line() {
        let node = Node::map([
            ("list", Node::List(vec![Node::Integer(1), Node::Null])),
            ("none", Node::List(vec![])),
            ("map", Node::map([("a", Node::map([]))])),
        ]);
        insta::assert_snapshot!(written(&node, 2), @r#"
        {
          "list": [
            1,
            null
          ],
          "none": [],
          "map": {
            "a": {}
          }
        }
        "#);
    }
}
