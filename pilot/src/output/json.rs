//! JSON as Go's encoder writes it with indentation: `<`, `>`, `&`, U+2028 and U+2029 escaped, empty lists on one line.

use std::io::{self, Write};

use super::node::{Name, Node, time_text};

/// Writes a value and a newline, nested ones indented by `indent` spaces each.
pub(crate) fn write_json(out: &mut dyn Write, node: &Node<'_>, indent: usize) -> io::Result<()> {
    value(out, node, indent, 0)?;
    out.write_all(b"\n")
}

fn value(out: &mut dyn Write, node: &Node<'_>, indent: usize, depth: usize) -> io::Result<()> {
    match node {
        Node::Null => out.write_all(b"null"),
        Node::Boolean(boolean) => write!(out, "{boolean}"),
        Node::Integer(number) => write!(out, "{number}"),
        Node::Text(content) => text(out, content),
        Node::Time(time) => text(out, &time_text(*time)),
        Node::List(nodes) => nested(out, (b"[", b"]"), indent, depth, nodes, |out, node| {
            value(out, node, indent, depth + 1)
        }),
        Node::Map(fields) => {
            nested(out, (b"{", b"}"), indent, depth, fields, |out, (name, node)| {
                match name {
                    Name::Text(name) => text(out, name)?,
                    Name::Number(number) => write!(out, "\"{number}\"")?,
                }
                out.write_all(b": ")?;
                value(out, node, indent, depth + 1)
            })
        }
    }
}

fn nested<T>(
    out: &mut dyn Write,
    (open, close): (&[u8], &[u8]),
    indent: usize,
    depth: usize,
    items: &[T],
    mut item: impl FnMut(&mut dyn Write, &T) -> io::Result<()>,
) -> io::Result<()> {
    out.write_all(open)?;
    for (position, each) in items.iter().enumerate() {
        out.write_all(if position == 0 { b"\n" } else { b",\n" })?;
        write!(out, "{:1$}", "", indent * (depth + 1))?;
        item(out, each)?;
    }
    if !items.is_empty() {
        write!(out, "\n{:1$}", "", indent * depth)?;
    }
    out.write_all(close)
}

fn text(out: &mut dyn Write, text: &str) -> io::Result<()> {
    out.write_all(b"\"")?;
    let mut rest = text;
    while let Some(at) = rest.find(needs_escape) {
        let (plain, special) = rest.split_at(at);
        out.write_all(plain.as_bytes())?;
        let mut characters = special.chars();
        match characters.next() {
            Some(c @ ('"' | '\\')) => write!(out, "\\{c}")?,
            Some('\u{8}') => out.write_all(b"\\b")?,
            Some('\u{c}') => out.write_all(b"\\f")?,
            Some('\n') => out.write_all(b"\\n")?,
            Some('\r') => out.write_all(b"\\r")?,
            Some('\t') => out.write_all(b"\\t")?,
            Some(c) => write!(out, "\\u{:04x}", u32::from(c))?,
            None => {}
        }
        rest = characters.as_str();
    }
    out.write_all(rest.as_bytes())?;
    out.write_all(b"\"")
}

const fn needs_escape(c: char) -> bool {
    matches!(c, '\0'..='\x1f' | '"' | '\\' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}')
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
