//! The rules for a policy (wire-api 6), checked before Nexus is called, so that an error can say what to write instead. Nexus
//! decides: it may still refuse a policy that passes here.

use spike_domain::{
    PERMISSIONS,
    rules::{
        MAX_NAME_BYTES, MAX_PATH_BYTES, is_name, is_path_pattern, is_permission,
        is_spiffeid_pattern,
    },
};
use spike_wire::PolicyPutRequest;

use spike_policy::Policy;
use time::OffsetDateTime;

use super::findings;
use crate::error::Error;
use crate::output::quoted;

/// Checks all four fields.
pub(super) fn check(request: &PolicyPutRequest) -> Result<(), Error> {
    check_new_name(&request.name)?;
    check_spiffeid_pattern(&request.spiffeid_pattern)?;
    check_path_pattern(&request.path_pattern)?;
    check_permissions(&request.permissions)?;
    check_meaning(request)
}

/// Checks that both patterns are regular expressions, and that they match no reserved path by accident.
fn check_meaning(request: &PolicyPutRequest) -> Result<(), Error> {
    let PolicyPutRequest { name, spiffeid_pattern, path_pattern, permissions, .. } = request;
    let epoch = OffsetDateTime::UNIX_EPOCH;
    let refused = Policy::validate_new(name, spiffeid_pattern, path_pattern, permissions, epoch);
    let Err(error) = refused else { return Ok(()) };
    let findings = findings::of_requests(std::slice::from_ref(request));
    let fix = findings.into_iter().find(|finding| finding.severity == "error");
    Err(Error::Usage { problem: error.to_string(), hint: fix.map(|finding| finding.fix) })
}

/// Checks a name.
pub(super) fn check_name(name: &str) -> Result<(), Error> {
    if is_name(name) {
        return Ok(());
    }
    Err(Error::usage(format!(
        "{} is not the name of a policy: expected 1 to {MAX_NAME_BYTES} letters, digits, '-', '_' and spaces",
        quoted(name)
    )))
}

/// Checks the name of a policy that is written. A blank at an end, which upstream's Nexus accepts, is seen nowhere.
fn check_new_name(name: &str) -> Result<(), Error> {
    check_name(name)?;
    if name.trim() == name {
        return Ok(());
    }
    Err(Error::usage_hint(
        format!("the name {name:?} has a space at an end"),
        format!("write {:?}", name.trim()),
    ))
}

fn check_spiffeid_pattern(pattern: &str) -> Result<(), Error> {
    if is_spiffeid_pattern(pattern) {
        return Ok(());
    }
    Err(Error::usage_hint(
        format!("{} is not a SPIFFE ID pattern", quoted(pattern)),
        r"it begins with spiffe:// (after ^) and may use \ . * + ? ( ) [ ], such as '^spiffe://example\.org/acme/.*$'; neither | nor { } is allowed",
    ))
}

fn check_path_pattern(pattern: &str) -> Result<(), Error> {
    if is_path_pattern(pattern) {
        return Ok(());
    }
    Err(Error::usage_hint(
        format!("{} is not a path pattern", quoted(pattern)),
        format!(
            r"it has 1 to {MAX_PATH_BYTES} letters, digits and ._-/^$()?+*|[]{{}}\, such as '^tenants/acme/db/.*$'"
        ),
    ))
}

/// The message begins with upstream's error code.
fn check_permissions(permissions: &[String]) -> Result<(), Error> {
    let valid = PERMISSIONS.join(", ");
    if permissions.is_empty() {
        return Err(Error::usage(format!(
            "[access_invalid_permission] no permission was given: expected some of {valid}"
        )));
    }
    match permissions.iter().find(|word| !is_permission(word)) {
        None => Ok(()),
        Some(word) => Err(Error::usage(format!(
            "[access_invalid_permission] {word:?} is not a permission: expected some of {valid}"
        ))),
    }
}
