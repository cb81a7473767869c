//! One generation of identity: a certificate chain with its key, and the trust bundles to judge peers by.

use std::{fmt, sync::Arc};

use rustls::{
    crypto::aws_lc_rs::sign::any_supported_type,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, TrustAnchor},
    sign::CertifiedKey,
};
use spiffe::{SpiffeId, TrustDomain, X509Svid, X509SvidError};
use time::OffsetDateTime;

use super::{
    bundles::{BundleFault, TrustBundles},
    message::X509SvidResponse,
};

/// What a process proves itself with and judges its peers by, as of one moment. It never changes once made.
#[derive(Clone)]
pub struct Material {
    id: SpiffeId,
    certified_key: Arc<CertifiedKey>,
    bundles: TrustBundles,
    not_before: OffsetDateTime,
    not_after: OffsetDateTime,
    offered: usize,
}

/// Why what the Workload API sent cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MaterialError {
    /// The agent answered without an SVID.
    #[error("the Workload API sent no X.509-SVID")]
    NoSvid,
    /// The chain is not an X.509-SVID's.
    #[error("the X.509-SVID of this process cannot be used: {0}")]
    Svid(#[source] X509SvidError),
    /// The certificate does not parse.
    #[error("the X.509-SVID is not a valid certificate")]
    Certificate,
    /// The private key is of a kind that TLS cannot use.
    #[error("the key of the X.509-SVID cannot be used")]
    Key(#[source] rustls::Error),
    /// The trust bundle of the process's own trust domain holds no usable authority.
    #[error(
        "the trust bundle of {0}, this process's own trust domain, has no certificate that can be read"
    )]
    OwnBundle(TrustDomain),
    /// A trust bundle holds no usable authority.
    #[error("the trust bundle of {0} has a certificate that is not an authority")]
    Bundle(TrustDomain),
}

impl Material {
    /// Takes what the Workload API sent. When it offers several SVIDs the first is used, as upstream does.
    ///
    /// Only that SVID and the bundle of its trust domain must be sound. Any other bundle that cannot be used is left out
    /// and listed in [`Self::bundle_faults`].
    pub(super) fn from_response(response: &X509SvidResponse) -> Result<Self, MaterialError> {
        let [own, others @ ..] = response.svids.as_slice() else {
            return Err(MaterialError::NoSvid);
        };
        let svid = X509Svid::parse_from_der(&own.chain, &own.key).map_err(MaterialError::Svid)?;
        let chain = svid.cert_chain().iter();
        let chain = chain.map(|der| CertificateDer::from(der.as_bytes().to_vec())).collect();
        let key = PrivatePkcs8KeyDer::from(svid.private_key().as_bytes());
        let id = svid.spiffe_id().clone();

        let mut bundles = TrustBundles::default();
        let domain = id.trust_domain().clone();
        bundles.add(domain.clone(), &own.bundle);
        if bundles.anchors(&domain).is_none() {
            return Err(MaterialError::OwnBundle(domain));
        }
        for other in others {
            // The other SVIDs are not used, and an unreadable one harms nobody. The bundle comes with each of them.
            if let Ok(svid) = X509Svid::parse_from_der(&other.chain, &other.key)
                && svid.spiffe_id().trust_domain() != &domain
            {
                bundles.add(svid.spiffe_id().trust_domain().clone(), &other.bundle);
            }
        }
        for federated in &response.federated_bundles {
            bundles.add_named(&federated.trust_domain, &federated.bundle);
        }
        let mut material = Self::new(id, chain, &key.into(), bundles)?;
        material.offered = response.svids.len();
        Ok(material)
    }

    /// Builds material from DER: the chain with the leaf first, its key, and per trust domain the DER of its authorities.
    /// Every authority must be one.
    ///
    /// # Errors
    /// [`MaterialError`] names the part that is missing or unusable.
    pub fn from_der(
        id: SpiffeId,
        chain: Vec<CertificateDer<'static>>,
        key: &PrivateKeyDer<'_>,
        bundles: impl IntoIterator<Item = (TrustDomain, Vec<Vec<u8>>)>,
    ) -> Result<Self, MaterialError> {
        let mut read = TrustBundles::default();
        for (domain, authorities) in bundles {
            let anchors = authorities.iter().map(|der| {
                webpki::anchor_from_trusted_cert(&CertificateDer::from(der.as_slice()))
                    .map(|anchor| anchor.to_owned())
            });
            match anchors.collect() {
                Ok(anchors) => read.insert(domain, anchors),
                Err(_) => return Err(MaterialError::Bundle(domain)),
            }
        }
        Self::new(id, chain, key, read)
    }

    fn new(
        id: SpiffeId,
        chain: Vec<CertificateDer<'static>>,
        key: &PrivateKeyDer<'_>,
        bundles: TrustBundles,
    ) -> Result<Self, MaterialError> {
        let leaf = chain.first().ok_or(MaterialError::NoSvid)?;
        let (not_before, not_after) = validity(leaf)?;
        let key = any_supported_type(key).map_err(MaterialError::Key)?;
        let certified_key = Arc::new(CertifiedKey::new(chain, key));
        Ok(Self { id, certified_key, bundles, not_before, not_after, offered: 1 })
    }

    /// The SPIFFE ID that the certificate proves.
    pub const fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// When the SVID begins to be valid.
    pub const fn not_before(&self) -> OffsetDateTime {
        self.not_before
    }

    /// When the SVID ends.
    pub const fn not_after(&self) -> OffsetDateTime {
        self.not_after
    }

    /// How many SVIDs the agent offered; the first one is in use.
    pub const fn offered(&self) -> usize {
        self.offered
    }

    /// The trust domains whose peers can be judged.
    pub fn trust_domains(&self) -> impl Iterator<Item = &TrustDomain> {
        self.bundles.trust_domains()
    }

    /// The bundles of the last update that could not be used, or not whole. Empty is well.
    pub fn bundle_faults(&self) -> &[BundleFault] {
        self.bundles.faults()
    }

    /// The certificate chain and key, for a handshake.
    pub(crate) const fn certified_key(&self) -> &Arc<CertifiedKey> {
        &self.certified_key
    }

    /// The authorities of `domain`, or `None` where its bundle is not known.
    pub(crate) fn anchors(&self, domain: &TrustDomain) -> Option<&[TrustAnchor<'static>]> {
        self.bundles.anchors(domain)
    }

    /// Whether `other` trusts the same authorities.
    pub(crate) fn same_bundles(&self, other: &Self) -> bool {
        self.bundles.same_anchors(&other.bundles)
    }
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Material")
            .field("id", &self.id.to_string())
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

/// The validity period of a certificate.
pub(crate) fn validity(
    der: &CertificateDer<'_>,
) -> Result<(OffsetDateTime, OffsetDateTime), MaterialError> {
    match x509_parser::parse_x509_certificate(der) {
        Ok((_, certificate)) => {
            let validity = certificate.validity();
            Ok((validity.not_before.to_datetime(), validity.not_after.to_datetime()))
        }
        Err(_) => Err(MaterialError::Certificate),
    }
}
