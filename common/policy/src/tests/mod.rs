//! Policies, their acceptance and their decisions, by the tables of the wire API's specification.

use time::OffsetDateTime;

use super::*;

mod acceptance;
mod decision;
mod explanation;
mod heavy;
mod literal;

const NOON: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

/// A policy stored without the rules for new ones.
fn stored(name: &str, id: &str, path: &str, permissions: &[Permission]) -> Policy {
    Policy {
        name: name.into(),
        spiffe_id_pattern: id.into(),
        path_pattern: path.into(),
        permissions: permissions.iter().copied().collect(),
        created_at: NOON,
        updated_at: NOON,
    }
}

fn set(policies: &[Policy]) -> PolicySet {
    policies.iter().collect()
}

fn reads(set: &PolicySet, id: &str, path: &str) -> bool {
    set.decide(id, path, Permission::Read).is_allowed()
}

const APP: &str = r"^spiffe://example\.org/app$";
