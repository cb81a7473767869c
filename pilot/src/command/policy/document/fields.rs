//! The fields of one document: which exist, and that no two contradict each other.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_saphyr::Spanned;
use spike_wire::{Policy, PolicyPutRequest, parse_timestamp};
use time::OffsetDateTime;

use super::FileError;
use crate::command::policy::changes::in_order;

/// The longest name of a field that a message shows.
const LONGEST_NAME: usize = 64;

/// The fields of a document, and the first thing that is wrong with them.
#[derive(Debug, Default)]
pub(super) struct Document {
    id: Field<String>,
    name: Field<String>,
    spiffeid_pattern: Field<String>,
    path_pattern: Field<String>,
    permissions: Field<Permissions>,
    created: Field<String>,
    updated: Field<String>,
    wrong: Option<FileError>,
}

/// The times of a document, as written there. Only Nexus sets them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::command::policy) struct Times {
    /// `createdAt`.
    pub(in crate::command::policy) created: Option<String>,
    /// `updatedAt`.
    pub(in crate::command::policy) updated: Option<String>,
}

/// The permissions of a policy, which are a set: two lists in another order are the same.
#[derive(Debug, Deserialize)]
struct Permissions(Vec<String>);

impl PartialEq for Permissions {
    fn eq(&self, other: &Self) -> bool {
        in_order(&self.0) == in_order(&other.0)
    }
}

/// A field that was read: its value, and its name and line in the file.
#[derive(Debug)]
struct Field<T>(Option<(Option<T>, Place)>);

impl<T> Default for Field<T> {
    fn default() -> Self {
        Self(None)
    }
}

/// The line of a field, and its spelling there.
#[derive(Clone, Debug)]
struct Place {
    spelling: String,
    line: u64,
}

impl Times {
    /// Whether the stored policy has, or once had, these times. A file that was printed before the last change has an
    /// earlier `updatedAt`.
    pub(in crate::command::policy) fn are_of(&self, stored: &Policy) -> bool {
        let is = |text: &Option<String>, is_right: &dyn Fn(OffsetDateTime) -> bool| {
            text.as_deref().is_none_or(|text| parse_timestamp(text).is_some_and(is_right))
        };
        is(&self.created, &|time| time == stored.created_at)
            && is(&self.updated, &|time| (stored.created_at..=stored.updated_at).contains(&time))
    }
}

impl Document {
    /// The policy, with its four fields.
    pub(super) fn request(self) -> Result<PolicyPutRequest, FileError> {
        if let Some(wrong) = self.wrong {
            return Err(wrong);
        }
        self.check_id()?;
        let missing = |field: &str| FileError {
            problem: format!("{field} is missing or empty"),
            hint: Some(
                "a policy has name, spiffeidPattern, pathPattern and permissions".to_owned(),
            ),
        };
        let text = |field: &str, value: Field<String>| {
            value.get().filter(|value| !value.is_empty()).ok_or_else(|| missing(field))
        };
        Ok(PolicyPutRequest {
            name: text("name", self.name)?,
            spiffeid_pattern: text("spiffeidPattern", self.spiffeid_pattern)?,
            path_pattern: text("pathPattern", self.path_pattern)?,
            permissions: self
                .permissions
                .get()
                .map(|Permissions(words)| words)
                .filter(|permissions| !permissions.is_empty())
                .ok_or_else(|| missing("permissions"))?,
            create_only: false,
        })
    }

    /// The times that `policy get` prints.
    pub(super) fn times(&self) -> Times {
        Times { created: self.created.value().cloned(), updated: self.updated.value().cloned() }
    }

    /// `policy get` prints the name twice, and upstream's prints an empty `id`.
    fn check_id(&self) -> Result<(), FileError> {
        let (Field(Some((Some(id), place))), Field(Some((Some(name), other)))) =
            (&self.id, &self.name)
        else {
            return Ok(());
        };
        if id.is_empty() || id == name {
            return Ok(());
        }
        Err(contradiction(place, other))
    }

    /// Takes one field of the file.
    fn take<'de, A: MapAccess<'de>>(
        &mut self,
        key: Spanned<String>,
        map: &mut A,
    ) -> Result<(), A::Error> {
        let place = Place { line: key.referenced.line(), spelling: key.value };
        let wrong = match place.spelling.to_ascii_lowercase().as_str() {
            "id" => self.id.take(place, map.next_value()?),
            "name" => self.name.take(place, map.next_value()?),
            // Upstream's JSON has the second spelling.
            "spiffeidpattern" | "spiffiedpattern" => {
                self.spiffeid_pattern.take(place, map.next_value()?)
            }
            "pathpattern" => self.path_pattern.take(place, map.next_value()?),
            "permissions" => self.permissions.take(place, map.next_value()?),
            "createdat" => self.created.take(place, time(map)?),
            "updatedat" => self.updated.take(place, time(map)?),
            // Upstream's `policy get` prints these, always empty.
            "idregex" | "pathregex" => match map.next_value::<Option<IgnoredAny>>()? {
                None => Ok(()),
                Some(_) => Err(compiled(&place)),
            },
            _ => {
                map.next_value::<IgnoredAny>()?;
                Err(unknown(&place))
            }
        };
        if let Err(wrong) = wrong {
            self.wrong.get_or_insert(wrong);
        }
        Ok(())
    }
}

/// A time as it is written, or any other value as text.
fn time<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<String>, A::Error> {
    Ok(match map.next_value()? {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text),
        other => Some(other.to_string()),
    })
}

impl<T: PartialEq> Field<T> {
    fn take(&mut self, place: Place, value: Option<T>) -> Result<(), FileError> {
        if let Some((known, other)) = &self.0
            && *known != value
        {
            return Err(contradiction(&place, other));
        }
        self.0.get_or_insert((value, place));
        Ok(())
    }

    fn value(&self) -> Option<&T> {
        self.0.as_ref().and_then(|(value, _)| value.as_ref())
    }

    fn get(self) -> Option<T> {
        self.0.and_then(|(value, _)| value)
    }
}

fn contradiction(place: &Place, other: &Place) -> FileError {
    let (here, there) = (shown(&place.spelling), shown(&other.spelling));
    FileError {
        problem: format!(
            "line {}: {here} says something else than {there} in line {}",
            place.line, other.line
        ),
        hint: Some("these are one field: keep the one that is meant".to_owned()),
    }
}

/// A value for a field that is never read. The author probably meant the pattern.
fn compiled(place: &Place) -> FileError {
    FileError {
        problem: format!(
            "line {}: {} is not read, and has a value",
            place.line,
            shown(&place.spelling)
        ),
        hint: Some(
            "the patterns of a policy are spiffeidPattern and pathPattern: write it there, and leave this line out"
                .to_owned(),
        ),
    }
}

fn unknown(place: &Place) -> FileError {
    FileError {
        problem: format!("line {}: a policy has no field {}", place.line, shown(&place.spelling)),
        hint: Some(
            "it has name, spiffeidPattern, pathPattern and permissions; it allows what these say, and denies nothing"
                .to_owned(),
        ),
    }
}

/// A name for a message. Text that does not look like a name may be a value, so it is not shown.
fn shown(spelling: &str) -> String {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if spelling.len() <= LONGEST_NAME && spelling.bytes().all(is_name) {
        format!("{spelling:?}")
    } else {
        "of that name".to_owned()
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(DocumentVisitor)
    }
}

struct DocumentVisitor;

impl<'de> Visitor<'de> for DocumentVisitor {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a policy")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
        let mut document = Document::default();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            document.take(key, &mut map)?;
        }
        Ok(document)
    }
}
