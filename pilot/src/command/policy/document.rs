//! The file of `policy apply`: YAML or JSON, one policy or several documents.
//!
//! Names of fields are read in upper or lower case, and in each spelling that `policy get` prints, here and upstream. So
//! `policy apply` reads what `policy get` prints. An unknown field is an error, and so are two values for one field: upstream
//! ignores the first and takes the last of the second, which may not be what the author meant. Messages name lines and fields
//! but quote no value, because it may be the wrong file.

mod fields;

use std::collections::HashSet;
use std::path::Path;

use serde::de::IgnoredAny;
use serde_saphyr::options::DuplicateKeyPolicy;
use spike_wire::PolicyPutRequest;

use self::fields::Document;
pub(super) use self::fields::Times;
use super::rules;
use crate::command::{input_name, without_mark};
use crate::error::Error;

/// What is wrong with a file, and what to write instead.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FileError {
    problem: String,
    hint: Option<String>,
}

impl FileError {
    /// The error of the command.
    pub(super) fn in_file(self, file: &Path) -> Error {
        let name = input_name(file);
        let problem = format!("Error reading policy file: {name}: {}", self.problem);
        Error::Usage { problem, hint: self.hint }
    }
}

/// The policies of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Policies {
    /// All of them valid, and each name once.
    pub(super) requests: Vec<PolicyPutRequest>,
    /// The times in the file, with the names of their policies.
    pub(super) times: Vec<(String, Times)>,
}

/// All policies of a file, all of them valid and each name once.
pub(super) fn read(bytes: &[u8]) -> Result<Policies, FileError> {
    read_with(bytes, |request| match rules::check(request) {
        Ok(()) => Ok(()),
        Err(Error::Usage { problem, hint }) => Err(FileError { problem, hint }),
        Err(other) => Err(FileError { problem: other.to_string(), hint: None }),
    })
}

/// All policies of a file, valid or not, and each name once.
pub(super) fn read_unchecked(bytes: &[u8]) -> Result<Vec<PolicyPutRequest>, FileError> {
    read_with(bytes, |_| Ok(())).map(|policies| policies.requests)
}

fn read_with(
    bytes: &[u8],
    check: impl Fn(&PolicyPutRequest) -> Result<(), FileError>,
) -> Result<Policies, FileError> {
    let plain = |problem: &str| FileError { problem: problem.to_owned(), hint: None };
    let text =
        std::str::from_utf8(without_mark(bytes)).map_err(|_cause| plain("it is not UTF-8 text"))?;
    let options = serde_saphyr::options! { duplicate_keys: DuplicateKeyPolicy::PassThrough };
    let documents: Vec<Option<Document>> = serde_saphyr::from_multiple_with_options(text, options)
        .map_err(|error| in_list(text).unwrap_or_else(|| unreadable(text, &error)))?;
    let documents: Vec<Document> = documents.into_iter().flatten().collect();
    if documents.is_empty() {
        return Err(plain("there is no policy in it: it is empty"));
    }
    let several = documents.len() > 1;
    let mut all_times = Vec::new();
    let mut seen = HashSet::new();
    let mut requests = Vec::with_capacity(documents.len());
    for (number, document) in (1..).zip(documents) {
        let place = |error: FileError| {
            let problem = format!("policy {number}: {}", error.problem);
            if several { FileError { problem, ..error } } else { error }
        };
        let times = document.times();
        let request = document.request().map_err(place)?;
        check(&request).map_err(place)?;
        if !seen.insert(request.name.clone()) {
            return Err(place(plain("an earlier policy has the same name")));
        }
        if times != Times::default() {
            all_times.push((request.name.clone(), times));
        }
        requests.push(request);
    }
    Ok(Policies { requests, times: all_times })
}

/// What is wrong with a file that is one list; `None` for any other.
fn in_list(text: &str) -> Option<FileError> {
    let list: Vec<IgnoredAny> = serde_saphyr::from_str(text).ok()?;
    Some(match list.len() {
        0 => {
            let problem = "there is no policy in it: it is an empty list".to_owned();
            FileError { problem, hint: None }
        }
        count => FileError {
            problem: format!("it is a list of {count}, and not a policy"),
            hint: Some(
                "write each policy as a document of its own, with a line --- between two"
                    .to_owned(),
            ),
        },
    })
}

/// The place, and the reason if it is the syntax. The library's own text would quote the file.
fn unreadable(text: &str, error: &serde_saphyr::Error) -> FileError {
    let Some(place) = error.location() else {
        return FileError { problem: "it is not YAML".to_owned(), hint: None };
    };
    let line = usize::try_from(place.line()).unwrap_or_default();
    let written = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    let (what, hint) = if has_stray_escape(written) {
        let hint = r"in double quotes \ begins an escape of YAML, and \. is none: write the pattern in single quotes";
        ("an unknown escape in double quotes", Some(hint))
    } else if is_one_word(written, "permissions") {
        ("permissions is a list", Some("write `permissions: [read, write]`"))
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

/// Whether the line gives the field a plain text, as the option of `spike policy create` takes it, and no list.
fn is_one_word(line: &str, field: &str) -> bool {
    let value = line.trim_start().strip_prefix(field).and_then(|rest| rest.strip_prefix(':'));
    value.is_some_and(|value| value.trim_start().starts_with(|c: char| c.is_ascii_alphanumeric()))
}

/// Whether double quotes hold a backslash that begins no escape of YAML. That is the most common mistake in policy files, and
/// upstream's own examples make it (cli-config-deploy 9 no. 19).
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
