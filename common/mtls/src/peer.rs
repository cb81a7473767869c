//! The rules for a peer's certificate, and for who may connect.
//!
//! They are those of the SPIFFE X.509-SVID standard, sections 2, 4 and 5, as upstream applies them (wire-api 2.1).

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
use spike_domain::{CoveredIds, Role, TrustRootsByRole};
use time::OffsetDateTime;
use x509_parser::{certificate::Validity, extensions::GeneralName, prelude::X509Certificate};

use super::{
    busy::{Busy, RequestInFlight},
    pause::Pause,
    peer_error::PeerError,
    tls_error,
};
use crate::{
    budget::Class,
    svid::{Material, SvidSource},
};

/// Which peers may connect. An argument of every listener and client, never a default.
#[derive(Clone, Debug)]
pub enum PeerRule {
    /// Any SVID of a trust domain whose bundle this process holds. Only for a listener that authorizes each request.
    AnySvid,
    /// Only these roles.
    Roles(&'static [Role], Arc<TrustRootsByRole>),
    /// Only these roles, and these SPIFFE IDs. Only for a listener that authorizes each request.
    RolesOr(&'static [Role], Arc<TrustRootsByRole>, Arc<CoveredIds>),
}

impl PeerRule {
    /// Whether `id` may connect.
    pub fn accepts(&self, id: &str) -> bool {
        match self {
            Self::AnySvid => true,
            Self::Roles(roles, roots) => roles.iter().any(|role| roots.hold(*role, id)),
            Self::RolesOr(roles, roots, others) => {
                roles.iter().any(|role| roots.hold(*role, id)) || others.cover(id)
            }
        }
    }

    /// Who may connect, and by which settings, for whoever was refused.
    fn expected(&self) -> String {
        // Of the other IDs nothing: whoever was refused need not know who else may come.
        let (Self::Roles(roles, roots) | Self::RolesOr(roles, roots, _)) = self else {
            return "any SVID".to_owned();
        };
        let ids = roles.iter().flat_map(|role| roots.of(*role).ids(*role));
        let variables = roles.iter().map(|role| role.variable());
        format!(
            "{} or below ({})",
            ids.collect::<Vec<_>>().join(" or "),
            variables.collect::<Vec<_>>().join(", ")
        )
    }
}

/// What the certificate of a verified peer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    /// Its SPIFFE ID.
    pub id: String,
    /// When it begins to be valid.
    pub not_before: OffsetDateTime,
    /// When it ends.
    pub not_after: OffsetDateTime,
}

impl PeerCertificate {
    /// Reads a leaf that [`verify`] has accepted.
    ///
    /// # Errors
    /// [`PeerError`] if it has no SPIFFE ID.
    pub(super) fn of(leaf: &CertificateDer<'_>) -> Result<Self, PeerError> {
        let certificate = parse(leaf)?;
        let id = spiffe_id(&certificate)?.to_string();
        let Validity { not_before, not_after } = certificate.validity();
        let (not_before, not_after) = (not_before.to_datetime(), not_after.to_datetime());
        Ok(Self { id, not_before, not_after })
    }
}

/// The verified process at the other end of a connection. Clones share their state.
///
/// One verification is not enough: an SVID ends, and a trust bundle can lose the authority that issued it. So every
/// request calls [`Self::check`].
#[derive(Clone)]
pub struct Peer(Arc<Inner>);

struct Inner {
    id: Arc<str>,
    not_after: OffsetDateTime,
    class: Class,
    evidence: Option<Evidence>,
    pause: Pause,
    busy: Busy,
}

/// What is needed to verify the peer again.
struct Evidence {
    chain: Vec<CertificateDer<'static>>,
    source: SvidSource,
    rule: PeerRule,
    /// The generation of the trust bundles of the last verification.
    verified: AtomicU64,
}

/// Why a verified peer is no longer trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityEnded {
    /// Its certificate has expired.
    #[error("the X.509-SVID of this connection has ended")]
    Expired,
    /// The trust bundles have changed, and the new ones do not verify its certificate.
    #[error("the X.509-SVID of this connection is no longer trusted: {0}")]
    Withdrawn(#[source] PeerError),
}

impl Peer {
    /// The SPIFFE ID that its certificate proves.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// The SPIFFE ID, to keep beyond the request.
    pub fn shared_id(&self) -> Arc<str> {
        Arc::clone(&self.0.id)
    }

    /// When its SVID ends, and its connection with it.
    pub fn not_after(&self) -> OffsetDateTime {
        self.0.not_after
    }

    /// Whether it may use the reserve for operators, Nexus and Bootstrap.
    pub fn class(&self) -> Class {
        self.0.class
    }

    /// The pause of its connection.
    pub fn pause(&self) -> &Pause {
        &self.0.pause
    }

    /// Begins a request in flight, which keeps its connection busy.
    pub fn begin_request(&self) -> RequestInFlight {
        self.0.busy.begin()
    }

    /// Whether its connection has requests in flight.
    pub fn is_busy(&self) -> bool {
        self.0.busy.is_busy()
    }

    /// Whether its identity is still valid at `now`. It costs two comparisons, and one verification of its certificates
    /// after each change of the trust bundles.
    ///
    /// # Errors
    /// [`IdentityEnded`]: the request must be refused and the connection closed.
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

    /// An unverified peer whose SVID never ends, for tests without TLS.
    #[cfg(any(test, feature = "testing", feature = "fuzzing"))]
    pub fn unverified(id: &str) -> Self {
        Self::unverified_of(id, Class::Ordinary)
    }

    /// As [`Self::unverified`], with this class.
    #[cfg(any(test, feature = "testing", feature = "fuzzing"))]
    pub fn unverified_of(id: &str, class: Class) -> Self {
        Self(Arc::new(Inner {
            id: Arc::from(id),
            not_after: time::PrimitiveDateTime::MAX.assume_utc(),
            class,
            evidence: None,
            pause: Pause::none(),
            busy: Busy::default(),
        }))
    }

    /// Reads the peer from a leaf that [`verify`] has accepted, without a connection: it is not verified again.
    #[cfg(feature = "fuzzing")]
    pub(super) fn of_leaf(leaf: &CertificateDer<'_>) -> Result<Self, PeerError> {
        let PeerCertificate { id, not_after, .. } = PeerCertificate::of(leaf)?;
        let (id, class) = (Arc::from(id), Class::Ordinary);
        let (pause, busy) = (Pause::none(), Busy::default());
        Ok(Self(Arc::new(Inner { id, not_after, class, evidence: None, pause, busy })))
    }

    /// Reads the peer from a chain that `verify` has accepted by `generation` of the trust bundles of `source`, or a
    /// later one.
    ///
    /// # Errors
    /// [`PeerError`] if the leaf has no SPIFFE ID.
    pub fn of(
        chain: &[CertificateDer<'_>],
        (source, rule, generation): (&SvidSource, &PeerRule, u64),
        class: impl FnOnce(&str) -> Class,
    ) -> Result<Self, PeerError> {
        let leaf = chain.first().ok_or(PeerError::Malformed)?;
        let PeerCertificate { id, not_after, .. } = PeerCertificate::of(leaf)?;
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
            busy: Busy::default(),
        })))
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Peer({})", self.0.id)
    }
}

/// Verifies a certificate chain, for both directions (wire-api 2.1).
///
/// # Errors
/// [`PeerError`] names the broken rule.
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
        other => PeerError::Chain { id: id.to_string(), reason: tls_error::of_chain(&other) },
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

/// Extended key usage is not checked: go-spiffe ignores it, and there are SVIDs without it.
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
pub const MAX_SPIFFE_ID: usize = 2048;

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
                // The parser lowers capitals in the scheme and the trust domain, which the standard forbids.
                Ok(id) if uri.len() <= MAX_SPIFFE_ID && id.to_string() == *uri => Ok(id),
                Ok(_) | Err(_) => Err(PeerError::NotASpiffeId(shown())),
            }
        }
        other => Err(PeerError::UriNames(other.len())),
    }
}

/// Whether the certificate may sign others. A workload's never may.
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
