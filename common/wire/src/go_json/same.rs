//! Whether a value was sent unchanged, for tests and fuzz targets. Types of secrets have no other comparison.

use std::collections::BTreeMap;

use time::{OffsetDateTime, UtcOffset};

use super::super::shard::Shard;
use super::super::timestamp::ZERO_TIME;
use super::Object;
use super::named::{SecretStr, SecretValues};
use super::values::SecretBytes;

/// A value of a field.
pub(crate) trait Same {
    /// Whether `again` equals `self` after it was sent.
    fn same(&self, again: &Self) -> bool;
}

impl<T: Object> Same for T {
    fn same(&self, again: &Self) -> bool {
        self.same_fields(again)
    }
}

macro_rules! equal {
    ($($type:ty)*) => { $(
        impl Same for $type {
            fn same(&self, again: &Self) -> bool {
                self == again
            }
        }
    )* };
}

equal! { bool i64 u8 u16 u32 u64 usize String }

/// A time is sent in UTC. Its year may then be one that RFC 3339 cannot express.
impl Same for OffsetDateTime {
    fn same(&self, again: &Self) -> bool {
        let utc = self.checked_to_offset(UtcOffset::UTC);
        utc.filter(|utc| (0..=9999).contains(&utc.year())).unwrap_or(ZERO_TIME) == *again
    }
}

impl<T: Same> Same for Option<T> {
    fn same(&self, again: &Self) -> bool {
        match (self, again) {
            (Some(left), Some(right)) => left.same(right),
            (left, right) => left.is_none() && right.is_none(),
        }
    }
}

impl<T: Same> Same for Vec<T> {
    fn same(&self, again: &Self) -> bool {
        self.len() == again.len() && self.iter().zip(again).all(|(left, right)| left.same(right))
    }
}

impl<T: Same> Same for BTreeMap<i64, T> {
    fn same(&self, again: &Self) -> bool {
        self.keys().eq(again.keys())
            && self.values().zip(again.values()).all(|(left, right)| left.same(right))
    }
}

impl Same for SecretBytes {
    fn same(&self, again: &Self) -> bool {
        self.expose_secret() == again.expose_secret()
    }
}

impl Same for SecretValues {
    fn same(&self, again: &Self) -> bool {
        let pairs = |values: &Self| -> Vec<(String, String)> {
            let pair = |(name, value): (&str, SecretStr<'_>)| {
                (name.to_owned(), value.expose_secret().to_owned())
            };
            values.iter().map(pair).collect()
        };
        pairs(self) == pairs(again)
    }
}

/// A short share is padded and a long one cut, so that a sent share is always whole.
impl Same for Shard {
    fn same(&self, again: &Self) -> bool {
        self.expose_secret() == again.expose_secret() && again.is_whole()
    }
}
