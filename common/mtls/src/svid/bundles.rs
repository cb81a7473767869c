//! Trust bundles: the authorities of each trust domain, and what was wrong with those that cannot be used.
//!
//! A bundle is a set of certificates, and a peer is accepted if any one of them signed for it. So leaving out a
//! certificate that does not decode can only refuse peers, never admit one. That is why the rest of such a bundle stays in
//! use: the foreign trust domain keeps working as far as it can, and the fault is reported. A bundle in which nothing
//! decodes is left out, and the authorities that its trust domain had before are not kept: the agent has replaced them.

use std::{collections::BTreeMap, fmt};

use rustls::pki_types::{CertificateDer, TrustAnchor};
use spiffe::TrustDomain;
use x509_parser::asn1_rs::{Any, FromDer};

/// How much of a name that the agent sent is shown, in characters.
const SHOWN: usize = 256;

/// The authorities of every trust domain whose peers can be judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TrustBundles {
    anchors: BTreeMap<TrustDomain, Vec<TrustAnchor<'static>>>,
    faults: Vec<BundleFault>,
}

/// A trust bundle of the last update that could not be used, or not whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BundleFault {
    trust_domain: String,
    problem: BundleProblem,
}

/// What is wrong with a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BundleProblem {
    /// Its key is not the SPIFFE ID of a trust domain.
    Name,
    /// It is a second one for a trust domain that has one already. The first one counts, and ours before any other.
    Second,
    /// No certificate in it can be read.
    Unusable,
    /// This many of its certificates cannot be read; the others are in use.
    Partly(usize),
}

impl BundleFault {
    /// The trust domain, or what was sent in its place, without control characters.
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
    /// Takes a bundle: DER, one certificate after the other.
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

    /// Takes the bundle of a foreign trust domain under the name that the agent sent.
    pub(super) fn add_named(&mut self, name: &[u8], der: &[u8]) {
        match std::str::from_utf8(name).ok().and_then(canonical) {
            Some(domain) => self.add(domain, der),
            None => self.fault(&String::from_utf8_lossy(name), BundleProblem::Name),
        }
    }

    /// Takes authorities that were read already.
    pub(super) fn insert(&mut self, domain: TrustDomain, anchors: Vec<TrustAnchor<'static>>) {
        self.anchors.insert(domain, anchors);
    }

    /// The authorities of `domain`, or `None` where its bundle is not known.
    pub(super) fn anchors(&self, domain: &TrustDomain) -> Option<&[TrustAnchor<'static>]> {
        self.anchors.get(domain).map(Vec::as_slice)
    }

    /// The trust domains whose peers can be judged.
    pub(super) fn trust_domains(&self) -> impl Iterator<Item = &TrustDomain> {
        self.anchors.keys()
    }

    /// What could not be used.
    pub(super) fn faults(&self) -> &[BundleFault] {
        &self.faults
    }

    /// Whether the same authorities are trusted.
    pub(super) fn same_anchors(&self, other: &Self) -> bool {
        self.anchors == other.anchors
    }

    fn fault(&mut self, name: &str, problem: BundleProblem) {
        let trust_domain = name.escape_debug().take(SHOWN).collect();
        let fault = BundleFault { trust_domain, problem };
        // Sorted, so that the same faults in another order are the same faults.
        if let Err(place) = self.faults.binary_search(&fault) {
            self.faults.insert(place, fault);
        }
    }
}

/// The trust domain of this name. Capitals are refused, as the SPIFFE ID standard says (section 2.1): folded, two names
/// could be one trust domain.
fn canonical(name: &str) -> Option<TrustDomain> {
    let domain = TrustDomain::new(name).ok()?;
    let bare = name.strip_prefix("spiffe://").unwrap_or(name);
    (bare == domain.as_ref()).then_some(domain)
}

/// The certificates of a bundle that can be read, and how many cannot.
fn authorities(der: &[u8]) -> (Vec<TrustAnchor<'static>>, usize) {
    let (mut anchors, mut unreadable) = (Vec::new(), 0);
    let mut rest = der;
    while !rest.is_empty() {
        let length = match Any::from_der(rest) {
            Ok((after, _)) => rest.len() - after.len(),
            // Where this one ends is unknown, and with it where the next begins.
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
