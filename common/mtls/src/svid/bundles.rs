//! Trust bundles: the authorities of each trust domain, and the faults in them.
//!
//! A bundle is a set of certificates, and a peer is accepted if any one of them signed its chain. So to omit a
//! certificate that does not decode can only refuse peers, never admit one. The rest of such a bundle stays in use, and
//! the fault is reported. A bundle without any valid certificate is omitted, and the earlier authorities of its trust
//! domain are dropped: the agent has replaced them.

use std::{collections::BTreeMap, fmt};

use rustls::pki_types::{CertificateDer, TrustAnchor};
use spiffe::TrustDomain;
use x509_parser::asn1_rs::{Any, FromDer};

/// The longest name from the agent that is shown, in characters.
const MAX_SHOWN: usize = 256;

/// The authorities of every trust domain whose peers can be verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TrustBundles {
    anchors: BTreeMap<TrustDomain, Vec<TrustAnchor<'static>>>,
    faults: Vec<BundleFault>,
}

/// A fault in a trust bundle of the last update.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BundleFault {
    trust_domain: String,
    problem: BundleProblem,
}

/// What is wrong with a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BundleProblem {
    /// Its name is not the SPIFFE ID of a trust domain.
    Name,
    /// A second bundle of one trust domain. The first one is used, and our own before any other.
    Second,
    /// None of its certificates can be read.
    Unusable,
    /// This many of its certificates cannot be read; the others are used.
    Partly(usize),
}

impl BundleFault {
    /// The trust domain, or the invalid name, without control characters.
    pub fn trust_domain(&self) -> &str {
        &self.trust_domain
    }

    /// What is wrong with its bundle.
    pub const fn problem(&self) -> BundleProblem {
        self.problem
    }
}

impl fmt::Display for BundleFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.trust_domain;
        match self.problem {
            BundleProblem::Name => {
                write!(f, "{name} is not a trust domain: its bundle is left out")
            }
            BundleProblem::Second => {
                write!(f, "{name} has more than one bundle: only the first is in use")
            }
            BundleProblem::Unusable => write!(
                f,
                "the bundle of {name} has no certificate that can be read: its peers are refused"
            ),
            BundleProblem::Partly(unreadable) => write!(
                f,
                "the bundle of {name} has {unreadable} certificate(s) that cannot be read: the others are in use"
            ),
        }
    }
}

impl TrustBundles {
    /// Adds a bundle: concatenated DER certificates.
    pub(super) fn add(&mut self, domain: TrustDomain, der: &[u8]) {
        if self.anchors.contains_key(&domain) {
            return self.fault(domain.as_ref(), BundleProblem::Second);
        }
        let (anchors, unreadable) = authorities(der);
        if anchors.is_empty() {
            return self.fault(domain.as_ref(), BundleProblem::Unusable);
        }
        if unreadable > 0 {
            self.fault(domain.as_ref(), BundleProblem::Partly(unreadable));
        }
        self.anchors.insert(domain, anchors);
    }

    /// Adds the bundle of a foreign trust domain, with the name from the agent.
    pub(super) fn add_named(&mut self, name: &[u8], der: &[u8]) {
        match std::str::from_utf8(name).ok().and_then(canonical) {
            Some(domain) => self.add(domain, der),
            None => self.fault(&String::from_utf8_lossy(name), BundleProblem::Name),
        }
    }

    /// Adds parsed authorities.
    pub(super) fn insert(&mut self, domain: TrustDomain, anchors: Vec<TrustAnchor<'static>>) {
        self.anchors.insert(domain, anchors);
    }

    /// The authorities of `domain`; `None` if there is no bundle of it.
    pub(super) fn anchors(&self, domain: &TrustDomain) -> Option<&[TrustAnchor<'static>]> {
        self.anchors.get(domain).map(Vec::as_slice)
    }

    /// The trust domains whose peers can be verified.
    pub(super) fn trust_domains(&self) -> impl Iterator<Item = &TrustDomain> {
        self.anchors.keys()
    }

    /// The faults of these bundles.
    pub(super) fn faults(&self) -> &[BundleFault] {
        &self.faults
    }

    /// Whether both trust the same authorities.
    pub(super) fn same_anchors(&self, other: &Self) -> bool {
        self.anchors == other.anchors
    }

    fn fault(&mut self, name: &str, problem: BundleProblem) {
        let trust_domain = name.escape_debug().take(MAX_SHOWN).collect();
        let fault = BundleFault { trust_domain, problem };
        // Sorted, so that the order of faults does not matter.
        if let Err(place) = self.faults.binary_search(&fault) {
            self.faults.insert(place, fault);
        }
    }
}

/// The trust domain of this name. Capitals are refused (SPIFFE ID standard, section 2.1): otherwise two names could
/// mean one trust domain.
fn canonical(name: &str) -> Option<TrustDomain> {
    let domain = TrustDomain::new(name).ok()?;
    let bare = name.strip_prefix("spiffe://").unwrap_or(name);
    (bare == domain.as_ref()).then_some(domain)
}

/// The readable certificates of a bundle, and the number of the others.
fn authorities(der: &[u8]) -> (Vec<TrustAnchor<'static>>, usize) {
    let (mut anchors, mut unreadable) = (Vec::new(), 0);
    let mut rest = der;
    while !rest.is_empty() {
        let length = match Any::from_der(rest) {
            Ok((after, _)) => rest.len() - after.len(),
            // The end of this one is unknown, and so is the start of the next.
            Err(_) => rest.len(),
        };
        let (certificate, after) = rest.split_at(length);
        match webpki::anchor_from_trusted_cert(&CertificateDer::from(certificate)) {
            Ok(anchor) => anchors.push(anchor.to_owned()),
            Err(_) => unreadable += 1,
        }
        rest = after;
    }
    (anchors, unreadable)
}
