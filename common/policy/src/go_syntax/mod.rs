//! Go's regular expression syntax: parses a pattern into a tree, and writes the tree as a pattern for Rust's `regex`.
//!
//! Policies use the syntax of Go's `regexp.Compile`. Rust's `regex` gives some of the same texts other meanings.
//! Patterns decide access, so none may change its meaning. This module parses patterns by Go's rules (Go 1.26, Unicode
//! 15.0), and writes a Rust pattern without any ambiguity: every class is a list of code points, every literal is
//! escaped, and there are no flags.
//!
//! It owns the grammar and the translation; `Pattern` matches. It keeps only what decides *whether* a text matches:
//! captures and greediness are checked and dropped.
//!
//! [`MAX_NESTING`] bounds the recursion over a tree; the parser does not recurse.

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

/// The deepest nesting of groups and repetitions. Go allows 1000; every path pattern of 500 bytes is below.
pub const MAX_NESTING: usize = 250;

/// The longest pattern in bytes. Go has no such limit; path patterns have at most 500 bytes.
pub const MAX_PATTERN_BYTES: usize = 64 * 1024;

/// The most class ranges of one pattern. Go allows 32 million.
pub(crate) const MAX_CLASS_RANGES: usize = 100_000;

/// One piece of a parsed pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    /// The empty text.
    Empty,
    /// Exactly this character.
    Literal(char),
    /// Any character but a newline: `.` in Go without the flag `s`.
    AnyButNewline,
    /// A character of a set. An empty set matches nothing.
    Class(ClassUnicode),
    /// A condition on the position; consumes nothing.
    Look(Look),
    /// `min` to `max` times; without `max`, any number from `min`.
    Repeat { node: Box<Node>, min: u32, max: Option<u32> },
    /// One after the other.
    Concat(Vec<Node>),
    /// Any one of them.
    Alternate(Vec<Node>),
}

/// A condition on a position in the text.
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

/// The characters of the texts that a pattern is matched with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alphabet {
    /// ASCII: all valid SPIFFE IDs and paths. Classes such as `[^/]` become ten times smaller.
    Ascii,
    /// All of Unicode.
    Unicode,
}

/// Parses `text` as Go's `regexp.Compile` does.
///
/// # Errors
/// [`SyntaxError`] if Go refuses the pattern, or it is above a limit of this implementation.
pub(crate) fn parse(text: &str) -> Result<Node, SyntaxError> {
    parser::Parser::new(text).parse()
}

impl Node {
    /// The pattern for Rust's `regex` that matches the same texts of this alphabet.
    pub(crate) fn to_rust(&self, alphabet: Alphabet) -> String {
        emit::rust_pattern(self, alphabet)
    }

    /// The width: the most positions of the pattern that a search follows at once. A match costs at most about the
    /// width times the length of the subject.
    pub(crate) fn width(&self) -> u64 {
        width::width(self)
    }

    /// A rough measure of the compiled size: one per byte, class range and assertion, times the repetitions around.
    pub(crate) fn weight(&self) -> u64 {
        match self {
            Self::Empty | Self::Look(_) => 1,
            Self::Literal(c) => u64::try_from(c.len_utf8()).unwrap_or(4),
            Self::AnyButNewline => 8,
            // A range beyond ASCII may become a few byte sequences of up to four bytes.
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

    /// Appends the parts of a concatenation to `pieces`, however they are grouped.
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
