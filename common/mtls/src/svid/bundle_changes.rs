//! How the trust bundles of one update differ from those of the update before: for the log.

use std::fmt;

use spiffe::TrustDomain;

use super::bundles::TrustBundles;

/// The most trust domains of each kind that are named.
const MAX_NAMED: usize = 20;

/// The trust domains whose authorities differ.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct BundleChanges {
    /// Those that have a bundle now, and had none.
    pub(super) added: Names,
    /// Those that had a bundle, and have none now.
    pub(super) removed: Names,
    /// Those with other authorities than before.
    pub(super) changed: Names,
}

/// Trust domains, in their order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Names(Vec<TrustDomain>);

impl BundleChanges {
    pub(super) fn between(before: &TrustBundles, after: &TrustBundles) -> Self {
        let lacking = |one: &TrustBundles, other: &TrustBundles| {
            let names = one.trust_domains().filter(|domain| other.anchors(domain).is_none());
            Names(names.cloned().collect())
        };
        let differs = |domain: &&TrustDomain| {
            let anchors = before.anchors(domain);
            anchors.is_some() && anchors != after.anchors(domain)
        };
        Self {
            added: lacking(after, before),
            removed: lacking(before, after),
            changed: Names(after.trust_domains().filter(differs).cloned().collect()),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        [&self.added, &self.removed, &self.changed].iter().all(|names| names.0.is_empty())
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, domain) in self.0.iter().take(MAX_NAMED).enumerate() {
            write!(f, "{}{domain}", if at == 0 { "" } else { "," })?;
        }
        match self.0.len().saturating_sub(MAX_NAMED) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

    use super::*;

    fn authority() -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    fn bundles(of: &[(&str, &[u8])]) -> TrustBundles {
        let mut bundles = TrustBundles::default();
        for (name, der) in of {
            bundles.add(TrustDomain::new(*name).unwrap(), der);
        }
        bundles
    }

    #[test]
    fn what_came_what_went_and_what_has_other_authorities_are_told_apart() {
        let (one, other) = (authority(), authority());
        let before =
            bundles(&[("kept.example", &one), ("turned.example", &one), ("gone.example", &one)]);
        let after =
            bundles(&[("kept.example", &one), ("turned.example", &other), ("new.example", &one)]);
        let found = BundleChanges::between(&before, &after);
        assert_eq!(found.added.to_string(), "new.example");
        assert_eq!(found.removed.to_string(), "gone.example");
        assert_eq!(found.changed.to_string(), "turned.example");
        assert!(BundleChanges::between(&after, &after).is_empty());
    }

    #[test]
    fn hundreds_of_trust_domains_do_not_fill_the_line() {
        let der = authority();
        let names: Vec<String> = (100..300).map(|number| format!("d{number}.example")).collect();
        let of: Vec<(&str, &[u8])> = names.iter().map(|name| (&**name, &*der)).collect();
        let told =
            BundleChanges::between(&TrustBundles::default(), &bundles(&of)).added.to_string();
        assert!(told.starts_with("d100.example,d101.example,"), "{told}");
        assert!(told.ends_with("d119.example and 180 more"), "{told}");
    }
}
