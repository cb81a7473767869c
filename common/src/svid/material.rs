//! One generation of identity: a certificate chain with its key, and the trust bundles to judge peers by.

use std::{collections::BTreeMap, fmt, sync::Arc};

use rustls::{
    crypto::aws_lc_rs::sign::any_supported_type,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, TrustAnchor},
    sign::CertifiedKey,
};
use spiffe::{SpiffeId, TrustDomain, X509Context};
use time::OffsetDateTime;

/// What a process proves itself with and judges its peers by, as of one moment. It never changes once made.
#[derive(Clone)]
pub struct Material {
    id: SpiffeId,
    certified_key: Arc<CertifiedKey>,
    anchors: BTreeMap<TrustDomain, Vec<TrustAnchor<'static>>>,
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
    /// The certificate does not parse.
    #[error("the X.509-SVID is not a valid certificate")]
    Certificate,
    /// The private key is of a kind that TLS cannot use.
    #[error("the key of the X.509-SVID cannot be used")]
    Key(#[source] rustls::Error),
    /// A trust bundle holds no usable authority.
    #[error("the trust bundle of {0} has a certificate that is not an authority")]
    Bundle(TrustDomain),
}

impl Material {
    /// Takes what the Workload API sent. When it offers several SVIDs the first is used, as upstream does.
    ///
    /// # Errors
    /// [`MaterialError`] names the part that is missing or unusable.
    pub fn from_context(context: &X509Context) -> Result<Self, MaterialError> {
        let svid = context.default_svid().ok_or(MaterialError::NoSvid)?;
        let chain =
            svid.cert_chain().iter().map(|der| CertificateDer::from(der.as_bytes().to_vec()));
        let key = PrivatePkcs8KeyDer::from(svid.private_key().as_bytes());
        let bundles = context.bundle_set().iter().map(|(domain, bundle)| {
            let authorities =
                bundle.authorities().iter().map(|der| der.as_bytes().to_vec()).collect();
            (domain.clone(), authorities)
        });
        let mut material =
            Self::from_der(svid.spiffe_id().clone(), chain.collect(), &key.into(), bundles)?;
        material.offered = context.svids().len();
        Ok(material)
    }

    /// Builds material from DER: the chain with the leaf first, its key, and per trust domain the DER of its authorities.
    ///
    /// # Errors
    /// [`MaterialError`] names the part that is missing or unusable.
    pub fn from_der(
        id: SpiffeId,
        chain: Vec<CertificateDer<'static>>,
        key: &PrivateKeyDer<'_>,
        bundles: impl IntoIterator<Item = (TrustDomain, Vec<Vec<u8>>)>,
    ) -> Result<Self, MaterialError> {
        let leaf = chain.first().ok_or(MaterialError::NoSvid)?;
        let (not_before, not_after) = validity(leaf)?;
        let key = any_supported_type(key).map_err(MaterialError::Key)?;
        let anchors = bundles
            .into_iter()
            .map(|(domain, authorities)| {
                let anchors = authorities
                    .iter()
                    .map(|der| {
                        webpki::anchor_from_trusted_cert(&CertificateDer::from(der.as_slice()))
                            .map(|anchor| anchor.to_owned())
                    })
                    .collect::<Result<Vec<_>, _>>();
                match anchors {
                    Ok(anchors) => Ok((domain, anchors)),
                    Err(_) => Err(MaterialError::Bundle(domain)),
                }
            })
            .collect::<Result<_, _>>()?;
        let certified_key = Arc::new(CertifiedKey::new(chain, key));
        Ok(Self { id, certified_key, anchors, not_before, not_after, offered: 1 })
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
        self.anchors.keys()
    }

    /// The certificate chain and key, for a handshake.
    pub(crate) const fn certified_key(&self) -> &Arc<CertifiedKey> {
        &self.certified_key
    }

    /// The authorities of `domain`, or `None` where its bundle is not known.
    pub(crate) fn anchors(&self, domain: &TrustDomain) -> Option<&[TrustAnchor<'static>]> {
        self.anchors.get(domain).map(Vec::as_slice)
    }

    /// Whether `other` trusts the same authorities.
    pub(crate) fn same_bundles(&self, other: &Self) -> bool {
        self.anchors == other.anchors
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
