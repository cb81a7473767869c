//! What the Workload API hands out: an SVID with its key, our own bundle, and those of foreign trust domains.
//!
//! The input is a list of parts, each after its length in two bytes: chain, key, own bundle, and then names and bundles of
//! foreign trust domains in turn. The message around them is `prost`'s to read.

use std::sync::Arc;

use spiffe::{TrustDomain, X509Bundle, X509BundleSet, X509Context, X509Svid};
use spike_common::svid::Material;

/// See the module. Accepted is what makes an identity.
pub fn check(data: &[u8]) -> bool {
    let parts = parts(data);
    let [chain, key, own, foreign @ ..] = parts.as_slice() else { return false };
    let Ok(svid) = X509Svid::parse_from_der(chain, key) else { return false };
    let domain = svid.spiffe_id().trust_domain().clone();
    let mut bundles = X509BundleSet::new();
    let mut named = vec![domain.clone()];
    let Ok(bundle) = X509Bundle::parse_from_der(domain.clone(), own) else { return false };
    bundles.add_bundle(bundle);
    for pair in foreign.chunks_exact(2) {
        let name = std::str::from_utf8(pair[0]).ok().and_then(|name| TrustDomain::new(name).ok());
        let Some(name) = name.filter(|name| *name != domain) else { continue };
        if let Ok(bundle) = X509Bundle::parse_from_der(name.clone(), pair[1]) {
            bundles.add_bundle(bundle);
            named.push(name);
        }
    }
    let id = svid.spiffe_id().clone();
    let context = X509Context::new([Arc::new(svid)], bundles);
    let Ok(material) = Material::from_context(&context) else { return false };
    assert_eq!(*material.id(), id, "another identity than was handed out");
    assert!(material.trust_domains().all(|trusted| named.contains(trusted)));
    assert!(material.trust_domains().any(|trusted| *trusted == domain), "our own bundle is lost");
    assert_eq!(material.offered(), 1);
    true
}

/// Whole parts only; what is left over is passed over.
fn parts(mut data: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    while let Some((length, rest)) = data.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length));
        let Some((part, rest)) = rest.split_at_checked(length) else { break };
        parts.push(part);
        data = rest;
    }
    parts
}
