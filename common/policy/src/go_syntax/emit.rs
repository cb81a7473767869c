//! From a tree to a pattern with only one meaning in Rust's `regex`.

use std::fmt::Write as _;

use regex_syntax::hir::ClassUnicode;

use super::{Alphabet, Look, Node, set};

/// The Rust form of `node` for texts of this alphabet.
pub(super) fn rust_pattern(node: &Node, alphabet: Alphabet) -> String {
    let mut out = String::new();
    emit(node, alphabet, &mut out);
    out
}

fn emit(node: &Node, alphabet: Alphabet, out: &mut String) {
    match node {
        Node::Empty => {}
        Node::Literal(c) => regex_syntax::escape_into(c.encode_utf8(&mut [0; 4]), out),
        Node::AnyButNewline => out.push_str(match alphabet {
            Alphabet::Ascii => r"[\x{0}-\x{9}\x{B}-\x{7F}]",
            Alphabet::Unicode => r"[^\n]",
        }),
        Node::Class(set) => emit_class(set, alphabet, out),
        Node::Look(look) => out.push_str(match look {
            Look::TextStart => r"\A",
            Look::TextEnd => r"\z",
            Look::LineStart => "(?m:^)",
            Look::LineEnd => "(?m:$)",
            Look::WordBoundary => r"(?-u:\b)",
            Look::NotWordBoundary => r"(?-u:\B)",
        }),
        Node::Repeat { node, min, max } => {
            out.push_str("(?:");
            emit(node, alphabet, out);
            out.push(')');
            emit_counts(*min, *max, out);
        }
        Node::Concat(nodes) => nodes.iter().for_each(|node| emit(node, alphabet, out)),
        Node::Alternate(nodes) => {
            out.push_str("(?:");
            for (i, node) in nodes.iter().enumerate() {
                if i > 0 {
                    out.push('|');
                }
                emit(node, alphabet, out);
            }
            out.push(')');
        }
    }
}

fn emit_class(set: &ClassUnicode, alphabet: Alphabet, out: &mut String) {
    let mut set = set.clone();
    if alphabet == Alphabet::Ascii {
        set.intersect(&set::range(0, 0x7F));
    }
    if set.ranges().is_empty() {
        // The empty set cannot be written, but an intersection can be empty.
        out.push_str("[a&&b]");
        return;
    }
    out.push('[');
    for range in set.iter() {
        push_code_point(range.start(), out);
        if range.start() != range.end() {
            out.push('-');
            push_code_point(range.end(), out);
        }
    }
    out.push(']');
}

fn push_code_point(c: char, out: &mut String) {
    push_formatted(out, format_args!("\\x{{{:X}}}", u32::from(c)));
}

fn emit_counts(min: u32, max: Option<u32>, out: &mut String) {
    match (min, max) {
        (0, None) => out.push('*'),
        (1, None) => out.push('+'),
        (0, Some(1)) => out.push('?'),
        (min, None) => push_formatted(out, format_args!("{{{min},}}")),
        (min, Some(max)) => push_formatted(out, format_args!("{{{min},{max}}}")),
    }
}

#[expect(clippy::expect_used, reason = "writing to a String cannot fail")]
fn push_formatted(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a String takes any text");
}
