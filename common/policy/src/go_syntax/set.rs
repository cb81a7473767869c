//! Sets of characters, and case folding by the tables of Go 1.26 (Unicode 15.0).

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

use super::unicode;

/// Characters that fold together since Unicode 15.1, which Go's tables do not know.
const FOLDED_LATER: [char; 6] =
    ['\u{390}', '\u{3B0}', '\u{1FD3}', '\u{1FE3}', '\u{FB05}', '\u{FB06}'];

/// The last code point before the surrogates, and the first after them. No text holds a surrogate.
const BEFORE_SURROGATES: u32 = 0xD7FF;
const AFTER_SURROGATES: u32 = 0xE000;

/// The empty set.
pub(super) fn empty() -> ClassUnicode {
    ClassUnicode::empty()
}

/// The code points `low..=high`, less the surrogates.
pub(super) fn range(low: u32, high: u32) -> ClassUnicode {
    let low = if (BEFORE_SURROGATES + 1..AFTER_SURROGATES).contains(&low) {
        AFTER_SURROGATES
    } else {
        low
    };
    let high = if (BEFORE_SURROGATES + 1..AFTER_SURROGATES).contains(&high) {
        BEFORE_SURROGATES
    } else {
        high
    };
    match (char::from_u32(low), char::from_u32(high)) {
        (Some(low), Some(high)) if low <= high => {
            ClassUnicode::new([ClassUnicodeRange::new(low, high)])
        }
        _ => empty(),
    }
}

/// The set of these ranges of ASCII.
pub(super) fn ascii(ranges: &[(char, char)]) -> ClassUnicode {
    ClassUnicode::new(ranges.iter().map(|&(low, high)| ClassUnicodeRange::new(low, high)))
}

/// Everything that `set` does not hold.
pub(super) fn negated(mut set: ClassUnicode) -> ClassUnicode {
    set.negate();
    set
}

/// `set`, and what Go's `unicode.SimpleFold` reaches from its members.
pub(super) fn folded(set: &ClassUnicode) -> ClassUnicode {
    // The tables in `regex-syntax` are newer than Go's. Nothing folds from or to a character that Go does not know.
    let mut known = set.clone();
    if !set.is_ascii() {
        known.intersect(unicode::assigned_in_15_0());
    }
    let mut reached = folded_by_newer_tables(known);
    if !reached.is_ascii() {
        reached.intersect(unicode::assigned_in_15_0());
    }
    reached.difference(&ClassUnicode::new(
        FOLDED_LATER.map(|late| ClassUnicodeRange::new(late, late)),
    ));
    reached.union(set);
    reached
}

#[expect(clippy::expect_used, reason = "the crate's default features hold the case tables")]
fn folded_by_newer_tables(mut set: ClassUnicode) -> ClassUnicode {
    set.try_case_fold_simple().expect("regex-syntax is built with its case tables");
    set
}
