//! One generation of identity: a certificate chain with its key, and the trust bundles to verify peers by.

use std::{fmt, sync::Arc};

use rustls::{
    InconsistentKeys,
    crypto::aws_lc_rs::sign::any_supported_type,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, TrustAnchor},
    sign::CertifiedKey,
};
use spiffe::{SpiffeId, TrustDomain, X509Svid, X509SvidError};
use time::OffsetDateTime;

use super::{
    bundle_changes::BundleChanges,
    bundles::{BundleFault, TrustBundles},
    message::X509SvidResponse,
};

/// The SVID of a process and the trust bundles, at one moment. It never changes.
#[derive(Clone)]
pub struct Material {
    id: SpiffeId,
    certified_key: Arc<CertifiedKey>,
    bundles: TrustBundles,
    not_before: OffsetDateTime,
    not_after: OffsetDateTime,
    offered: usize,
}

/// Why an update of the Workload API cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MaterialError {
    /// The agent answered without an SVID.
    #[error("the Workload API sent no X.509-SVID")]
    NoSvid,
    /// The chain is not an X.509-SVID.
    #[error("the X.509-SVID of this process cannot be used: {0}")]
    Svid(#[source] X509SvidError),
    /// The certificate does not parse.
    #[error("the X.509-SVID is not a valid certificate")]
    Certificate,
    /// TLS cannot use this kind of private key.
    #[error("the key of the X.509-SVID cannot be used")]
    Key(#[source] rustls::Error),
    /// The private key belongs to another certificate.
    #[error("the key of the X.509-SVID is not that of its certificate")]
    OtherKey,
    /// The trust bundle of the process's own trust domain has no valid authority.
    #[error(
        "the trust bundle of {0}, this process's own trust domain, has no certificate that can be read"
    )]
    OwnBundle(TrustDomain),
    /// A trust bundle has no valid authority.
    #[error("the trust bundle of {0} has a certificate that is not an authority")]
    Bundle(TrustDomain),
}

impl Material {
    /// Reads an update of the Workload API. Of several SVIDs the first is used, as upstream does.
    ///
    /// Only that SVID and the bundle of its trust domain must be valid. Any other invalid bundle is omitted and listed
    /// in [`Self::bundle_faults`].
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
            // The other SVIDs are not used, so an unreadable one is ignored. Each brings the bundle of its trust
            // domain.
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

    /// Builds material from DER: the chain with the leaf first, its key, and the authorities of each trust domain.
    /// Every authority must be valid.
    ///
    /// # Errors
    /// [`MaterialError`] names the missing or invalid part.
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
        // With another key every handshake would fail, and nothing else would tell.
        if let Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) =
            certified_key.keys_match()
        {
            return Err(MaterialError::OtherKey);
        }
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

    /// How many SVIDs the agent offered; the first one is used.
    pub const fn offered(&self) -> usize {
        self.offered
    }

    /// The trust domains whose peers can be verified.
    pub fn trust_domains(&self) -> impl Iterator<Item = &TrustDomain> {
        self.bundles.trust_domains()
    }

    /// The same, with the process's own trust domain first, as text.
    pub fn held_trust_domains(&self) -> Vec<String> {
        let own = self.id.trust_domain();
        let others = self.trust_domains().filter(|domain| *domain != own);
        std::iter::once(own).chain(others).map(ToString::to_string).collect()
    }

    /// How the bundles differ from those of `before`.
    pub(super) fn bundle_changes(&self, before: &Self) -> BundleChanges {
        BundleChanges::between(&before.bundles, &self.bundles)
    }

    /// The faults in the bundles of the last update; normally none.
    pub fn bundle_faults(&self) -> &[BundleFault] {
        self.bundles.faults()
    }

    /// The certificate chain and key, for a handshake.
    pub(crate) const fn certified_key(&self) -> &Arc<CertifiedKey> {
        &self.certified_key
    }

    /// The authorities of `domain`; `None` if there is no bundle of it.
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
