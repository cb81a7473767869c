//! Which trust bundles this Nexus holds, for operators: peers of other trust domains are refused in the handshake.

use spike_domain::trust_domain_of;
use spike_mtls::svid::SvidSource;

/// The trust domains whose bundles the newest update of the Workload API has. The default knows of none.
#[derive(Clone, Debug, Default)]
pub struct HeldTrustDomains(Option<SvidSource>);

impl HeldTrustDomains {
    /// Those of this source.
    pub const fn of(source: SvidSource) -> Self {
        Self(Some(source))
    }

    /// Their names, the own one first; empty if it is not known.
    pub fn names(&self) -> Vec<String> {
        let material = self.0.as_ref().and_then(SvidSource::current);
        material.map_or_else(Vec::new, |material| material.held_trust_domains())
    }
}

/// The trust domain of this SPIFFE ID, if `held` is known and has no bundle of it.
pub fn without_bundle(held: &[String], spiffe_id: &str) -> Option<String> {
    let domain = trust_domain_of(spiffe_id)?;
    let lacks = !held.is_empty() && held.iter().all(|held| held != domain);
    lacks.then(|| domain.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_a_trust_domain_without_a_bundle_is_named_if_it_is_known_which_are_held() {
        let held = ["spike.ist".to_owned(), "partner.org".to_owned()];
        let of = |held: &[String], id| without_bundle(held, id);
        assert_eq!(of(&held, "spiffe://other.org/app"), Some("other.org".to_owned()));
        assert_eq!(of(&held, "spiffe://partner.org/app"), None);
        assert_eq!(of(&held, "spiffe://partner.orgs/app"), Some("partner.orgs".to_owned()));
        assert_eq!(of(&[], "spiffe://other.org/app"), None);
        assert_eq!(of(&held, "no SPIFFE ID"), None);
    }
}
