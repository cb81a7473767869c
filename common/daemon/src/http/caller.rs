//! Who asks, as metrics tell callers apart: by the few roles of SPIKE, never by SPIFFE ID.

use spike_domain::Role;

/// The role of a caller. A SPIFFE ID without one is that of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller(Option<Role>);

impl From<Option<Role>> for Caller {
    fn from(role: Option<Role>) -> Self {
        Self(role)
    }
}

impl Caller {
    /// A caller without a role.
    pub const WORKLOAD: Self = Self(None);

    /// How many kinds there are.
    pub(super) const KINDS: usize = Role::ALL.len() + 1;

    /// The value of the label `role`.
    pub const fn label(self) -> &'static str {
        match self.0 {
            Some(Role::Nexus) => "nexus",
            Some(Role::Keeper) => "keeper",
            Some(Role::Bootstrap) => "bootstrap",
            Some(Role::PilotSuperuser) => "superuser",
            Some(Role::PilotRecover) => "recover",
            Some(Role::PilotRestore) => "restore",
            Some(Role::LiteWorkload) => "lite_workload",
            None => "workload",
        }
    }

    /// Its place among all kinds, below [`Self::KINDS`].
    pub(super) const fn index(self) -> usize {
        match self.0 {
            Some(role) => role as usize + 1,
            None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_of_caller_has_a_label_and_a_place_of_its_own() {
        let all = || Role::ALL.into_iter().map(Some).chain([None]).map(Caller::from);
        let labels: BTreeSet<_> = all().map(Caller::label).collect();
        assert_eq!(labels.len(), Caller::KINDS);
        let places: BTreeSet<_> = all().map(Caller::index).collect();
        assert_eq!(places, (0..Caller::KINDS).collect());
    }
}
