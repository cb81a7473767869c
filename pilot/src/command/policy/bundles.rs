//! Policies that are to be written for trust domains whose bundles Nexus does not hold. Only Nexus knows which it holds.

use std::collections::BTreeSet;

use spike_domain::{ACL_PATH, trust_domain_of};
use spike_policy::{Permission, lint};
use spike_wire::{ExplainRequest, LintFinding, PolicyPutRequest, call};

use super::local;
use crate::context::Session;

/// The trust domains that policies name and whose bundles are missing.
#[derive(Debug, Default)]
pub(super) struct MissingBundles(BTreeSet<String>);

impl MissingBundles {
    /// Asks Nexus, once for each foreign trust domain. The trust domain of this process is not asked for: Nexus has accepted its
    /// SVID. Upstream's Nexus does not answer, and then none is missing, as far as anybody knows.
    pub(super) async fn ask(session: &Session, requests: &[PolicyPutRequest]) -> Self {
        let own = trust_domain_of(session.id());
        let named: BTreeSet<String> = requests
            .iter()
            .filter_map(|request| lint::named_trust_domain(&request.spiffeid_pattern))
            .filter(|domain| Some(domain.as_str()) != own)
            .collect();
        let mut missing = BTreeSet::new();
        for domain in named {
            let question = ExplainRequest {
                spiffe_id: format!("spiffe://{domain}/any"),
                path: ACL_PATH.to_owned(),
                permission: Permission::Read.as_str().to_owned(),
            };
            match session.call::<call::PolicyExplain>(&question, "").await {
                Ok(answer) if answer.no_bundle_of.is_some() => missing.extend([domain]),
                Ok(_) => {}
                // The next trust domain would get no answer either.
                Err(_) => break,
            }
        }
        Self(missing)
    }

    /// The finding about a policy, if it names one of them.
    pub(super) fn finding(&self, request: &PolicyPutRequest) -> Option<LintFinding> {
        let is_held = |domain: &str| !self.0.contains(domain);
        lint::without_bundle(&local::wanted(request), is_held).map(local::finding)
    }
}
