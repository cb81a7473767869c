//! The tables of `regex-syntax`, reduced to Unicode 15.0 as in Go 1.26.

use std::sync::LazyLock;

use regex_syntax::hir::{Class, ClassUnicode, HirKind, Literal};

use super::set;

/// The characters assigned in Unicode 15.0, and its noncharacters.
pub(super) fn assigned_in_15_0() -> &'static ClassUnicode {
    static ASSIGNED: LazyLock<ClassUnicode> =
        LazyLock::new(|| table("age=15.0").unwrap_or_else(set::empty));
    &ASSIGNED
}

/// A property in the tables of `regex-syntax`.
pub(super) fn table(property: &str) -> Option<ClassUnicode> {
    match regex_syntax::parse(&format!(r"\p{{{property}}}")).ok()?.into_kind() {
        HirKind::Class(Class::Unicode(class)) => Some(class),
        // A property of a single character.
        HirKind::Literal(Literal(bytes)) => {
            let c = std::str::from_utf8(&bytes).ok()?.chars().next()?;
            Some(set::range(c.into(), c.into()))
        }
        _ => None,
    }
}
