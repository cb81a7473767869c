//! Fields: how Go decodes and encodes a struct field of each type.
//!
//! [`Field`] depends on the type alone. An [`Adapter`] is for a field whose JSON differs from that of its type: a key
//! that may be omitted, or one that is written twice. Bytes and secrets are in `confidential`.

use std::collections::BTreeMap;
use std::str::FromStr;

use time::OffsetDateTime;

use super::super::timestamp::{ZERO_TIME, format_timestamp, parse_timestamp};
use super::{JsonError, Key, Reader, Writer};

/// A type that a field can have.
pub(crate) trait Field: Sized {
    /// The value of a field that the body omits.
    fn zero() -> Self;

    /// Reads one value into the field. `null` does not change it, unless the type says otherwise.
    fn read(&mut self, from: &mut Reader<'_>) -> Result<(), JsonError>;

    /// Writes the value.
    fn write(&self, out: &mut Writer);
}

/// A struct whose fields are those of a JSON object. `bodies!` implements it.
pub(crate) trait Object: Default {
    /// The key of each field.
    #[cfg(any(test, feature = "fuzzing"))]
    const KEYS: &'static [&'static str];

    /// Reads the field with this key, or skips the value of an unknown key.
    fn read_field(&mut self, key: &Key<'_>, value: &mut Reader<'_>) -> Result<(), JsonError>;

    /// Writes every field.
    fn write_fields(&self, out: &mut Writer);

    /// Whether each field of `again` equals the one of `self` after it was sent.
    #[cfg(any(test, feature = "fuzzing"))]
    fn same_fields(&self, again: &Self) -> bool;

    /// A body whose every field is an example.
    #[cfg(any(test, feature = "fuzzing"))]
    fn example_fields() -> Self;
}

/// How a field is read and written if its type does not say it all.
pub(crate) trait Adapter<T: Field> {
    /// Whether `key` is the key of the field `name`.
    fn is(key: &Key<'_>, name: &str) -> bool {
        key.is(name)
    }

    /// Reads one value into the field.
    fn read(into: &mut T, from: &mut Reader<'_>) -> Result<(), JsonError> {
        into.read(from)
    }

    /// Writes key and value.
    fn write(value: &T, name: &str, out: &mut Writer);
}

/// As the type says.
pub(crate) struct Plain;

impl<T: Field> Adapter<T> for Plain {
    fn write(value: &T, name: &str, out: &mut Writer) {
        value.write(out.name(name));
    }
}

/// The field is omitted if it has its zero value: Go's `omitempty`.
pub(crate) struct OmitZero;

impl<T: Field + PartialEq> Adapter<T> for OmitZero {
    fn write(value: &T, name: &str, out: &mut Writer) {
        if *value != T::zero() {
            value.write(out.name(name));
        }
    }
}

/// A list of up to `MOST` elements. A longer one makes the body malformed.
pub(crate) struct AtMost<const MOST: usize>;

impl<T: Element, const MOST: usize> Adapter<Vec<T>> for AtMost<MOST> {
    fn read(into: &mut Vec<T>, from: &mut Reader<'_>) -> Result<(), JsonError> {
        read_list(into, from, MOST)
    }

    fn write(list: &Vec<T>, name: &str, out: &mut Writer) {
        Plain::write(list, name, out);
    }
}

impl<T: Object> Field for T {
    fn zero() -> Self {
        Self::default()
    }

    fn read(&mut self, from: &mut Reader<'_>) -> Result<(), JsonError> {
        from.object(|key, value| self.read_field(key, value)).map(drop)
    }

    fn write(&self, out: &mut Writer) {
        out.object(|out| self.write_fields(out));
    }
}

impl Field for String {
    fn zero() -> Self {
        Self::new()
    }

    fn read(&mut self, from: &mut Reader<'_>) -> Result<(), JsonError> {
        if !from.null()? {
            *self = from.string()?.decode().into_owned();
        }
        Ok(())
    }

    fn write(&self, out: &mut Writer) {
        out.text(self);
    }
}

impl Field for bool {
    fn zero() -> Self {
        false
    }

    fn read(&mut self, from: &mut Reader<'_>) -> Result<(), JsonError> {
        match from.peek() {
            Some(b'n') => return from.literal(b"null"),
            Some(b't') => from.literal(b"true")?,
            Some(b'f') => {
                from.literal(b"false")?;
                *self = false;
                return Ok(());
            }
            _ => return Err(from.error("expected true or false")),
        }
        *self = true;
        Ok(())
    }

    fn write(&self, out: &mut Writer) {
        out.put(if *self { b"true" } else { b"false" });
    }
}

impl Field for i64 {
    fn zero() -> Self {
        0
    }

    fn read(&mut self, from: &mut Reader<'_>) -> Result<(), JsonError> {
        read_integer(self, from)
    }

    fn write(&self, out: &mut Writer) {
        out.integer(*self);
    }
}

macro_rules! unsigned {
    ($($type:ty)*) => { $(
        impl Field for $type {
            fn zero() -> Self {
                0
            }

            fn read(&mut self, from: &mut Reader<'_>) -> Result<(), JsonError> {
                read_integer(self, from)
            }

            fn write(&self, out: &mut Writer) {
                out.unsigned(*self);
            }
        }
    )* };
}

unsigned! { u8 u16 u32 u64 usize }

/// Reads an integer in range, without fraction or exponent. `-0` is valid for signed types only, in Go and in Rust.
fn read_integer<T: FromStr>(into: &mut T, from: &mut Reader<'_>) -> Result<(), JsonError> {
    if !from.null()? {
        let number = std::str::from_utf8(from.number()?).ok();
        let number = number.and_then(|digits| digits.parse().ok());
        *into = number.ok_or_else(|| from.error("expected an integer in range"))?;
    }
    Ok(())
}

/// An RFC 3339 time.
impl Field for OffsetDateTime {
    fn zero() -> Self {
        ZERO_TIME
    }

    fn read(&mut self, from: &mut Reader<'_>) -> Result<(), JsonError> {
        if !from.null()? {
            let text = from.string()?.decode();
            *self =
                parse_timestamp(&text).ok_or_else(|| from.error("expected an RFC 3339 time"))?;
        }
        Ok(())
    }

    fn write(&self, out: &mut Writer) {
        out.text(&format_timestamp(*self));
    }
}

/// A pointer, or a map that may be missing: `null` is `None`, in both directions.
impl<T: Field> Field for Option<T> {
    fn zero() -> Self {
        None
    }

    fn read(&mut self, from: &mut Reader<'_>) -> Result<(), JsonError> {
        if from.null()? {
            *self = None;
            return Ok(());
        }
        self.get_or_insert_with(T::zero).read(from)
    }

    fn write(&self, out: &mut Writer) {
        match self {
            Some(value) => value.write(out),
            None => out.null(),
        }
    }
}

/// Types of list elements. Bytes are not: Go writes those as base64.
pub(crate) trait Element: Field {}

impl Element for String {}
impl Element for i64 {}
impl<T: Object> Element for T {}

/// A list: `null` empties it, a `null` element is zero.
impl<T: Element> Field for Vec<T> {
    fn zero() -> Self {
        Self::new()
    }

    fn read(&mut self, from: &mut Reader<'_>) -> Result<(), JsonError> {
        read_list(self, from, usize::MAX)
    }

    fn write(&self, out: &mut Writer) {
        out.array(|out| self.iter().for_each(|element| element.write(out.element())));
    }
}

fn read_list<T: Element>(
    list: &mut Vec<T>,
    from: &mut Reader<'_>,
    most: usize,
) -> Result<(), JsonError> {
    list.clear();
    from.array(|from| {
        if list.len() == most {
            return Err(from.error("too many elements"));
        }
        let mut element = T::zero();
        element.read(from)?;
        list.push(element);
        Ok(())
    })
    .map(drop)
}

/// A map with integer keys: `null` empties it, each value starts at zero. Go sorts the keys as text.
impl<T: Field> Field for BTreeMap<i64, T> {
    fn zero() -> Self {
        Self::new()
    }

    fn read(&mut self, from: &mut Reader<'_>) -> Result<(), JsonError> {
        let present = from.object(|key, from| {
            let key = key.integer().ok_or_else(|| from.error("expected an integer as key"))?;
            let mut value = T::zero();
            value.read(from)?;
            self.insert(key, value);
            Ok(())
        })?;
        if !present {
            self.clear();
        }
        Ok(())
    }

    fn write(&self, out: &mut Writer) {
        let mut pairs: Vec<_> = self.iter().map(|(key, value)| (key.to_string(), value)).collect();
        pairs.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
        out.object(|out| pairs.iter().for_each(|(key, value)| value.write(out.name(key))));
    }
}

impl Reader<'_> {
    /// Reads one of the `known` words.
    pub(crate) fn word<T: Copy>(
        &mut self,
        known: &[(&str, T)],
        into: &mut T,
    ) -> Result<(), JsonError> {
        if !self.null()? {
            let text = self.string()?.decode();
            let found = known.iter().find(|(word, _)| *word == text);
            *into = found.ok_or_else(|| self.error("expected a word that is known here"))?.1;
        }
        Ok(())
    }
}
