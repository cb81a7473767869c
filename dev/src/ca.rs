//! The certificate authority of one trust domain, for development and tests.
//!
//! Owns the root certificate, the key that signs JWT-SVIDs, and their files, which a restarted cluster reads again. Makes valid
//! X.509-SVIDs ([`Ca::issue`]) and, for tests, defective ones ([`Ca::issue_defective`]). [`crate::workload_api`] decides who
//! gets which SPIFFE ID. Not for production: the keys are in plain files.

mod files;
mod jwt;
mod svid;
#[cfg(test)]
pub(crate) mod tests;

use std::path::PathBuf;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose,
    SanType,
};
use spiffe::{SpiffeId, TrustDomain};
use time::OffsetDateTime;
use zeroize::Zeroize;

use jwt::JwtSigner;
pub use jwt::{Claims, JwtAuthority, JwtError};
pub(crate) use jwt::{jwks, verify as verify_jwt};
pub use svid::{Defect, Svid};

/// How long a root certificate lasts.
const ROOT_LIFETIME: Duration = Duration::from_hours(24 * 3650);

/// How far certificates are dated back, so that a verifier with a slightly slow clock accepts them.
pub const BACKDATED: Duration = Duration::from_secs(10);

/// Why the certificate authority failed.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// A key or certificate could not be made or read.
    #[error("cannot make or read a key or certificate")]
    Certificate(#[from] rcgen::Error),
    /// The key for JWT-SVIDs was refused.
    #[error(transparent)]
    Jwt(#[from] JwtError),
    /// A SPIFFE ID of another trust domain, or one without a path.
    #[error("{id}: not a workload of trust domain {trust_domain}")]
    ForeignId {
        /// The refused ID.
        id: SpiffeId,
        /// The trust domain of this authority.
        trust_domain: TrustDomain,
    },
    /// A lifetime of less than a second, or past the year 9999.
    #[error("{0:?}: not a usable lifetime")]
    Lifetime(Duration),
    /// A file could not be read or written.
    #[error("{}: cannot read or write", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The content of a file is wrong.
    #[error("{}: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// The public keys with which others verify the SVIDs of one trust domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustBundle {
    /// The trust domain.
    pub trust_domain: TrustDomain,
    /// The root certificates, DER, one after the other.
    pub x509_authorities: Vec<u8>,
    /// The keys that sign JWT-SVIDs.
    pub jwt_authorities: Vec<JwtAuthority>,
}

/// The certificate authority of one trust domain.
#[derive(Debug)]
pub struct Ca {
    trust_domain: TrustDomain,
    root_der: Vec<u8>,
    root_pem: String,
    key: KeyPair,
    jwt: JwtSigner,
}

impl Ca {
    /// Makes a new root and a new key for JWT-SVIDs (both ECDSA P-256), valid for ten years from `now`.
    ///
    /// # Errors
    /// [`CaError`] when the random source or the clock is unusable.
    pub fn new(trust_domain: TrustDomain, now: OffsetDateTime) -> Result<Self, CaError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        (params.not_before, params.not_after) = validity(now, ROOT_LIFETIME)?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "spike-dev");
        params.distinguished_name.push(DnType::CommonName, format!("{trust_domain} CA"));
        params.subject_alt_names = vec![SanType::URI(trust_domain.id_string().try_into()?)];
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let root = params.self_signed(&key)?;
        Ok(Self {
            trust_domain,
            root_der: root.der().to_vec(),
            root_pem: root.pem(),
            key,
            jwt: JwtSigner::generate()?,
        })
    }

    /// The trust domain of this authority.
    pub const fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The root certificate, DER.
    pub fn root_der(&self) -> &[u8] {
        &self.root_der
    }

    /// The root certificate, PEM: the trust bundle for `curl --cacert`.
    pub fn root_pem(&self) -> &str {
        &self.root_pem
    }

    /// A JWT-SVID (ES256) for `id`, meant for each of `audience`, valid from `now` until `ttl` after it.
    ///
    /// # Errors
    /// As [`Ca::issue`].
    pub fn issue_jwt(
        &self,
        id: &SpiffeId,
        audience: &[String],
        ttl: Duration,
        now: OffsetDateTime,
    ) -> Result<String, CaError> {
        self.check_member(id)?;
        let (_, expires) = validity(now, ttl)?;
        Ok(self.jwt.sign(id, audience, now, expires)?)
    }

    /// The public keys, with which other trust domains federate.
    pub fn bundle(&self) -> TrustBundle {
        TrustBundle {
            trust_domain: self.trust_domain.clone(),
            x509_authorities: self.root_der.clone(),
            jwt_authorities: vec![self.jwt.authority().clone()],
        }
    }

    /// Refuses an ID that this authority cannot issue.
    fn check_member(&self, id: &SpiffeId) -> Result<(), CaError> {
        if is_workload(id, &self.trust_domain) {
            return Ok(());
        }
        Err(CaError::ForeignId { id: id.clone(), trust_domain: self.trust_domain.clone() })
    }
}

impl Drop for Ca {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

/// Whether a process of the trust domain can have this ID. The trust domain's own ID has no path and is for no process.
pub(crate) fn is_workload(id: &SpiffeId, trust_domain: &TrustDomain) -> bool {
    id.is_member_of(trust_domain) && !id.path().is_empty()
}

/// The first and last second of a certificate that is made at `now` and lasts for `ttl`.
///
/// Certificates count in whole seconds. The end is rounded up, so that a certificate of 2 s has not expired when the next one
/// comes after 1 s.
fn validity(
    now: OffsetDateTime,
    ttl: Duration,
) -> Result<(OffsetDateTime, OffsetDateTime), CaError> {
    let unusable = || CaError::Lifetime(ttl);
    if ttl < Duration::from_secs(1) {
        return Err(unusable());
    }
    let backdated = i64::try_from(BACKDATED.as_secs()).map_err(|_too_large| unusable())?;
    let nanos = i128::try_from(ttl.as_nanos())
        .ok()
        .and_then(|ttl| now.unix_timestamp_nanos().checked_add(ttl));
    let end = nanos
        .and_then(|nanos| nanos.checked_add(999_999_999))
        .and_then(|nanos| i64::try_from(nanos.div_euclid(1_000_000_000)).ok())
        .ok_or_else(unusable)?;
    match (
        OffsetDateTime::from_unix_timestamp(now.unix_timestamp().saturating_sub(backdated)),
        OffsetDateTime::from_unix_timestamp(end),
    ) {
        (Ok(start), Ok(end)) => Ok((start, end)),
        _ => Err(unusable()),
    }
}
