//! Reads named texts into a type of the user. No error ever quotes a text, whatever the type says about it.

use std::fmt;

use serde_core::{
    Deserialize, Deserializer,
    de::{
        DeserializeSeed, Error as _, Expected, MapAccess, Unexpected, Visitor,
        value::BorrowedStrDeserializer,
    },
    forward_to_deserialize_any,
};

/// Why a secret does not fit a type. It names the field, and never a value.
///
/// # Examples
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// #[derive(Debug, serde::Deserialize)]
/// struct Port {
///     port: u16,
/// }
///
/// let fake = spike_sdk::fake::Fake::new();
/// fake.put("db", [("port", "not a number")]);
/// let secret = fake.client().get("db").await.unwrap();
/// let error = secret.deserialize::<Port>().unwrap_err();
/// assert_eq!(error.field(), Some("port"));
/// assert_eq!(error.to_string(), "the value of port does not fit: expected u16");
/// # })
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeserializeError {
    field: Option<String>,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    /// The value is not of the type.
    Value(Option<String>),
    Missing,
    Unknown,
}

impl DeserializeError {
    const fn of(what: What) -> Self {
        Self { field: None, what }
    }

    /// The name of the value at fault, if there is one.
    ///
    /// # Examples
    /// See [`DeserializeError`].
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    fn at(mut self, field: &str) -> Self {
        self.field.get_or_insert_with(|| field.to_owned());
        self
    }
}

impl fmt::Display for DeserializeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = self.field.as_deref().unwrap_or("the secret");
        match &self.what {
            What::Value(Some(expected)) => {
                write!(f, "the value of {field} does not fit: expected {expected}")
            }
            What::Value(None) => write!(f, "the value of {field} does not fit"),
            What::Missing => write!(f, "there is no value named {field}"),
            What::Unknown => write!(f, "a value named {field} is not expected"),
        }
    }
}

impl std::error::Error for DeserializeError {}

/// The messages of `serde` quote what was found. Nothing of that is kept.
impl serde_core::de::Error for DeserializeError {
    fn custom<T: fmt::Display>(_may_quote_the_value: T) -> Self {
        Self::of(What::Value(None))
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::of(What::Value(Some(expected.to_string())))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::of(What::Value(Some(expected.to_string())))
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> Self {
        Self::of(What::Value(Some(expected.to_string())))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::of(What::Value(Some(format!("one of {}", expected.join(", ")))))
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Self::of(What::Unknown).at(field)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::of(What::Missing).at(field)
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::of(What::Value(None)).at(field)
    }
}

/// Reads a type from texts with names.
pub(super) fn from_texts<'de, T: Deserialize<'de>>(
    texts: impl Iterator<Item = (&'de str, &'de str)>,
) -> Result<T, DeserializeError> {
    T::deserialize(Whole(Texts { texts, next: None }))
}

/// A secret: it has named fields, and is nothing else.
struct Whole<'de, I>(Texts<'de, I>);

impl<'de, I: Iterator<Item = (&'de str, &'de str)>> Deserializer<'de> for Whole<'de, I> {
    type Error = DeserializeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_map(self.0)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_some(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// The fields, one after the other.
struct Texts<'de, I> {
    texts: I,
    /// The one whose name was read, and whose text was not.
    next: Option<(&'de str, &'de str)>,
}

impl<'de, I: Iterator<Item = (&'de str, &'de str)>> MapAccess<'de> for Texts<'de, I> {
    type Error = DeserializeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Self::Error> {
        self.next = self.texts.next();
        let Some((name, _)) = self.next else { return Ok(None) };
        seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, Self::Error> {
        let (name, text) = self.next.take().unwrap_or_default();
        seed.deserialize(Text(text)).map_err(|error| error.at(name))
    }
}

/// One value. Numbers and booleans are read as Rust writes them.
#[derive(Clone, Copy)]
struct Text<'de>(&'de str);

macro_rules! parsed {
    ($( $deserialize:ident $visit:ident )*) => { $(
        fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
            match self.0.parse() {
                Ok(parsed) => visitor.$visit(parsed),
                Err(_) => Err(DeserializeError::invalid_value(Unexpected::Other("text"), &visitor)),
            }
        }
    )* };
}

impl<'de> Deserializer<'de> for Text<'de> {
    type Error = DeserializeError;

    parsed! {
        deserialize_bool visit_bool
        deserialize_i8 visit_i8
        deserialize_i16 visit_i16
        deserialize_i32 visit_i32
        deserialize_i64 visit_i64
        deserialize_i128 visit_i128
        deserialize_u8 visit_u8
        deserialize_u16 visit_u16
        deserialize_u32 visit_u32
        deserialize_u64 visit_u64
        deserialize_u128 visit_u128
        deserialize_f32 visit_f32
        deserialize_f64 visit_f64
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_enum(BorrowedStrDeserializer::new(self.0))
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
        ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use spike_wire::SecretText;

    use crate::Secret;

    fn secret(values: &[(&str, &str)]) -> Secret {
        let values =
            values.iter().map(|(name, value)| ((*name).to_owned(), SecretText::from(*value)));
        Secret::new(values.collect(), None)
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Mode {
        Read,
        Write,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Name(String);

    #[derive(Debug, Deserialize, PartialEq)]
    struct Database<'v> {
        user: Name,
        pass: &'v str,
        port: u16,
        ratio: f64,
        tls: bool,
        mode: Mode,
        note: Option<String>,
        #[serde(default)]
        retries: u8,
    }

    const GOOD: [(&str, &str); 6] = [
        ("mode", "write"),
        ("pass", "hunter2"),
        ("port", "5432"),
        ("ratio", "0.5"),
        ("tls", "true"),
        ("user", "acme"),
    ];

    #[test]
    fn texts_become_the_fields_of_a_type_and_may_be_borrowed() {
        let secret = secret(&GOOD);
        let expected = Database {
            user: Name("acme".to_owned()),
            pass: "hunter2",
            port: 5432,
            ratio: 0.5,
            tls: true,
            mode: Mode::Write,
            note: None,
            retries: 0,
        };
        assert_eq!(secret.deserialize::<Database<'_>>(), Ok(expected));
        let all: std::collections::BTreeMap<String, String> = secret.deserialize().unwrap();
        assert_eq!(all.len(), GOOD.len());
    }

    #[test]
    fn no_error_quotes_a_value() {
        #[derive(Debug, Deserialize)]
        struct Address {
            #[expect(dead_code, reason = "only its error is of interest")]
            host: std::net::IpAddr,
        }
        let planted = "hunter2-planted";
        for field in ["port", "ratio", "tls", "mode"] {
            let mut values = GOOD;
            values.iter_mut().find(|(name, _)| *name == field).unwrap().1 = planted;
            let error = secret(&values).deserialize::<Database<'_>>().unwrap_err();
            let told = format!("{error} {error:?}");
            assert!(!told.contains(planted), "{told}");
            assert_eq!(error.field(), Some(field), "{told}");
        }
        // The type of the field writes its own message.
        let error = secret(&[("host", planted)]).deserialize::<Address>().unwrap_err();
        let told = format!("{error} {error:?}");
        assert!(!told.contains(planted) && told.contains("host"), "{told}");
    }

    #[test]
    fn a_missing_and_an_unexpected_field_are_named() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct User {
            #[expect(dead_code, reason = "only its error is of interest")]
            user: String,
        }
        let missing = secret(&[]).deserialize::<User>().unwrap_err();
        assert_eq!(missing.to_string(), "there is no value named user");
        let unknown = secret(&[("user", "u"), ("pass", "p")]).deserialize::<User>().unwrap_err();
        assert_eq!(unknown.to_string(), "a value named pass is not expected");
        let whole = secret(&[("user", "u")]).deserialize::<String>().unwrap_err();
        assert_eq!(whole.to_string(), "the value of the secret does not fit: expected a string");
    }
}
