//! Sets of characters.

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

/// The last code point before the surrogates, and the first after them. No text contains a surrogate.
const BEFORE_SURROGATES: u32 = 0xD7FF;
const AFTER_SURROGATES: u32 = 0xE000;

/// The empty set.
pub(super) fn empty() -> ClassUnicode {
    ClassUnicode::empty()
}

/// The code points `low..=high` without the surrogates.
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

/// The set of these ASCII ranges.
pub(super) fn ascii(ranges: &[(char, char)]) -> ClassUnicode {
    ClassUnicode::new(ranges.iter().map(|&(low, high)| ClassUnicodeRange::new(low, high)))
}

/// The complement of `set`.
pub(super) fn negated(mut set: ClassUnicode) -> ClassUnicode {
    set.negate();
    set
}
