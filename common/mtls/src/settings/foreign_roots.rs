//! Trust roots of roles in foreign trust domains, and what their owners may do. They are valid settings, and easily set by
//! somebody who only wants to let workloads of a partner read secrets; a policy is for that.

use std::fmt;

use spike_config::{Process, table};
use spike_domain::{DEFAULT_TRUST_ROOT, Role, TrustRoots, TrustRootsByRole};

/// One role for each setting.
const ROLES: [Role; 5] =
    [Role::Nexus, Role::Keeper, Role::Bootstrap, Role::PilotSuperuser, Role::LiteWorkload];

/// What is known of the trust domain of a process.
#[derive(Clone, Copy, Debug)]
pub enum OwnTrustDomain<'a> {
    /// That of its SVID, and the trust domains whose bundles it holds.
    Known {
        /// Its own trust domain.
        own: &'a str,
        /// The trust domains whose SVIDs it can verify.
        held: &'a [String],
    },
    /// Only the settings are known: it must be one that the setting of its own role names.
    Unknown,
}

/// A setting that gives a role to foreign trust domains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignRoots {
    /// The setting.
    pub variable: &'static str,
    /// What is wrong with it, and what may happen.
    message: String,
}

impl fmt::Display for ForeignRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The settings that give a role to foreign trust domains, of those that `process` reads.
///
/// The default of a setting is no such case, as long as no bundle of it is held: whoever sets only some of the trust roots
/// leaves the others at it.
pub fn foreign_roots(
    roots: &TrustRootsByRole,
    process: Process,
    own: OwnTrustDomain<'_>,
) -> Vec<ForeignRoots> {
    let own_role = match process {
        Process::Nexus => Role::Nexus,
        Process::Keeper => Role::Keeper,
        Process::Bootstrap => Role::Bootstrap,
        Process::Pilot => Role::PilotSuperuser,
        Process::Workload => Role::LiteWorkload,
    };
    let candidates = trust_domains(roots.of(own_role));
    let found =
        ROLES.into_iter().filter(|role| is_verified_by(process, *role)).filter_map(|role| {
            let named = trust_domains(roots.of(role));
            match (own, candidates.as_slice()) {
                (OwnTrustDomain::Known { own, held }, _) => known(role, &named, own, held),
                (OwnTrustDomain::Unknown, [own]) => known(role, &named, own, &[]),
                (OwnTrustDomain::Unknown, _) => unknown(role, &named, &candidates),
            }
        });
    found.collect()
}

fn known(role: Role, named: &[&str], own: &str, held: &[String]) -> Option<ForeignRoots> {
    let is_held = |domain: &str| held.iter().any(|held| held == domain);
    let counts =
        |domain: &&&str| **domain != own && (**domain != DEFAULT_TRUST_ROOT || is_held(domain));
    let foreign: Vec<&str> = named.iter().filter(counts).copied().collect();
    if foreign.is_empty() {
        return None;
    }
    let (variable, listed, power) = (role.variable(), foreign.join(", "), power(role));
    let yet = if held.is_empty() || foreign.iter().any(|domain| is_held(domain)) {
        ""
    } else {
        "; its trust bundle is not here now, so nobody can do it yet"
    };
    let message = format!(
        "{variable} names {listed}, a foreign trust domain: this process is of {own}. Whoever issues SVIDs there can {power}{yet}"
    );
    Some(ForeignRoots { variable, message })
}

/// `candidates`: the trust domains of which one is that of the process.
fn unknown(role: Role, named: &[&str], candidates: &[&str]) -> Option<ForeignRoots> {
    let is_foreign =
        |domain: &&&str| !candidates.contains(*domain) && **domain != DEFAULT_TRUST_ROOT;
    let foreign = named.iter().filter(is_foreign).count();
    if foreign == 0 && named.len() < 2 {
        return None;
    }
    let (variable, listed, power) = (role.variable(), named.join(", "), power(role));
    let which = match (named, foreign) {
        ([_], _) => "which is a foreign trust domain. Whoever issues SVIDs there",
        _ => "of which one at most is that of this process. Whoever issues SVIDs in another one",
    };
    Some(ForeignRoots {
        variable,
        message: format!("{variable} names {listed}, {which} can {power}"),
    })
}

/// Whether `process` reads the setting of this role. `spike` reads that of its own role only for its messages: Nexus decides.
fn is_verified_by(process: Process, role: Role) -> bool {
    let reads = table::find(role.variable()).is_some_and(|row| row.readers.contains(&process));
    reads && !(process == Process::Pilot && role == Role::PilotSuperuser)
}

/// What an ID of this role may do to those who trust it.
const fn power(role: Role) -> &'static str {
    match role {
        Role::Nexus => {
            "be SPIKE Nexus: clients would send it their secrets, and Keepers their shares of the root key"
        }
        Role::Keeper => "be a Keeper, and would be sent a share of the root key",
        Role::Bootstrap => "be Bootstrap, and make the root key of a store that has none",
        Role::PilotSuperuser | Role::PilotRecover | Role::PilotRestore => {
            "be superuser, and take out the shares of the root key"
        }
        Role::LiteWorkload => "encrypt and decrypt without a policy",
    }
}

/// The trust domains of these roots, each once.
fn trust_domains(roots: &TrustRoots) -> Vec<&str> {
    let mut found: Vec<&str> = Vec::new();
    for domain in roots.iter().filter_map(|root| root.split('/').next()) {
        if !found.contains(&domain) {
            found.push(domain);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots(nexus: &str, pilot: &str) -> TrustRootsByRole {
        let parse = |list| TrustRoots::parse(list).unwrap();
        let keeper = parse(nexus.split(',').next().unwrap());
        let bootstrap = keeper.clone();
        TrustRootsByRole {
            nexus: parse(nexus),
            keeper,
            bootstrap,
            pilot: parse(pilot),
            ..TrustRootsByRole::default()
        }
    }

    fn told(roots: &TrustRootsByRole, process: Process, own: OwnTrustDomain<'_>) -> Vec<String> {
        foreign_roots(roots, process, own).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_partner_that_can_be_superuser_is_named_with_what_it_may_do() {
        let roots = roots("example.org/team-a", "example.org, partner.org");
        let held = ["example.org".to_owned(), "partner.org".to_owned()];
        let own = OwnTrustDomain::Known { own: "example.org", held: &held };
        let found = told(&roots, Process::Nexus, own);
        assert_eq!(
            found,
            [
                "SPIKE_TRUST_ROOT_PILOT names partner.org, a foreign trust domain: this process is of example.org. \
              Whoever issues SVIDs there can be superuser, and take out the shares of the root key"
            ]
        );
        // A Keeper does not read this setting, and for `spike` it is no right.
        assert_eq!(told(&roots, Process::Keeper, own), [""; 0]);
        assert_eq!(told(&roots, Process::Pilot, own), [""; 0]);
        let alone = OwnTrustDomain::Known { own: "example.org", held: &held[..1] };
        assert!(told(&roots, Process::Nexus, alone)[0].ends_with("so nobody can do it yet"));
    }

    #[test]
    fn without_an_svid_the_setting_of_the_own_role_says_which_trust_domain_is_the_own_one() {
        let roots = roots("example.org", "partner.org");
        let found = told(&roots, Process::Nexus, OwnTrustDomain::Unknown);
        assert!(found[0].contains("this process is of example.org"), "{found:?}");
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn without_an_svid_two_trust_domains_of_the_own_role_are_named_both() {
        let roots = roots("example.org,partner.org", "other.org");
        let found = told(&roots, Process::Nexus, OwnTrustDomain::Unknown);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            found[0].contains("names example.org, partner.org, of which one at most"),
            "{found:?}"
        );
        assert!(found[0].contains("can be SPIKE Nexus"), "{found:?}");
        assert!(found[1].contains("names other.org, which is a foreign trust domain"), "{found:?}");
    }

    #[test]
    fn a_default_that_was_left_is_no_warning_until_its_bundle_is_held() {
        let roots = roots("example.org", "example.org");
        let held = ["example.org".to_owned()];
        let own = OwnTrustDomain::Known { own: "example.org", held: &held };
        assert_eq!(told(&roots, Process::Nexus, own), [""; 0]);
        let held = ["example.org".to_owned(), "spike.ist".to_owned()];
        let own = OwnTrustDomain::Known { own: "example.org", held: &held };
        assert!(
            told(&roots, Process::Nexus, own)[0]
                .starts_with("SPIKE_TRUST_ROOT_LITE_WORKLOAD names spike.ist")
        );
    }

    #[test]
    fn one_trust_domain_for_everything_is_no_warning() {
        let all = TrustRootsByRole::default();
        for process in Process::ALL {
            assert_eq!(foreign_roots(&all, process, OwnTrustDomain::Unknown), []);
        }
    }
}
