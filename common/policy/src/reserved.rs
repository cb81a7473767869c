//! The three reserved paths, and who may act on them (wire-api 5.5).

use spike_domain::RESERVED_PATHS;

use super::error::{Field, PolicyError, Refusal, ReservedCause};
use super::go_syntax::{Look, Node};
use super::pattern::{self, Matcher};

/// Which patterns open a reserved path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReservedRule {
    /// Those that describe the whole of it, `^.*$` among them. Upstream's.
    #[default]
    Pattern,
    /// Of those, the ones that name it letter for letter.
    Literal,
}

/// A text that only a pattern for everybody matches; upstream's.
pub(super) const PROBE: &str = "spike-arbitrary-probe-value";

/// Some of the reserved paths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reserved(u8);

impl Reserved {
    /// The set of `path` alone, or the empty set when it is an ordinary path.
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

/// Whether a SPIFFE ID pattern names its holders precisely enough for a reserved path: anchored at both ends, by the
/// look of it, or meant for everybody. That `^a|b$` passes is upstream's rule too (F24).
pub(super) fn is_precise(id_pattern: &str) -> bool {
    looks_anchored(id_pattern) || pattern::describes(id_pattern, PROBE)
}

/// The textual half of [`is_precise`].
pub(super) fn looks_anchored(id_pattern: &str) -> bool {
    id_pattern.starts_with('^') && id_pattern.ends_with('$')
}

/// Whether `path_pattern` describes the whole of the reserved `path`.
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

/// Refuses a policy whose path pattern finds a reserved path without being entitled to it. Upstream tests the first
/// such path only; here all three are tested (F24).
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

/// What keeps the policy from `path`, where its path pattern finds it.
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
