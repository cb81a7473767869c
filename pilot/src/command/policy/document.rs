//! The file of `policy apply`: YAML or JSON, one policy or several documents.
//!
//! Names of fields are read without regard to case, and under each spelling that `policy get` prints, so that what one
//! command writes the other reads. Unknown fields are passed over, as upstream does. Messages name lines and fields but
//! quote nothing of the file, which may be a wrong file.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use spike_common::wire::PolicyPutRequest;

use super::rules;
use crate::error::Error;

/// What is wrong with a file, and how to mend it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FileError {
    problem: String,
    hint: Option<String>,
}

impl FileError {
    /// The error of the command.
    pub(super) fn in_file(self, file: &Path) -> Error {
        let problem = format!("Error reading policy file: {}: {}", file.display(), self.problem);
        Error::Usage { problem, hint: self.hint }
    }
}

/// All policies of a file, each of them sound and each name once.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<PolicyPutRequest>, FileError> {
    read_with(bytes, |request| match rules::check(request) {
        Ok(()) => Ok(()),
        Err(Error::Usage { problem, hint }) => Err(FileError { problem, hint }),
        Err(other) => Err(FileError { problem: other.to_string(), hint: None }),
    })
}

/// All policies of a file, whatever they say, and each name once.
pub(super) fn read_unchecked(bytes: &[u8]) -> Result<Vec<PolicyPutRequest>, FileError> {
    read_with(bytes, |_| Ok(()))
}

fn read_with(
    bytes: &[u8],
    check: impl Fn(&PolicyPutRequest) -> Result<(), FileError>,
) -> Result<Vec<PolicyPutRequest>, FileError> {
    let plain = |problem: &str| FileError { problem: problem.to_owned(), hint: None };
    let text = std::str::from_utf8(bytes).map_err(|_cause| plain("it is not UTF-8 text"))?;
    let documents: Vec<Option<Document>> =
        serde_saphyr::from_multiple(text).map_err(|error| unreadable(text, &error))?;
    let documents: Vec<Document> = documents.into_iter().flatten().collect();
    if documents.is_empty() {
        return Err(plain("there is no policy in it"));
    }
    let several = documents.len() > 1;
    let mut seen = HashSet::new();
    let mut requests = Vec::with_capacity(documents.len());
    for (number, document) in (1..).zip(documents) {
        let place = |error: FileError| {
            let problem = format!("policy {number}: {}", error.problem);
            if several { FileError { problem, ..error } } else { error }
        };
        let request = document.request().map_err(place)?;
        check(&request).map_err(place)?;
        if !seen.insert(request.name.clone()) {
            return Err(place(plain("an earlier policy has the same name")));
        }
        requests.push(request);
    }
    Ok(requests)
}

#[derive(Default)]
struct Document {
    name: Option<String>,
    spiffeid_pattern: Option<String>,
    path_pattern: Option<String>,
    permissions: Option<Vec<String>>,
}

impl Document {
    fn request(self) -> Result<PolicyPutRequest, FileError> {
        let missing = |field: &str| FileError {
            problem: format!("{field} is missing or empty"),
            hint: Some(
                "a policy has name, spiffeidPattern, pathPattern and permissions".to_owned(),
            ),
        };
        let text = |field: &str, value: Option<String>| {
            value.filter(|value| !value.is_empty()).ok_or_else(|| missing(field))
        };
        Ok(PolicyPutRequest {
            name: text("name", self.name)?,
            spiffeid_pattern: text("spiffeidPattern", self.spiffeid_pattern)?,
            path_pattern: text("pathPattern", self.path_pattern)?,
            permissions: self
                .permissions
                .filter(|permissions| !permissions.is_empty())
                .ok_or_else(|| missing("permissions"))?,
            create_only: false,
        })
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
        while let Some(key) = map.next_key::<String>()? {
            match key.to_ascii_lowercase().as_str() {
                "name" => document.name = map.next_value()?,
                // The second is upstream's slip, in its JSON and in ours.
                "spiffeidpattern" | "spiffiedpattern" => {
                    document.spiffeid_pattern = map.next_value()?;
                }
                "pathpattern" => document.path_pattern = map.next_value()?,
                "permissions" => document.permissions = map.next_value()?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(document)
    }
}

/// The place, and the reason where it is one of syntax; the library's own text would quote the file.
fn unreadable(text: &str, error: &serde_saphyr::Error) -> FileError {
    let Some(place) = error.location() else {
        return FileError { problem: "it is not YAML".to_owned(), hint: None };
    };
    let line = usize::try_from(place.line()).unwrap_or_default();
    let written = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    let (what, hint) = if has_stray_escape(written) {
        let hint = r"in double quotes YAML takes \ for the begin of an escape, and \. is none: write the pattern in single quotes";
        ("an unknown escape in double quotes", Some(hint))
    } else {
        (
            "not the YAML of a policy",
            Some("expected lines such as `name: acme-db` and `permissions: [read, write]`"),
        )
    };
    FileError {
        problem: format!("line {line}, column {}: {what}", place.column()),
        hint: hint.map(str::to_owned),
    }
}

/// Whether double quotes hold a backslash that begins no escape of YAML: the commonest slip in policy files, made by
/// upstream's own examples (cli-config-deploy 9 no. 19).
fn has_stray_escape(line: &str) -> bool {
    let Some((_, quoted)) = line.split_once('"') else { return false };
    let mut rest = quoted.chars();
    while let Some(c) = rest.next() {
        match c {
            '"' => return false,
            '\\' => match rest.next() {
                Some(escape) if "0abt\tnvfre \"/\\N_LPxuU".contains(escape) => {}
                _ => return true,
            },
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests;
