//! What a policy may allow.

use std::fmt;

/// One permission, named as on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Permission {
    /// Read secrets and their metadata.
    Read,
    /// Put, delete and undelete secrets.
    Write,
    /// List paths.
    List,
    /// Encrypt and decrypt.
    Execute,
    /// Everything.
    Super,
}

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 5] = [Self::Read, Self::Write, Self::List, Self::Execute, Self::Super];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::List => "list",
            Self::Execute => "execute",
            Self::Super => "super",
        }
    }

    /// The permission whose word is exactly `word`.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|permission| permission.as_str() == word)
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The permissions of one policy, in the order given, with duplicates (wire-api 6.5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions(Vec<Permission>);

impl Permissions {
    /// These permissions, as given.
    pub fn new(given: impl IntoIterator<Item = Permission>) -> Self {
        Self(given.into_iter().collect())
    }

    /// The permissions in the order given.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Permission> + '_ {
        self.0.iter().copied()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether these include `wanted`, or `super`. No other permission implies another (wire-api 5.4).
    pub fn allow(&self, wanted: Permission) -> bool {
        self.bits().allow(wanted)
    }

    /// The set of these permissions.
    pub fn bits(&self) -> PermissionBits {
        PermissionBits(self.0.iter().fold(0, |bits, permission| bits | permission.bit()))
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(given: I) -> Self {
        Self::new(given)
    }
}

impl fmt::Display for Permissions {
    /// The words, joined by commas: the form that upstream stores.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, permission) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            f.write_str(permission.as_str())?;
        }
        Ok(())
    }
}

/// The names of all permissions.
pub const PERMISSIONS: [&str; 5] = [
    Permission::Read.as_str(),
    Permission::Write.as_str(),
    Permission::List.as_str(),
    Permission::Execute.as_str(),
    Permission::Super.as_str(),
];

/// A set of permissions in one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PermissionBits(u8);

impl PermissionBits {
    /// Whether these include `wanted`, or `super`.
    pub const fn allow(self, wanted: Permission) -> bool {
        self.0 & (wanted.bit() | Permission::Super.bit()) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn super_allows_everything_and_nothing_else_implies_anything() {
        for held in Permission::ALL {
            let permissions = Permissions::new([held]);
            for wanted in Permission::ALL {
                let expected = held == wanted || held == Permission::Super;
                assert_eq!(permissions.allow(wanted), expected, "{held} for {wanted}");
            }
        }
    }

    #[test]
    fn words_are_lower_case_and_exact() {
        assert_eq!(Permission::from_word("execute"), Some(Permission::Execute));
        for word in ["Read", "READ", " read", "read ", "", "reads", "all"] {
            assert_eq!(Permission::from_word(word), None, "{word:?}");
        }
    }

    #[test]
    fn duplicates_stay_in_the_order_given() {
        let permissions =
            Permissions::new([Permission::Write, Permission::Read, Permission::Write]);
        assert_eq!(permissions.to_string(), "write,read,write");
    }
}
