//! Why a pattern is refused, and where, with the messages of Go's `regexp`.

use std::fmt;

/// The longest part of a pattern that an error repeats, in characters.
const QUOTED: usize = 60;

/// A pattern that Go's `regexp` refuses, or that is above a limit of this implementation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: `{fragment}` at byte {offset}")]
pub struct SyntaxError {
    /// The offset of `fragment` in the pattern, in bytes.
    pub offset: usize,
    /// The kind of the fault.
    pub kind: SyntaxErrorKind,
    /// The part at fault, cut after 60 characters.
    pub fragment: String,
}

impl SyntaxError {
    /// An error about `fragment`, which begins at byte `offset`.
    pub(super) fn new(kind: SyntaxErrorKind, offset: usize, fragment: &str) -> Self {
        Self { offset, kind, fragment: fragment.chars().take(QUOTED).collect() }
    }
}

/// The kinds of refusal. All but the last two are Go's own, under Go's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SyntaxErrorKind {
    /// `[z-a]`, `[[:foo:]]`, `\p{Foo}`.
    InvalidCharRange,
    /// `\y`, `\8`, `\C`, `\x{}`.
    InvalidEscape,
    /// `(?P<a b>c)`.
    InvalidNamedCapture,
    /// `(?x)`, `(?=a)`.
    InvalidPerlOp,
    /// `a**`.
    InvalidRepeatOp,
    /// `a{1001}`, `a{3,2}`, `(a{100}){100}`.
    InvalidRepeatSize,
    /// `[a`.
    MissingBracket,
    /// `(a`.
    MissingParen,
    /// `*a`, `(+)`.
    MissingRepeatArgument,
    /// A pattern that ends in a single `\`.
    TrailingBackslash,
    /// `a)`.
    UnexpectedParen,
    /// Groups and repetitions nested deeper than [`super::MAX_NESTING`]. Go's own limit is 1000.
    NestingDepth,
    /// Longer than [`super::MAX_PATTERN_BYTES`], or needs more memory than a policy may use.
    TooLarge,
}

impl SyntaxErrorKind {
    /// Go's name of the error, without `error parsing regexp: `.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidCharRange => "invalid character class range",
            Self::InvalidEscape => "invalid escape sequence",
            Self::InvalidNamedCapture => "invalid named capture",
            Self::InvalidPerlOp => "invalid or unsupported Perl syntax",
            Self::InvalidRepeatOp => "invalid nested repetition operator",
            Self::InvalidRepeatSize => "invalid repeat count",
            Self::MissingBracket => "missing closing ]",
            Self::MissingParen => "missing closing )",
            Self::MissingRepeatArgument => "missing argument to repetition operator",
            Self::TrailingBackslash => "trailing backslash at end of expression",
            Self::UnexpectedParen => "unexpected )",
            Self::NestingDepth => "expression nests too deeply",
            Self::TooLarge => "expression too large",
        }
    }
}

impl fmt::Display for SyntaxErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
