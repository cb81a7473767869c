//! Case folding by the tables of Go 1.26 (Unicode 15.0).

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

use super::tables;

/// Characters that fold since Unicode 15.1, which Go's tables do not have.
const FOLDED_LATER: [char; 6] =
    ['\u{390}', '\u{3B0}', '\u{1FD3}', '\u{1FE3}', '\u{FB05}', '\u{FB06}'];

/// `set`, and the characters that Go's `unicode.SimpleFold` reaches from it.
pub(super) fn folded(set: &ClassUnicode) -> ClassUnicode {
    // The tables in `regex-syntax` are newer than Go's. A character that Go does not know folds to nothing.
    let mut known = set.clone();
    if !set.is_ascii() {
        known.intersect(tables::assigned_in_15_0());
    }
    let mut reached = folded_by_newer_tables(known);
    if !reached.is_ascii() {
        reached.intersect(tables::assigned_in_15_0());
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
