//! A pattern of a policy: Go's syntax, matched by an unanchored search.
//!
//! This module decides how a pattern is matched: by comparing bytes if that is enough, or else by a compiled regular
//! expression. [`super::go_syntax`] defines its meaning.

use regex::{Regex, RegexBuilder};

use super::go_syntax::{self, Alphabet, Look, Node, SyntaxError, SyntaxErrorKind};
use super::plain::Plain;

/// The most memory of one compiled pattern, in bytes.
const COMPILED_LIMIT: usize = 4 * 1024 * 1024;

/// The most memory of one compiled pattern for each thread that matches with it, in bytes.
const CACHE_LIMIT: usize = 256 * 1024;

/// Patterns up to this weight compile within [`COMPILED_LIMIT`]; heavier ones are compiled at once to find out.
const LIGHT: u64 = 4_000;

/// The deepest nesting of the written pattern: one level of the tree becomes up to four.
const EMITTED_NESTING: u32 = 4 * 250 + 50;

/// A valid pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: Box<str>,
    plain: Option<Plain>,
    width: u64,
}

impl Pattern {
    /// Reads `text` as Go's `regexp.Compile` does.
    ///
    /// # Errors
    /// [`SyntaxError`] if Go refuses the pattern, or it is too large.
    pub fn new(text: &str) -> Result<Self, SyntaxError> {
        let node = go_syntax::parse(text)?;
        Self::from_node(text, &node)
    }

    /// The pattern `text` with its parsed form `node`.
    pub(super) fn from_node(text: &str, node: &Node) -> Result<Self, SyntaxError> {
        let plain = Plain::of(node);
        if plain.is_none() && node.weight() > LIGHT {
            compile(text, node, Alphabet::Unicode)?;
        }
        let width = if plain.is_some() { 0 } else { node.width() };
        Ok(Self { text: text.into(), plain, width })
    }

    /// The text of the pattern.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The width: the most positions that a search follows at once; 0 if bytes are compared.
    pub(super) const fn width(&self) -> u64 {
        self.width
    }

    /// Whether the pattern matches anywhere in `subject`. It may compile the pattern, so keep the [`Pattern::matcher`]
    /// for several subjects.
    pub fn is_match(&self, subject: &str) -> bool {
        self.matches_plainly(subject).unwrap_or_else(|| self.matcher().is_match(subject))
    }

    /// The prefix of all texts that the pattern `text` matches; empty if there is none, or the pattern is invalid.
    pub(super) fn beginning(text: &str) -> String {
        let Ok(node) = go_syntax::parse(text) else { return String::new() };
        let mut pieces = Vec::new();
        node.flatten(&mut pieces);
        let [Node::Look(Look::TextStart), rest @ ..] = pieces.as_slice() else {
            return String::new();
        };
        let letter = |piece: &&Node| if let Node::Literal(c) = piece { Some(*c) } else { None };
        rest.iter().map_while(letter).collect()
    }

    /// The compiled form.
    pub fn matcher(&self) -> Matcher {
        Matcher(match &self.plain {
            Some(plain) => Form::Plain(plain.clone()),
            None => match self.compiled(Alphabet::Ascii) {
                Some(ascii) => Form::Regex { ascii, pattern: self.clone() },
                None => Form::Nothing,
            },
        })
    }

    /// The answer, if no regular expression is needed.
    pub(super) fn matches_plainly(&self, subject: &str) -> Option<bool> {
        self.plain.as_ref().map(|plain| plain.is_match(subject))
    }

    /// `new` has checked that it parses and compiles. Otherwise the safe answer is to match nothing.
    fn compiled(&self, alphabet: Alphabet) -> Option<Regex> {
        go_syntax::parse(&self.text).and_then(|node| compile(&self.text, &node, alphabet)).ok()
    }
}

/// A pattern ready to match.
#[derive(Clone, Debug)]
pub struct Matcher(Form);

#[derive(Clone, Debug)]
enum Form {
    Nothing,
    Plain(Plain),
    Regex { ascii: Regex, pattern: Pattern },
}

impl Matcher {
    /// Whether the pattern matches anywhere in `subject`. Only ASCII subjects are fast: others are neither SPIFFE IDs
    /// nor paths, so no compiled form is kept for them.
    pub fn is_match(&self, subject: &str) -> bool {
        match &self.0 {
            Form::Nothing => false,
            Form::Plain(plain) => plain.is_match(subject),
            Form::Regex { ascii, .. } if subject.is_ascii() => ascii.is_match(subject),
            Form::Regex { pattern, .. } => {
                pattern.compiled(Alphabet::Unicode).is_some_and(|regex| regex.is_match(subject))
            }
        }
    }
}

/// Compiles the Rust form of `node`.
pub(super) fn compile(text: &str, node: &Node, alphabet: Alphabet) -> Result<Regex, SyntaxError> {
    RegexBuilder::new(&node.to_rust(alphabet))
        .size_limit(COMPILED_LIMIT)
        .dfa_size_limit(CACHE_LIMIT)
        .nest_limit(EMITTED_NESTING)
        .build()
        .map_err(|_too_large| SyntaxError {
            offset: 0,
            kind: SyntaxErrorKind::TooLarge,
            fragment: text.chars().take(60).collect(),
        })
}

/// Whether `^(?:text)$` matches the whole `subject`, as upstream tests reserved paths (wire-api 5.5).
///
/// The texts are concatenated, as upstream does: a pattern that ends within `\Q...` also quotes the appended text, and
/// matches nothing.
pub(super) fn describes(text: &str, subject: &str) -> bool {
    Pattern::new(&format!("^(?:{text})$")).is_ok_and(|wrapped| wrapped.is_match(subject))
}
