//! YAML as `gopkg.in/yaml.v3` writes it, for the shapes of our answers: block style, indented by four, text quoted where
//! another type, or another structure, would be read.
//!
//! The rules for text are those of that library's emitter; known answers from it are in the tests.

mod scalar;

use std::io::{self, Write};

use super::node::{Name, Node, time_text};

const INDENT: usize = 4;

/// Writes a value, ending in a newline.
pub(crate) fn write_yaml(out: &mut dyn Write, node: &Node<'_>) -> io::Result<()> {
    match node {
        Node::Map(fields) if !fields.is_empty() => map(out, fields, 0),
        Node::List(nodes) if !nodes.is_empty() => list(out, nodes, 0),
        scalar => leaf(out, scalar, INDENT),
    }
}

/// Every line begins with `indent` spaces, the first one excepted: the caller has begun it.
fn map(out: &mut dyn Write, fields: &[(Name<'_>, Node<'_>)], indent: usize) -> io::Result<()> {
    for (position, (name, node)) in fields.iter().enumerate() {
        if position > 0 {
            write!(out, "{:indent$}", "")?;
        }
        match name {
            Name::Text(name) => scalar::write_name(out, name)?,
            Name::Number(number) => write!(out, "{number}")?,
        }
        out.write_all(b":")?;
        let deeper = indent + INDENT;
        match node {
            Node::Map(fields) if !fields.is_empty() => {
                write!(out, "\n{:deeper$}", "")?;
                map(out, fields, deeper)?;
            }
            Node::List(nodes) if !nodes.is_empty() => {
                write!(out, "\n{:deeper$}", "")?;
                list(out, nodes, deeper)?;
            }
            scalar => {
                out.write_all(b" ")?;
                leaf(out, scalar, deeper)?;
            }
        }
    }
    Ok(())
}

fn list(out: &mut dyn Write, nodes: &[Node<'_>], indent: usize) -> io::Result<()> {
    for (position, node) in nodes.iter().enumerate() {
        if position > 0 {
            write!(out, "{:indent$}", "")?;
        }
        out.write_all(b"- ")?;
        // Inside a list only the dash and its space are skipped.
        let deeper = indent + 2;
        match node {
            Node::Map(fields) if !fields.is_empty() => map(out, fields, deeper)?,
            Node::List(nodes) if !nodes.is_empty() => list(out, nodes, deeper)?,
            scalar => leaf(out, scalar, deeper)?,
        }
    }
    Ok(())
}

fn leaf(out: &mut dyn Write, node: &Node<'_>, indent: usize) -> io::Result<()> {
    match node {
        Node::Null => out.write_all(b"null\n"),
        Node::Boolean(boolean) => writeln!(out, "{boolean}"),
        Node::Integer(number) => writeln!(out, "{number}"),
        Node::Time(time) => writeln!(out, "{}", time_text(*time)),
        Node::Text(text) => scalar::write(out, text, indent),
        Node::List(_) => out.write_all(b"[]\n"),
        Node::Map(_) => out.write_all(b"{}\n"),
    }
}

#[cfg(test)]
mod tests;
