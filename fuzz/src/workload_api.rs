//! Updates of the Workload API: an SVID with its key, our own bundle, and those of foreign trust domains.
//!
//! The input is a list of parts, each after its length in two bytes: chain, key, own bundle, and then names and bundles
//! of foreign trust domains in turn. `prost` parses the message around them.

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use spiffe::{TrustDomain, X509Bundle, X509Svid};
use spike_mtls::svid::Material;

/// See the module. Accepts a valid identity.
pub fn check(data: &[u8]) -> bool {
    let parts = parts(data);
    let [chain, key, own, foreign @ ..] = parts.as_slice() else { return false };
    let Ok(svid) = X509Svid::parse_from_der(chain, key) else { return false };
    let id = svid.spiffe_id().clone();
    let domain = id.trust_domain().clone();
    let Some(own) = authorities(&domain, own) else { return false };
    let mut bundles = vec![(domain.clone(), own)];
    for pair in foreign.chunks_exact(2) {
        let name = std::str::from_utf8(pair[0]).ok().and_then(|name| TrustDomain::new(name).ok());
        let Some(name) = name.filter(|name| *name != domain) else { continue };
        if let Some(authorities) = authorities(&name, pair[1]) {
            bundles.push((name, authorities));
        }
    }
    let trusted: Vec<TrustDomain> = bundles.iter().map(|(name, _)| name.clone()).collect();
    let chain = svid.cert_chain().iter();
    let chain = chain.map(|der| CertificateDer::from(der.as_bytes().to_vec())).collect();
    let key: PrivateKeyDer<'_> = PrivatePkcs8KeyDer::from(svid.private_key().as_bytes()).into();
    let Ok(material) = Material::from_der(id.clone(), chain, &key, bundles) else { return false };
    assert_eq!(*material.id(), id, "another identity than was handed out");
    assert!(material.trust_domains().all(|domain| trusted.contains(domain)));
    assert!(trusted.iter().all(|domain| material.trust_domains().any(|other| other == domain)));
    assert_eq!(material.offered(), 1);
    true
}

/// The authorities of a bundle, if it is valid.
fn authorities(domain: &TrustDomain, bundle: &[u8]) -> Option<Vec<Vec<u8>>> {
    let bundle = X509Bundle::parse_from_der(domain.clone(), bundle).ok()?;
    Some(bundle.authorities().iter().map(|der| der.as_bytes().to_vec()).collect())
}

/// Whole parts only; the rest is ignored.
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
