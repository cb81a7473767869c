//! The path of a secret (wire-api 6.1).

use std::fmt;

use super::{
    RESERVED_PATHS,
    rules::{self, Fault},
};

/// A valid secret path: 1 to 500 bytes of letters, digits and `._-/()?+*|[]{}\`.
///
/// Nothing is normalized: leading, trailing and double slashes, `.` and `..` are ordinary characters, and case matters
/// (K13).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretPath(String);

/// Why a text is not a secret path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// There is no path.
    #[error("the path is empty")]
    Empty,
    /// More bytes than [`SecretPath::MAX_LEN`].
    #[error("the path has {bytes} bytes, {} are allowed", SecretPath::MAX_LEN)]
    TooLong {
        /// The length given.
        bytes: usize,
    },
    /// A character outside the allowed set.
    #[error("the path has a character that is not allowed, at byte {at}")]
    Character {
        /// Its offset in bytes, from 0.
        at: usize,
    },
    /// A reserved path, which no secret may have (Q-44).
    #[error("the path is reserved for the system")]
    Reserved,
}

impl SecretPath {
    /// The longest path, in bytes.
    pub const MAX_LEN: usize = rules::MAX_PATH_BYTES;

    /// A path to read, list, delete or undelete. A secret imported from upstream may have one of the
    /// [`RESERVED_PATHS`].
    ///
    /// # Errors
    /// [`PathError`] names the broken rule; never [`PathError::Reserved`].
    pub fn parse(text: impl Into<String>) -> Result<Self, PathError> {
        let text = text.into();
        match rules::check_secret_path(&text) {
            Ok(()) => Ok(Self(text)),
            Err(Fault::Empty) => Err(PathError::Empty),
            Err(Fault::TooLong { length, .. }) => Err(PathError::TooLong { bytes: length }),
            Err(Fault::Character { offset, .. }) => Err(PathError::Character { at: offset }),
        }
    }

    /// A path to put: the [`RESERVED_PATHS`] are refused (Q-44).
    ///
    /// # Errors
    /// [`PathError`] names the broken rule.
    pub fn parse_for_put(text: impl Into<String>) -> Result<Self, PathError> {
        let path = Self::parse(text)?;
        if RESERVED_PATHS.contains(&path.as_str()) { Err(PathError::Reserved) } else { Ok(path) }
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_and_odd_paths_are_accepted_unchanged() {
        let longest = "a".repeat(SecretPath::MAX_LEN);
        for text in [
            "a",
            "tenants/acme/db",
            "/lead",
            "trail/",
            "a//b",
            ".",
            "..",
            "a/../b",
            "A",
            "a_b-c.d",
            r"(x)?+*|[y]{2}\d",
            &longest,
        ] {
            assert_eq!(SecretPath::parse(text).unwrap().as_str(), text);
            assert_eq!(SecretPath::parse_for_put(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn refusals_name_the_rule_that_was_broken() {
        let too_long = "a".repeat(501);
        for (text, error) in [
            ("", PathError::Empty),
            (too_long.as_str(), PathError::TooLong { bytes: 501 }),
            ("^a", PathError::Character { at: 0 }),
            ("a$", PathError::Character { at: 1 }),
            ("a b", PathError::Character { at: 1 }),
            ("a:b", PathError::Character { at: 1 }),
            ("a@b", PathError::Character { at: 1 }),
            ("a%2f", PathError::Character { at: 1 }),
            ("a,b", PathError::Character { at: 1 }),
            ("caf\u{e9}", PathError::Character { at: 3 }),
            ("a\n", PathError::Character { at: 1 }),
            ("a\0", PathError::Character { at: 1 }),
        ] {
            assert_eq!(SecretPath::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn a_length_counts_bytes_before_characters() {
        let text = "\u{e9}".repeat(300);
        assert_eq!(SecretPath::parse(text), Err(PathError::TooLong { bytes: 600 }));
    }

    #[test]
    fn reserved_names_are_refused_for_put_only() {
        for name in RESERVED_PATHS {
            assert_eq!(SecretPath::parse_for_put(name), Err(PathError::Reserved));
            assert_eq!(SecretPath::parse(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn names_that_only_resemble_reserved_ones_are_ordinary() {
        for name in
            ["spike/system/other", "spike/system/acl/", "/spike/system/acl", "Spike/system/acl"]
        {
            assert!(SecretPath::parse_for_put(name).is_ok(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered_as_the_expression_of_upstream_does(text in r"[ -~\n\u{e9}]{0,12}") {
            let upstream = regex::Regex::new(r"\A[a-zA-Z0-9._\-/()?+*|\[\]{}\\]+\z").unwrap();
            prop_assert_eq!(SecretPath::parse(text.as_str()).is_ok(), upstream.is_match(&text));
        }
    }
}
