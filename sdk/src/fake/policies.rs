//! The policies of a fake. They are kept, and decide nothing.

use std::collections::BTreeMap;

use spike_domain::{UnixNanos, rules};
use spike_mtls::clock;
use spike_wire::{ErrorCode, Policy, PolicyListRequest, PolicyListResponse, PolicyPutRequest};

/// Policies by name.
#[derive(Default)]
pub(super) struct Policies(BTreeMap<String, Policy>);

impl Policies {
    /// Creates or replaces a policy.
    pub(super) fn put(
        &mut self,
        asked: PolicyPutRequest,
        now: UnixNanos,
    ) -> Result<(), (ErrorCode, &'static str)> {
        if !rules::is_name(&asked.name) {
            return Err((ErrorCode::ApiBadRequest, "name: not a name"));
        }
        let before = self.0.get(&asked.name);
        if asked.create_only && before.is_some() {
            return Err((ErrorCode::EntityExists, "there is a policy of that name"));
        }
        let updated_at = clock::at(now);
        let policy = Policy {
            name: asked.name,
            spiffeid_pattern: asked.spiffeid_pattern,
            path_pattern: asked.path_pattern,
            permissions: asked.permissions,
            created_at: before.map_or(updated_at, |before| before.created_at),
            updated_at,
        };
        self.0.insert(policy.name.clone(), policy);
        Ok(())
    }

    /// The policy of this name.
    pub(super) fn get(&self, name: &str) -> Option<&Policy> {
        self.0.get(name)
    }

    /// Deletes a policy. Returns whether there was one.
    pub(super) fn delete(&mut self, name: &str) -> bool {
        self.0.remove(name).is_some()
    }

    /// One page of names.
    pub(super) fn list(&self, asked: &PolicyListRequest) -> PolicyListResponse {
        let limit = usize::try_from(asked.limit).ok().filter(|limit| *limit > 0);
        let mut shown = self
            .0
            .keys()
            .filter(|name| **name > asked.after && name.contains(&asked.name_contains));
        let names: Vec<String> =
            shown.by_ref().take(limit.unwrap_or(usize::MAX)).cloned().collect();
        let next = shown.next().and_then(|_| names.last().cloned());
        PolicyListResponse { names, next }
    }
}
