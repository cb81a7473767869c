//! The built-in roles of SPIFFE IDs, and the trust roots under which they are recognized.
//!
//! This module compares names only. `spike-mtls` verifies the certificate that proves a name.

use std::fmt;

/// The trust root if a setting names none.
pub const DEFAULT_TRUST_ROOT: &str = "spike.ist";

/// A role that SPIKE itself gives to a SPIFFE ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The secret store.
    Nexus,
    /// A holder of one share of the root key.
    Keeper,
    /// The program that makes the root key.
    Bootstrap,
    /// An operator with every permission.
    PilotSuperuser,
    /// An operator who recovers shares.
    PilotRecover,
    /// An operator who restores from shares.
    PilotRestore,
    /// A workload that may use the cipher without a policy, and nothing else.
    LiteWorkload,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 7] = [
        Self::Nexus,
        Self::Keeper,
        Self::Bootstrap,
        Self::PilotSuperuser,
        Self::PilotRecover,
        Self::PilotRestore,
        Self::LiteWorkload,
    ];

    /// The roles of operators, who use the command `spike`.
    pub const OPERATORS: [Self; 3] = [Self::PilotSuperuser, Self::PilotRecover, Self::PilotRestore];

    /// The path of the role's SPIFFE ID below a trust root, without a leading slash.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Nexus => "spike/nexus",
            Self::Keeper => "spike/keeper",
            Self::Bootstrap => "spike/bootstrap",
            Self::PilotSuperuser => "spike/pilot/role/superuser",
            Self::PilotRecover => "spike/pilot/role/recover",
            Self::PilotRestore => "spike/pilot/role/restore",
            Self::LiteWorkload => "spike/workload/role/lite",
        }
    }

    /// The role that `id` would have, if what is before its path were a trust root.
    pub fn named_in(id: &str) -> Option<Self> {
        let (_, rest) = id.split_once("://")?;
        let is_in = |role: &Self| {
            rest.split_once(role.path()).is_some_and(|(root, below)| {
                root.ends_with('/') && (below.is_empty() || below.starts_with('/'))
            })
        };
        Self::ALL.into_iter().find(is_in)
    }

    /// The setting that names the trust roots of this role.
    pub const fn variable(self) -> &'static str {
        match self {
            Self::Nexus => "SPIKE_TRUST_ROOT_NEXUS",
            Self::Keeper => "SPIKE_TRUST_ROOT_KEEPER",
            Self::Bootstrap => "SPIKE_TRUST_ROOT_BOOTSTRAP",
            Self::PilotSuperuser | Self::PilotRecover | Self::PilotRestore => {
                "SPIKE_TRUST_ROOT_PILOT"
            }
            Self::LiteWorkload => "SPIKE_TRUST_ROOT_LITE_WORKLOAD",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nexus => "nexus",
            Self::Keeper => "keeper",
            Self::Bootstrap => "bootstrap",
            Self::PilotSuperuser => "pilot (superuser)",
            Self::PilotRecover => "pilot (recover)",
            Self::PilotRestore => "pilot (restore)",
            Self::LiteWorkload => "lite workload",
        })
    }
}

/// The trust roots of a role: trust domains, each perhaps with a path. There is at least one.
///
/// Each is stored as Go's `path.Join` would join it, because upstream's operators may write `example.org/team-a/` and
/// mean `example.org/team-a`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustRoots(Vec<String>);

/// What is wrong with a list of trust roots.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustRootsError {
    /// An element is empty: a trailing or a double comma. Upstream ends the process when the first peer reaches it.
    #[error("element {0} of the list is empty (a stray comma?)")]
    Empty(usize),
    /// An element is not a trust domain, optionally with a path.
    #[error("{0:?} is not a trust domain, such as example.org or example.org/team-a")]
    NotATrustDomain(String),
}

impl Default for TrustRoots {
    fn default() -> Self {
        Self(vec![DEFAULT_TRUST_ROOT.to_owned()])
    }
}

/// The trust domain of a SPIFFE ID, by its text; `None` if it has no scheme, or no trust domain.
pub fn trust_domain_of(spiffe_id: &str) -> Option<&str> {
    let rest = spiffe_id.strip_prefix("spiffe://")?;
    rest.split('/').next().filter(|domain| !domain.is_empty())
}

impl TrustRoots {
    /// Reads a comma-separated list. White space around an element is ignored.
    ///
    /// # Errors
    /// [`TrustRootsError`] for an empty element, and for one that cannot begin a SPIFFE ID.
    pub fn parse(list: &str) -> Result<Self, TrustRootsError> {
        list.split(',')
            .enumerate()
            .map(|(position, element)| {
                let element = element.trim();
                if element.is_empty() {
                    return Err(TrustRootsError::Empty(position + 1));
                }
                let root = clean(element);
                // The parser lowers capitals, so a root with capitals would never match.
                let id = format!("spiffe://{root}/x");
                match spiffe::SpiffeId::new(&id) {
                    Ok(parsed) if parsed.to_string() == id => Ok(root),
                    Ok(_) | Err(_) => Err(TrustRootsError::NotATrustDomain(element.to_owned())),
                }
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether `id` is the ID of `role`, or below it, under one of these roots.
    ///
    /// The bytes are compared, without wildcards: `…/spike/nexus` and `…/spike/nexus/pod-0` match, `…/spike/nexus2`
    /// does not.
    pub fn hold(&self, role: Role, id: &str) -> bool {
        let Some(rest) = id.strip_prefix("spiffe://") else { return false };
        self.0.iter().any(|root| {
            rest.strip_prefix(root.as_str())
                .and_then(|rest| rest.strip_prefix('/'))
                .and_then(|rest| rest.strip_prefix(role.path()))
                .is_some_and(|below| below.is_empty() || below.starts_with('/'))
        })
    }

    /// The exact SPIFFE IDs of `role` under these roots, for messages.
    pub fn ids(&self, role: Role) -> impl Iterator<Item = String> + '_ {
        self.0.iter().map(move |root| format!("spiffe://{root}/{}", role.path()))
    }

    /// The roots in their stored form.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for TrustRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

/// Go's `path.Clean` for these texts: removes empty and `.` segments, and `..` with the segment before it.
fn clean(element: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in element.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
    }
    kept.join("/")
}

/// The trust roots of every role, from the `SPIKE_TRUST_ROOT_*` settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustRootsByRole {
    /// `SPIKE_TRUST_ROOT_NEXUS`
    pub nexus: TrustRoots,
    /// `SPIKE_TRUST_ROOT_KEEPER`
    pub keeper: TrustRoots,
    /// `SPIKE_TRUST_ROOT_BOOTSTRAP`
    pub bootstrap: TrustRoots,
    /// `SPIKE_TRUST_ROOT_PILOT`
    pub pilot: TrustRoots,
    /// `SPIKE_TRUST_ROOT_LITE_WORKLOAD`
    pub lite_workload: TrustRoots,
}

impl TrustRootsByRole {
    /// The trust roots of `role`.
    pub const fn of(&self, role: Role) -> &TrustRoots {
        match role {
            Role::Nexus => &self.nexus,
            Role::Keeper => &self.keeper,
            Role::Bootstrap => &self.bootstrap,
            Role::PilotSuperuser | Role::PilotRecover | Role::PilotRestore => &self.pilot,
            Role::LiteWorkload => &self.lite_workload,
        }
    }

    /// Whether `id` has `role`.
    pub fn hold(&self, role: Role, id: &str) -> bool {
        self.of(role).hold(role, id)
    }

    /// The role of `id`. The paths of two roles never overlap, so there is at most one per trust root.
    pub fn role_of(&self, id: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| self.hold(*role, id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots(list: &str) -> TrustRoots {
        TrustRoots::parse(list).unwrap()
    }

    #[test]
    fn a_role_is_its_exact_id_or_anything_below_it() {
        // wire-api 5.1
        let roots = TrustRoots::default();
        for (id, expected) in [
            ("spiffe://spike.ist/spike/pilot/role/superuser", true),
            ("spiffe://spike.ist/spike/pilot/role/superuser/inst-0", true),
            ("spiffe://spike.ist/spike/pilot/role/superuserx", false),
            ("spiffe://spike.ist/spike/pilot/role", false),
            ("spiffe://spike.ist/Spike/pilot/role/superuser", false),
            ("spiffe://spike.istx/spike/pilot/role/superuser", false),
            ("spiffe://other/spike.ist/spike/pilot/role/superuser", false),
            ("https://spike.ist/spike/pilot/role/superuser", false),
            ("", false),
        ] {
            assert_eq!(roots.hold(Role::PilotSuperuser, id), expected, "{id}");
        }
    }

    #[test]
    fn any_of_several_roots_will_do_and_a_root_may_have_a_path() {
        let roots = roots("one.org, two.org/team-a/ ,three.org//b");
        assert!(roots.hold(Role::Nexus, "spiffe://one.org/spike/nexus"));
        assert!(roots.hold(Role::Nexus, "spiffe://two.org/team-a/spike/nexus/pod-1"));
        assert!(roots.hold(Role::Nexus, "spiffe://three.org/b/spike/nexus"));
        assert!(!roots.hold(Role::Nexus, "spiffe://two.org/spike/nexus"));
        assert_eq!(roots.to_string(), "one.org,two.org/team-a,three.org/b");
    }

    #[test]
    fn an_empty_element_is_refused_at_the_start_not_at_the_first_peer() {
        // Upstream exits when a peer first reaches the empty element.
        assert_eq!(TrustRoots::parse("a.org,"), Err(TrustRootsError::Empty(2)));
        assert_eq!(TrustRoots::parse("a.org, ,b.org"), Err(TrustRootsError::Empty(2)));
        assert_eq!(TrustRoots::parse(""), Err(TrustRootsError::Empty(1)));
    }

    #[test]
    fn what_cannot_begin_a_spiffe_id_is_refused() {
        for bad in ["Example.org", "spiffe://a.org", "a b", "a.org/te?am"] {
            assert!(
                matches!(TrustRoots::parse(bad), Err(TrustRootsError::NotATrustDomain(_))),
                "{bad}"
            );
        }
    }

    #[test]
    fn every_role_differs_from_every_other() {
        let roots = TrustRootsByRole::default();
        for role in Role::ALL {
            let id = roots.of(role).ids(role).next().unwrap();
            assert_eq!(roots.role_of(&id), Some(role));
        }
        assert_eq!(roots.role_of("spiffe://spike.ist/workload/app1"), None);
    }
}
