//! What a peer's certificate must be, and who may connect at all.
//!
//! The rules are those of the SPIFFE X.509-SVID standard, sections 2, 4 and 5, as upstream applies them (wire-api 2.1).

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rustls::pki_types::{CertificateDer, UnixTime};
use spiffe::SpiffeId;
use spike_domain::{Role, TrustRootsByRole};
use time::OffsetDateTime;
use x509_parser::{certificate::Validity, extensions::GeneralName, prelude::X509Certificate};

use super::{pause::Pause, peer_error::PeerError, words};
use crate::{
    budget::Class,
    svid::{Material, SvidSource},
};

/// Who may be on the other end of a connection. An argument of every listener and client, never a default.
#[derive(Clone, Debug)]
pub enum PeerRule {
    /// Any SVID of a trust domain whose bundle this process holds. Only for a listener that authorizes each request.
    AnySvid,
    /// Only these roles.
    Roles(&'static [Role], Arc<TrustRootsByRole>),
}

impl PeerRule {
    /// Whether `id` may connect.
    pub fn accepts(&self, id: &str) -> bool {
        match self {
            Self::AnySvid => true,
            Self::Roles(roles, roots) => roles.iter().any(|role| roots.hold(*role, id)),
        }
    }

    /// Who may connect, and by which settings, for whoever was refused.
    fn expected(&self) -> String {
        let Self::Roles(roles, roots) = self else { return "any SVID".to_owned() };
        let ids = roles.iter().flat_map(|role| roots.of(*role).ids(*role));
        let variables = roles.iter().map(|role| role.variable());
        format!(
            "{} or below ({})",
            ids.collect::<Vec<_>>().join(" or "),
            variables.collect::<Vec<_>>().join(", ")
        )
    }
}

/// The verified process at the other end of a connection. Clones share what they know.
///
/// That it was verified once is not enough: an SVID ends, and a trust bundle can lose the authority that issued it. So
/// [`Self::check`] is asked for every request.
#[derive(Clone)]
pub struct Peer(Arc<Inner>);

struct Inner {
    id: Arc<str>,
    not_after: OffsetDateTime,
    class: Class,
    evidence: Option<Evidence>,
    pause: Pause,
}

/// What it takes to verify the peer again.
struct Evidence {
    chain: Vec<CertificateDer<'static>>,
    source: SvidSource,
    rule: PeerRule,
    /// The generation of the trust bundles by which it was verified last.
    verified: AtomicU64,
}

/// Why a peer that was verified is not trusted any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityEnded {
    /// Its certificate is past its end.
    #[error("the X.509-SVID of this connection has ended")]
    Expired,
    /// The trust bundles have changed, and its certificate does not verify by the new ones.
    #[error("the X.509-SVID of this connection is no longer trusted: {0}")]
    Withdrawn(#[source] PeerError),
}

impl Peer {
    /// The SPIFFE ID that its certificate proved.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// The SPIFFE ID, to be kept beyond the request.
    pub fn shared_id(&self) -> Arc<str> {
        Arc::clone(&self.0.id)
    }

    /// When its SVID ends; its connection ends then too.
    pub fn not_after(&self) -> OffsetDateTime {
        self.0.not_after
    }

    /// Whether it may use what is kept back for operators, Nexus and Bootstrap.
    pub fn class(&self) -> Class {
        self.0.class
    }

    /// Whether its connection is read at the moment.
    pub fn pause(&self) -> &Pause {
        &self.0.pause
    }

    /// Whether its identity still stands at `now`. Costs two comparisons, and one verification of its certificates after each
    /// change of the trust bundles.
    ///
    /// # Errors
    /// [`IdentityEnded`]: the request must be refused and the connection ended.
    pub fn check(&self, now: OffsetDateTime) -> Result<(), IdentityEnded> {
        if now >= self.0.not_after {
            return Err(IdentityEnded::Expired);
        }
        let Some(Evidence { chain, source, rule, verified }) = &self.0.evidence else {
            return Ok(());
        };
        let generation = source.generation();
        if generation == verified.load(Ordering::Acquire) {
            return Ok(());
        }
        let (Some(material), Some((leaf, intermediates))) = (source.current(), chain.split_first())
        else {
            return Err(IdentityEnded::Withdrawn(PeerError::Malformed));
        };
        let at = u64::try_from(now.unix_timestamp()).unwrap_or_default();
        let at = UnixTime::since_unix_epoch(Duration::from_secs(at));
        verify(&material, leaf, intermediates, at, rule).map_err(IdentityEnded::Withdrawn)?;
        verified.store(generation, Ordering::Release);
        Ok(())
    }

    /// A peer that nobody verified, whose SVID never ends: for tests that send requests to routes without TLS.
    #[cfg(any(test, feature = "testing", feature = "fuzzing"))]
    pub fn unverified(id: &str) -> Self {
        Self::unverified_of(id, Class::Ordinary)
    }

    /// As [`Self::unverified`], of this class.
    #[cfg(any(test, feature = "testing", feature = "fuzzing"))]
    pub fn unverified_of(id: &str, class: Class) -> Self {
        Self(Arc::new(Inner {
            id: Arc::from(id),
            not_after: time::PrimitiveDateTime::MAX.assume_utc(),
            class,
            evidence: None,
            pause: Pause::none(),
        }))
    }

    /// Reads the peer from a leaf that [`verify`] has accepted, outside of every connection: nothing verifies it again.
    #[cfg(feature = "fuzzing")]
    pub(super) fn of_leaf(leaf: &CertificateDer<'_>) -> Result<Self, PeerError> {
        let (id, not_after) = identity(leaf)?;
        let (id, class) = (Arc::from(id), Class::Ordinary);
        let pause = Pause::none();
        Ok(Self(Arc::new(Inner { id, not_after, class, evidence: None, pause })))
    }

    /// Reads the peer from a chain that `verify` has accepted, at the latest by `generation` of the trust bundles of
    /// `source`.
    ///
    /// # Errors
    /// [`PeerError`] where the leaf of the chain has no SPIFFE ID.
    pub fn of(
        chain: &[CertificateDer<'_>],
        (source, rule, generation): (&SvidSource, &PeerRule, u64),
        class: impl FnOnce(&str) -> Class,
    ) -> Result<Self, PeerError> {
        let (id, not_after) = identity(chain.first().ok_or(PeerError::Malformed)?)?;
        Ok(Self(Arc::new(Inner {
            class: class(&id),
            id: Arc::from(id),
            not_after,
            evidence: Some(Evidence {
                chain: chain.iter().map(|der| der.clone().into_owned()).collect(),
                source: source.clone(),
                rule: rule.clone(),
                verified: AtomicU64::new(generation),
            }),
            pause: Pause::none(),
        })))
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Peer({})", self.0.id)
    }
}

/// Judges a certificate chain: the whole of wire-api 2.1, in one place for both directions.
///
/// # Errors
/// [`PeerError`] says which rule was broken.
pub(crate) fn verify(
    material: &Material,
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    now: UnixTime,
    rule: &PeerRule,
) -> Result<(), PeerError> {
    let certificate = parse(leaf)?;
    let id = spiffe_id(&certificate)?;
    if may_sign(&certificate)? {
        return Err(PeerError::SigningCertificate(id.to_string()));
    }
    let anchors = material
        .anchors(id.trust_domain())
        .ok_or_else(|| PeerError::UnknownTrustDomain(id.to_string()))?;
    let chain = |error: webpki::Error| match error {
        webpki::Error::CertExpired { .. } | webpki::Error::CertNotValidYet { .. }
            if !includes(certificate.validity(), now) =>
        {
            out_of_its_time(&id, certificate.validity(), now)
        }
        other => PeerError::Chain { id: id.to_string(), reason: words::of_chain(&other) },
    };
    webpki::EndEntityCert::try_from(leaf)
        .map_err(chain)?
        .verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            anchors,
            intermediates,
            now,
            AnyExtendedKeyUsage,
            None,
            None,
        )
        .map_err(chain)?;
    let id = id.to_string();
    if rule.accepts(&id) {
        Ok(())
    } else {
        Err(PeerError::Refused { id, expected: rule.expected() })
    }
}

fn includes(validity: &Validity, now: UnixTime) -> bool {
    let now = at(now);
    validity.not_before.to_datetime() <= now && now <= validity.not_after.to_datetime()
}

fn out_of_its_time(id: &SpiffeId, validity: &Validity, now: UnixTime) -> PeerError {
    PeerError::Times {
        id: id.to_string(),
        not_before: validity.not_before.to_datetime(),
        not_after: validity.not_after.to_datetime(),
        now: at(now),
    }
}

fn at(time: UnixTime) -> OffsetDateTime {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// Extended key usage is not restricted: go-spiffe does not look at it, and SVIDs without it exist.
struct AnyExtendedKeyUsage;

impl webpki::ExtendedKeyUsageValidator for AnyExtendedKeyUsage {
    fn validate(&self, _: webpki::KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}

fn parse<'a>(leaf: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, PeerError> {
    match x509_parser::parse_x509_certificate(leaf) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) | Err(_) => Err(PeerError::Malformed),
    }
}

/// The longest SPIFFE ID that is accepted, in bytes (SPIFFE ID standard, section 2.3).
const MAX_ID: usize = 2048;

/// The SPIFFE ID of a leaf, and when it ends.
fn identity(leaf: &CertificateDer<'_>) -> Result<(String, OffsetDateTime), PeerError> {
    let certificate = parse(leaf)?;
    let id = spiffe_id(&certificate)?.to_string();
    Ok((id, certificate.validity().not_after.to_datetime()))
}

fn spiffe_id(certificate: &X509Certificate<'_>) -> Result<SpiffeId, PeerError> {
    let Ok(names) = certificate.subject_alternative_name() else {
        return Err(PeerError::Malformed);
    };
    let uris: Vec<&str> = names
        .iter()
        .flat_map(|names| &names.value.general_names)
        .filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        })
        .collect();
    match uris.as_slice() {
        [uri] => {
            let shown = || uri.chars().take(256).collect();
            match SpiffeId::new(*uri) {
                // The parser folds capitals in the scheme and the trust domain, which the standard forbids.
                Ok(id) if uri.len() <= MAX_ID && id.to_string() == *uri => Ok(id),
                Ok(_) | Err(_) => Err(PeerError::NotASpiffeId(shown())),
            }
        }
        other => Err(PeerError::UriNames(other.len())),
    }
}

/// Whether the certificate may sign others: such a one is never a workload's.
fn may_sign(certificate: &X509Certificate<'_>) -> Result<bool, PeerError> {
    let (Ok(constraints), Ok(usage)) = (certificate.basic_constraints(), certificate.key_usage())
    else {
        return Err(PeerError::Malformed);
    };
    Ok(constraints.is_some_and(|constraints| constraints.value.ca)
        || usage.is_some_and(|usage| usage.value.key_cert_sign() || usage.value.crl_sign()))
}

#[cfg(test)]
mod tests;
