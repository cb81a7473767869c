//! Patterns that need no regular expression: a text, perhaps anchored, perhaps with single dots, perhaps with `.*` at
//! its end. Most policies have such patterns, and comparing bytes needs little time and memory.

use super::go_syntax::{Look, Node};

/// Stands for "any one character but a newline" in a text of UTF-8 bytes, where this byte never occurs.
pub(super) const ANY: u8 = 0xFF;

/// What must follow the text of a plain pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tail {
    /// Anything: there is no anchor at the end.
    Open,
    /// The end.
    End,
    /// The rest of the line up to the end: `.*$`.
    OneLine,
}

/// The meaning of a plain pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plain {
    text: Box<[u8]>,
    anchored: bool,
    wild: bool,
    tail: Tail,
}

impl Plain {
    /// The plain form of `root`, if it has one.
    pub(super) fn of(root: &Node) -> Option<Self> {
        let mut pieces = Vec::new();
        root.flatten(&mut pieces);
        let mut pieces = pieces.as_slice();
        let mut anchored = false;
        if let [Node::Look(Look::TextStart), rest @ ..] = pieces {
            anchored = true;
            pieces = rest;
        } else if let [first, rest @ ..] = pieces
            && is_rest_of_line(first).is_some_and(|min| min == 0)
        {
            // An unanchored search skips any text.
            pieces = rest;
        }
        let mut ends = false;
        if let [rest @ .., Node::Look(Look::TextEnd)] = pieces {
            ends = true;
            pieces = rest;
        }
        let mut tail = if ends { Tail::End } else { Tail::Open };
        let mut one_more = false;
        if let [rest @ .., last] = pieces
            && let Some(min) = is_rest_of_line(last)
        {
            pieces = rest;
            one_more = min == 1;
            tail = if ends { Tail::OneLine } else { Tail::Open };
        }
        let mut text = Vec::with_capacity(pieces.len());
        for piece in pieces {
            match piece {
                Node::Literal(c) => text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                Node::AnyButNewline => text.push(ANY),
                Node::Empty
                | Node::Class(_)
                | Node::Look(_)
                | Node::Repeat { .. }
                | Node::Concat(_)
                | Node::Alternate(_) => return None,
            }
        }
        if one_more {
            text.push(ANY);
        }
        let wild = text.contains(&ANY);
        Some(Self { text: text.into(), anchored, wild, tail })
    }

    /// Whether the pattern matches anywhere in `subject`.
    pub(super) fn is_match(&self, subject: &str) -> bool {
        if self.anchored {
            return self.matches_at(subject.as_bytes());
        }
        if !self.wild && self.tail == Tail::End {
            return subject.as_bytes().ends_with(&self.text);
        }
        let starts = subject.char_indices().map(|(at, _)| at).chain([subject.len()]);
        starts
            .into_iter()
            .any(|at| subject.as_bytes().get(at..).is_some_and(|suffix| self.matches_at(suffix)))
    }

    /// Whether it matches at the start of `subject`.
    fn matches_at(&self, subject: &[u8]) -> bool {
        let rest = if self.wild {
            strip_wild(subject, &self.text)
        } else {
            subject.strip_prefix(self.text.as_ref())
        };
        rest.is_some_and(|rest| match self.tail {
            Tail::Open => true,
            Tail::End => rest.is_empty(),
            Tail::OneLine => !rest.contains(&b'\n'),
        })
    }
}

/// The rest of `subject` after `text`, in which [`ANY`] matches one character.
fn strip_wild<'s>(subject: &'s [u8], text: &[u8]) -> Option<&'s [u8]> {
    let mut rest = subject;
    for &symbol in text {
        rest = rest.get(step(symbol, rest)?..)?;
    }
    Some(rest)
}

/// How many bytes of `subject` the symbol consumes, if it matches.
pub(super) fn step(symbol: u8, subject: &[u8]) -> Option<usize> {
    let &first = subject.first()?;
    if symbol != ANY {
        return (first == symbol).then_some(1);
    }
    match first {
        b'\n' => None,
        0..0x80 => Some(1),
        0x80..0xE0 => Some(2),
        0xE0..0xF0 => Some(3),
        0xF0.. => Some(4),
    }
}

/// For `.*` and `.+`: the least number of characters.
fn is_rest_of_line(node: &Node) -> Option<u32> {
    match node {
        Node::Repeat { node, min: min @ (0 | 1), max: None } => {
            matches!(node.as_ref(), Node::AnyButNewline).then_some(*min)
        }
        _ => None,
    }
}
