//! Why SPIKE Nexus answered 404, by the versions of the secret: which there are, and which are deleted.

use spike_wire::{SecretMetadataRequest, SecretMetadataResponse, call};

use super::listed;
use crate::context::Session;
use crate::error::Error;

/// The error of a read that named a version, with what is true of that version.
pub(super) async fn of_version(session: &Session, path: &str, version: i64, error: Error) -> Error {
    if version == 0 {
        return error;
    }
    let Some(answer) = versions(session, path, &error).await else { return error };
    match answer.versions.get(&version) {
        None => Error::NotThere {
            what: format!("the secret {path} has no version {version}"),
            hint: format!("`spike secret metadata get {path}` shows its versions"),
        },
        Some(found) if found.deleted_time.is_some() => Error::NotThere {
            what: format!("version {version} of the secret {path} is deleted"),
            hint: format!("`spike secret undelete {path} --versions {version}` brings it back"),
        },
        Some(_) => error,
    }
}

/// The error of a change of versions none of which exists.
pub(super) fn unchanged(path: &str, versions: &[i64]) -> Error {
    let versions = listed(versions);
    Error::NotThere {
        what: format!("the secret {path} has no version {versions}: nothing was changed"),
        hint: format!("`spike secret metadata get {path}` shows its versions"),
    }
}

/// The error of an undelete that found nothing deleted among the versions that it named, with those that are deleted.
pub(super) async fn of_undelete(
    session: &Session,
    path: &str,
    named: &[i64],
    error: Error,
) -> Error {
    let Some(answer) = versions(session, path, &error).await else { return error };
    let is_missing = |version: &i64| *version != 0 && !answer.versions.contains_key(version);
    if !named.is_empty() && named.iter().all(is_missing) {
        return unchanged(path, named);
    }
    let is_deleted = answer.versions.iter().filter(|(_, version)| version.deleted_time.is_some());
    let deleted: Vec<i64> = is_deleted.map(|(number, _)| *number).collect();
    if deleted.is_empty() {
        return error;
    }
    let asked = if named.is_empty() {
        format!("the current version of the secret {path} is not deleted")
    } else {
        format!("what was named of the secret {path} is not deleted: {}", listed(named))
    };
    let (are, it) = match deleted.len() {
        1 => ("version {} is", "it"),
        _ => ("versions {} are", "them"),
    };
    let numbers: Vec<String> = deleted.iter().map(ToString::to_string).collect();
    Error::NotThere {
        what: format!("{asked}; {}", are.replace("{}", &numbers.join(", "))),
        hint: format!(
            "`spike secret undelete {path} --versions {}` brings {it} back",
            numbers.join(",")
        ),
    }
}

/// Every version, after a 404. The question has a rule of its own, and the first answer stands where it is refused.
async fn versions(session: &Session, path: &str, error: &Error) -> Option<SecretMetadataResponse> {
    if error.status() != Some(404) {
        return None;
    }
    let question =
        SecretMetadataRequest { path: path.to_owned(), version: 0, include_deleted: true };
    let answer = session.call::<call::SecretMetadata>(&question, path).await.ok()?;
    (!answer.versions.is_empty()).then_some(answer)
}
