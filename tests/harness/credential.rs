//! An identity for tests: a certificate with its key, and the root to verify servers with.

use std::time::Duration;

use anyhow::Result;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use spiffe::SpiffeId;
use spike_dev::ca::{Ca, Defect, Svid};
use spike_mtls::{
    clock,
    svid::{Material, SvidSource},
};

/// A certificate and its key. The certificate may be valid or have a defect.
#[derive(Debug)]
pub struct Credential {
    id: SpiffeId,
    svid: Svid,
    root: Vec<u8>,
}

impl Credential {
    /// A valid X.509-SVID of `ca` for `id`, with the lifetime `ttl`.
    ///
    /// # Errors
    /// If `id` is of another trust domain than `ca`.
    pub fn valid(ca: &Ca, id: SpiffeId, ttl: Duration) -> Result<Self> {
        Self::named(ca, id, &[], ttl)
    }

    /// As [`Self::valid`], with DNS names beside the ID, for a server that is looked up by them.
    ///
    /// # Errors
    /// As [`Self::valid`], and for a name that is no DNS name.
    pub fn named(ca: &Ca, id: SpiffeId, names: &[&str], ttl: Duration) -> Result<Self> {
        let svid = ca.issue_with_names(&id, names, ttl, clock::now())?;
        Ok(Self { id, svid, root: ca.root_der().to_vec() })
    }

    /// A certificate of `ca` for `id` with one defect.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn defective(ca: &Ca, id: SpiffeId, defect: &Defect) -> Result<Self> {
        let svid = ca.issue_defective(&id, defect, clock::now())?;
        Ok(Self { id, svid, root: ca.root_der().to_vec() })
    }

    /// The certificate chain, leaf first.
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![CertificateDer::from(self.svid.certificate_der().to_vec())]
    }

    /// A copy of the private key.
    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.svid.expose_key_der().to_vec()).into()
    }

    /// The credential as the identity of a client or listener of ours: it never rotates, and trusts the root that
    /// signed it for the trust domain of its own ID.
    ///
    /// # Errors
    /// If the certificate is invalid.
    pub fn source(&self) -> Result<SvidSource> {
        let bundle = (self.id.trust_domain().clone(), vec![self.root.clone()]);
        let material = Material::from_der(self.id.clone(), self.chain(), &self.key(), [bundle])?;
        Ok(SvidSource::fixed(material))
    }
}
