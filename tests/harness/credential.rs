//! An identity to hold in one's hands: a certificate with its key, and what to judge servers by.

use std::time::Duration;

use anyhow::Result;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use spiffe::SpiffeId;
use spike_dev::ca::{Ca, Odd, Svid};
use spike_mtls::{
    clock,
    svid::{Material, SvidSource},
};

/// A certificate and its key. What it claims may be sound or not.
#[derive(Debug)]
pub struct Credential {
    id: SpiffeId,
    svid: Svid,
    root: Vec<u8>,
}

impl Credential {
    /// A sound X.509-SVID of `ca` for `id`, good for `ttl`.
    ///
    /// # Errors
    /// Where `ca` does not speak for `id`.
    pub fn sound(ca: &Ca, id: SpiffeId, ttl: Duration) -> Result<Self> {
        Self::named(ca, id, &[], ttl)
    }

    /// As [`Self::sound`], with DNS names beside the ID, for a server that is looked up by them.
    ///
    /// # Errors
    /// As [`Self::sound`], and for what is no DNS name.
    pub fn named(ca: &Ca, id: SpiffeId, names: &[&str], ttl: Duration) -> Result<Self> {
        let svid = ca.issue_with_names(&id, names, ttl, clock::now())?;
        Ok(Self { id, svid, root: ca.root_der().to_vec() })
    }

    /// A certificate of `ca` for `id` with one thing wrong with it.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn odd(ca: &Ca, id: SpiffeId, odd: &Odd) -> Result<Self> {
        let svid = ca.issue_odd(&id, odd, clock::now())?;
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
    /// Where the certificate is none.
    pub fn source(&self) -> Result<SvidSource> {
        let bundle = (self.id.trust_domain().clone(), vec![self.root.clone()]);
        let material = Material::from_der(self.id.clone(), self.chain(), &self.key(), [bundle])?;
        Ok(SvidSource::fixed(material))
    }
}
