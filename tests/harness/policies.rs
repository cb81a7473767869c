//! Short functions that make policies.

use spike_wire::PolicyPutRequest;

/// A policy with these four fields.
pub fn policy(
    name: &str,
    spiffeid_pattern: &str,
    path_pattern: &str,
    permissions: &[&str],
) -> PolicyPutRequest {
    PolicyPutRequest {
        name: name.to_owned(),
        spiffeid_pattern: spiffeid_pattern.to_owned(),
        path_pattern: path_pattern.to_owned(),
        permissions: permissions.iter().map(ToString::to_string).collect(),
        create_only: false,
    }
}

/// A policy for the one SPIFFE ID with this path, which has no character with a meaning of its own.
pub fn allow(name: &str, id: &str, path_pattern: &str, permissions: &[&str]) -> PolicyPutRequest {
    policy(name, &format!(r"^spiffe://spike\.ist{id}$"), path_pattern, permissions)
}
