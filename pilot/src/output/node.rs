//! The data of one answer as a tree of borrowed values, from which both JSON and YAML are written.

use std::borrow::Cow;

use serde::{Serialize, Serializer};
use spike_wire::format_timestamp;
use time::OffsetDateTime;

/// One value. It may hold a borrowed secret, so it has no `Debug`.
pub(crate) enum Node<'a> {
    Null,
    Boolean(bool),
    Integer(i64),
    /// Text. The format quotes it if necessary.
    Text(&'a str),
    /// A time, in RFC 3339 as Go writes it.
    Time(OffsetDateTime),
    List(Vec<Self>),
    /// Names and values, in the order in which they are written.
    Map(Vec<(Name<'a>, Self)>),
}

/// The name of a field.
pub(crate) enum Name<'a> {
    Text(Cow<'a, str>),
    /// A number, which YAML writes without quotes and JSON with them.
    Number(i64),
}

impl<'a> Node<'a> {
    /// A map with fixed names.
    pub(crate) fn map<const N: usize>(fields: [(&'static str, Self); N]) -> Self {
        Self::Map(
            fields
                .into_iter()
                .map(|(name, value)| (Name::Text(Cow::Borrowed(name)), value))
                .collect(),
        )
    }

    /// A list of texts.
    pub(crate) fn texts(texts: &'a [String]) -> Self {
        Self::List(texts.iter().map(|text| Self::Text(text)).collect())
    }

    /// A count.
    pub(crate) fn count(count: usize) -> Self {
        Self::Integer(i64::try_from(count).unwrap_or(i64::MAX))
    }

    /// The text, or null.
    pub(crate) fn optional(text: Option<&'a str>) -> Self {
        text.map_or(Self::Null, Self::Text)
    }

    /// The same tree with names in lower case, as upstream's YAML has them, unlike its JSON.
    pub(crate) fn lower_case(self) -> Self {
        match self {
            Self::Map(fields) => Self::Map(
                fields
                    .into_iter()
                    .map(|(name, value)| (name.lower_case(), value.lower_case()))
                    .collect(),
            ),
            Self::List(nodes) => Self::List(nodes.into_iter().map(Self::lower_case).collect()),
            Self::Null | Self::Boolean(_) | Self::Integer(_) | Self::Text(_) | Self::Time(_) => {
                self
            }
        }
    }
}

impl<'a> From<&'a str> for Name<'a> {
    fn from(name: &'a str) -> Self {
        Self::Text(Cow::Borrowed(name))
    }
}

impl Name<'_> {
    fn lower_case(self) -> Self {
        match self {
            Self::Text(name) => Self::Text(name.to_lowercase().into()),
            Self::Number(_) => self,
        }
    }
}

impl Serialize for Node<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Boolean(boolean) => serializer.serialize_bool(*boolean),
            Self::Integer(number) => serializer.serialize_i64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Time(time) => serializer.serialize_str(&format_timestamp(*time)),
            Self::List(nodes) => serializer.collect_seq(nodes),
            Self::Map(fields) => {
                serializer.collect_map(fields.iter().map(|(name, node)| (name, node)))
            }
        }
    }
}

impl Serialize for Name<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(name) => serializer.serialize_str(name),
            Self::Number(number) => serializer.serialize_i64(*number),
        }
    }
}
