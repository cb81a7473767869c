//! The three reserved paths, and the policies that may open them (wire-api 5.5).

use spike_domain::RESERVED_PATHS;

use super::error::{Field, PolicyError, Refusal, ReservedCause};
use super::go_syntax::{Look, Node};
use super::pattern::{self, Matcher};

/// Which patterns open a reserved path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReservedRule {
    /// Patterns that match the whole path, including `^.*$`: upstream's rule.
    #[default]
    Pattern,
    /// Of those, only patterns that are the literal path.
    Literal,
}

/// A text that only a pattern for everybody matches; upstream's.
pub(super) const PROBE: &str = "spike-arbitrary-probe-value";

/// Some of the reserved paths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reserved(u8);

impl Reserved {
    /// The set of `path` alone; empty for an ordinary path.
    pub(super) fn only(path: &str) -> Self {
        Self::where_true(|reserved| reserved == path)
    }

    /// The reserved paths for which `holds`.
    pub(super) fn where_true(holds: impl Fn(&str) -> bool) -> Self {
        let bit = |(i, path): (usize, &&str)| if holds(path) { 1 << i } else { 0 };
        Self(RESERVED_PATHS.iter().enumerate().map(bit).fold(0, |bits, bit| bits | bit))
    }

    pub(super) const fn includes(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Whether a SPIFFE ID pattern is precise enough for a reserved path: apparently anchored at both ends, or matching
/// everybody. As with upstream, `^a|b$` passes (F24).
pub(super) fn is_precise(id_pattern: &str) -> bool {
    looks_anchored(id_pattern) || pattern::describes(id_pattern, PROBE)
}

/// The textual part of [`is_precise`].
pub(super) fn looks_anchored(id_pattern: &str) -> bool {
    id_pattern.starts_with('^') && id_pattern.ends_with('$')
}

/// Whether `path_pattern` matches the whole reserved `path`.
pub(super) fn is_described(path_pattern: &str, path: &str) -> bool {
    pattern::describes(path_pattern, path)
}

/// Whether the pattern, or one of its alternatives, is the text of `path`, perhaps anchored.
pub(super) fn is_named(node: &Node, path: &str) -> bool {
    let mut pieces = Vec::new();
    node.flatten(&mut pieces);
    let mut pieces = pieces.as_slice();
    if let [Node::Look(Look::TextStart), rest @ ..] = pieces {
        pieces = rest;
    }
    if let [rest @ .., Node::Look(Look::TextEnd)] = pieces {
        pieces = rest;
    }
    if let [Node::Alternate(alternatives)] = pieces {
        return alternatives.iter().any(|node| is_named(node, path));
    }
    let mut letters = path.chars();
    pieces.iter().all(|piece| matches!(piece, Node::Literal(c) if letters.next() == Some(*c)))
        && letters.next().is_none()
}

/// Refuses a policy whose path pattern matches a reserved path that the policy may not open. Upstream tests only the
/// first such path; here all three are tested (F24).
///
/// # Errors
/// [`Refusal::ReservedPath`] with the first such path.
pub(super) fn check(
    id_pattern: &str,
    path_pattern: &str,
    paths: &Matcher,
) -> Result<(), PolicyError> {
    for path in RESERVED_PATHS {
        if let Some(cause) = missing(id_pattern, path_pattern, paths, path) {
            let why = Refusal::ReservedPath { path, cause };
            return Err(PolicyError::new(Field::PathPattern, why));
        }
    }
    Ok(())
}

/// Why the policy may not open `path`, if its path pattern matches it.
fn missing(
    id_pattern: &str,
    path_pattern: &str,
    paths: &Matcher,
    path: &str,
) -> Option<ReservedCause> {
    if !paths.is_match(path) {
        None
    } else if !is_described(path_pattern, path) {
        Some(ReservedCause::PathNotDescribed)
    } else if !is_precise(id_pattern) {
        Some(ReservedCause::IdentityNotPrecise)
    } else {
        None
    }
}
