//! Go's regular expression syntax: text in, tree out, and from the tree the form that Rust's `regex` reads.
//!
//! Policies are written in the dialect that Go's `regexp.Compile` accepts. Rust's `regex` gives other meanings to
//! some of the same texts, and since patterns decide access, none may be reinterpreted. So this module parses
//! patterns by Go's rules (Go 1.26, Unicode 15.0) and emits a Rust pattern in which nothing is left to either
//! dialect: every class is spelled out in code points, every literal is escaped, every flag is gone.
//!
//! It owns the grammar and the translation. Matching belongs to `Pattern`. It keeps only what decides
//! *whether* a text matches: captures and greediness are checked and dropped.
//!
//! Recursion over a tree is bounded by [`MAX_NESTING`]; the parser itself does not recurse.

mod class;
mod emit;
mod error;
mod escape;
mod fold;
mod group;
mod parser;
mod repeat;
mod set;
mod tables;
mod unicode;
mod width;

#[cfg(test)]
mod tests;

use regex_syntax::hir::ClassUnicode;

pub use error::{SyntaxError, SyntaxErrorKind};

/// How deeply groups and repetitions may nest. Go allows 1000; every path pattern within its 500 bytes stays below.
pub const MAX_NESTING: usize = 250;

/// The longest pattern in bytes. Go has no such limit; path patterns end at 500 bytes anyway.
pub const MAX_PATTERN_BYTES: usize = 64 * 1024;

/// The class ranges that all classes of one pattern may hold together. Go allows 32 million.
pub(crate) const MAX_CLASS_RANGES: usize = 100_000;

/// One piece of a parsed pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    /// The empty text.
    Empty,
    /// This character and no other.
    Literal(char),
    /// One character: `.` as Go reads it without the flag `s`, so any but a newline.
    AnyButNewline,
    /// One character of a set that is spelled out. An empty set matches nothing.
    Class(ClassUnicode),
    /// A condition on the place that consumes nothing.
    Look(Look),
    /// `min` to `max` times; without `max`, any number from `min`.
    Repeat { node: Box<Node>, min: u32, max: Option<u32> },
    /// One after the other.
    Concat(Vec<Node>),
    /// Any one of them.
    Alternate(Vec<Node>),
}

/// A condition on a place in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// `\A`, and `^` without the flag `m`.
    TextStart,
    /// `\z`, and `$` without the flag `m`.
    TextEnd,
    /// `^` with the flag `m`.
    LineStart,
    /// `$` with the flag `m`.
    LineEnd,
    /// `\b`, between ASCII word characters and others.
    WordBoundary,
    /// `\B`.
    NotWordBoundary,
}

/// The characters of the texts that a pattern is put to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alphabet {
    /// ASCII, as in every SPIFFE ID and every path that is one. Classes such as `[^/]` become a tenth as large.
    Ascii,
    /// All of Unicode.
    Unicode,
}

/// Parses `text` as Go's `regexp.Compile` does.
///
/// # Errors
/// [`SyntaxError`] where Go refuses the pattern, and where it passes a limit of this implementation.
pub(crate) fn parse(text: &str) -> Result<Node, SyntaxError> {
    parser::Parser::new(text).parse()
}

impl Node {
    /// The pattern for Rust's `regex` that matches exactly what this tree matches in texts of this alphabet.
    pub(crate) fn to_rust(&self, alphabet: Alphabet) -> String {
        emit::rust_pattern(self, alphabet)
    }

    /// How many places of the pattern a search may have to follow at once. A match costs at most about this number times
    /// the length of the subject.
    pub(crate) fn width(&self) -> u64 {
        width::width(self)
    }

    /// A rough measure of the compiled size: one per byte, class range and assertion, times the repetitions around.
    pub(crate) fn weight(&self) -> u64 {
        match self {
            Self::Empty | Self::Look(_) => 1,
            Self::Literal(c) => u64::try_from(c.len_utf8()).unwrap_or(4),
            Self::AnyButNewline => 8,
            // A range of characters beyond ASCII may become a few byte sequences of up to four bytes.
            Self::Class(set) => 1 + 4 * u64::try_from(set.ranges().len()).unwrap_or(u64::MAX / 8),
            Self::Repeat { node, min, max } => {
                let times = u64::from(max.unwrap_or(*min).max(1));
                node.weight().saturating_add(1).saturating_mul(times)
            }
            Self::Concat(nodes) | Self::Alternate(nodes) => {
                nodes.iter().fold(1, |sum, node| node.weight().saturating_add(sum))
            }
        }
    }

    /// Appends the pieces of a concatenation, however it is grouped, to `pieces`.
    pub(crate) fn flatten<'n>(&'n self, pieces: &mut Vec<&'n Self>) {
        match self {
            Self::Empty => {}
            Self::Concat(nodes) => nodes.iter().for_each(|node| node.flatten(pieces)),
            Self::Literal(_)
            | Self::AnyButNewline
            | Self::Class(_)
            | Self::Look(_)
            | Self::Repeat { .. }
            | Self::Alternate(_) => pieces.push(self),
        }
    }
}
