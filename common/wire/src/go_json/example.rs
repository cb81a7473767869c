//! An example of each type of a field, for tests and fuzz targets. No example is what a missing field reads as.

use std::collections::BTreeMap;

use time::{Duration, OffsetDateTime};

use super::super::shard::{SHARD_LEN, Shard};
use super::Object;
use super::named::SecretValues;
use super::values::{SecretBytes, SecretText};

/// A type that a field can have.
pub(crate) trait Example {
    /// A value that a body has to tell.
    fn example() -> Self;
}

impl<T: Object> Example for T {
    fn example() -> Self {
        Self::example_fields()
    }
}

macro_rules! examples {
    ($($type:ty = $example:expr;)*) => { $(
        impl Example for $type {
            fn example() -> Self {
                $example
            }
        }
    )* };
}

examples! {
    bool = true;
    i64 = 7;
    u8 = 7;
    u16 = 7;
    u32 = 7;
    u64 = u64::MAX;
    usize = 7;
    String = r#"^"text"\u{e9}$"#.to_owned();
    Vec<u8> = b"bytes".to_vec();
    SecretBytes = Self::from(b"bytes".as_slice());
    SecretValues = Self::from_iter([(String::example(), SecretText::from("value"))]);
    Shard = Self::new(&[7; SHARD_LEN]);
    OffsetDateTime = Self::UNIX_EPOCH + Duration::milliseconds(1_767_225_600_500);
}

impl<T: Example> Example for Option<T> {
    fn example() -> Self {
        Some(T::example())
    }
}

impl<T: Example + super::field::Element> Example for Vec<T> {
    fn example() -> Self {
        vec![T::example(), T::example()]
    }
}

impl<T: Example> Example for BTreeMap<i64, T> {
    fn example() -> Self {
        Self::from([(1, T::example()), (2, T::example())])
    }
}
