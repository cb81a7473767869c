//! The list of versions of `secret delete` and `secret undelete`.

use std::str::FromStr;

/// Versions of a secret; at least one. 0 is the current version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Versions(pub(crate) Vec<i64>);

/// Why a text is not a list of versions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum VersionsError {
    /// An empty item, or an empty list. Upstream drops empty items, and takes an empty list for the current version.
    #[error("an item of the list is empty (a stray comma?)")]
    Empty,
    /// Not a number, negative, or too large.
    #[error("{0:?} is not a version: expected numbers from 0 up, such as 1,2")]
    NotAVersion(String),
}

impl FromStr for Versions {
    type Err = VersionsError;

    fn from_str(list: &str) -> Result<Self, Self::Err> {
        list.split(',')
            .map(|item| match item.trim() {
                "" => Err(VersionsError::Empty),
                item => item
                    .parse()
                    .ok()
                    .filter(|version| *version >= 0)
                    .ok_or_else(|| VersionsError::NotAVersion(item.to_owned())),
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_trimmed_once_and_none_is_dropped() {
        // cli-config-deploy 10.2 no. 2: upstream's " 1" deletes the current version.
        for (list, versions) in
            [("0", vec![0]), (" 1", vec![1]), ("1, 2 ,3", vec![1, 2, 3]), ("2,2", vec![2, 2])]
        {
            assert_eq!(list.parse(), Ok(Versions(versions)), "{list:?}");
        }
    }

    #[test]
    fn what_is_no_version_is_refused_and_named() {
        for (list, error) in [
            ("", VersionsError::Empty),
            (" ", VersionsError::Empty),
            ("1,", VersionsError::Empty),
            ("1,,2", VersionsError::Empty),
            ("-1", VersionsError::NotAVersion("-1".to_owned())),
            ("1,x", VersionsError::NotAVersion("x".to_owned())),
            ("1 2", VersionsError::NotAVersion("1 2".to_owned())),
            ("99999999999999999999", VersionsError::NotAVersion("99999999999999999999".to_owned())),
        ] {
            assert_eq!(list.parse::<Versions>(), Err(error), "{list:?}");
        }
    }
}
