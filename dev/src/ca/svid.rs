//! X.509-SVIDs: valid ones, and one for each defect that a verifier must refuse.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use spiffe::SpiffeId;
use time::OffsetDateTime;
use zeroize::{Zeroize, Zeroizing};

use super::{Ca, CaError, validity};

/// The lifetime of a defective certificate, unless its dates are the defect.
const DEFECTIVE_LIFETIME: Duration = Duration::from_hours(1);

/// The only defect of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Defect {
    /// Ended an hour ago.
    Expired,
    /// Begins in an hour.
    NotYetValid,
    /// A second URI SAN beside the ID asked for.
    TwoUriSans(SpiffeId),
    /// `cA` is true and the key may sign certificates.
    CaAsLeaf,
    /// No subject alternative name at all.
    NoUriSan,
    /// Our root signed the ID of another trust domain.
    OtherTrustDomain,
}

/// An X.509-SVID: a leaf certificate, signed by the root, and its private key.
#[derive(Debug)]
pub struct Svid {
    certificate: rcgen::Certificate,
    key: KeyPair,
    not_after: OffsetDateTime,
}

impl Svid {
    /// The certificate, DER.
    pub fn certificate_der(&self) -> &[u8] {
        self.certificate.der()
    }

    /// The certificate, PEM.
    pub fn certificate_pem(&self) -> String {
        self.certificate.pem()
    }

    /// Lends the private key, PKCS#8 DER.
    pub fn expose_key_der(&self) -> &[u8] {
        self.key.serialized_der()
    }

    /// The private key, PKCS#8 PEM.
    pub fn expose_key_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.key.serialize_pem())
    }

    /// The last second in which the certificate is valid.
    pub const fn not_after(&self) -> OffsetDateTime {
        self.not_after
    }
}

impl Drop for Svid {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl Ca {
    /// An X.509-SVID with a new key for `id`, valid from a little before `now` until `ttl` after it.
    ///
    /// # Errors
    /// [`CaError::ForeignId`] for an ID of another trust domain or without a path, [`CaError::Lifetime`] for less
    /// than a second.
    pub fn issue(
        &self,
        id: &SpiffeId,
        ttl: Duration,
        now: OffsetDateTime,
    ) -> Result<Svid, CaError> {
        self.issue_with_names(id, &[], ttl, now)
    }

    /// As [`Ca::issue`], with DNS names beside the ID.
    ///
    /// # Errors
    /// As [`Ca::issue`], and for a name that is no DNS name.
    pub fn issue_with_names(
        &self,
        id: &SpiffeId,
        names: &[&str],
        ttl: Duration,
        now: OffsetDateTime,
    ) -> Result<Svid, CaError> {
        self.check_member(id)?;
        let mut params = leaf(&[id], validity(now, ttl)?)?;
        for name in names {
            params.subject_alt_names.push(SanType::DnsName((*name).try_into()?));
        }
        self.sign(&params)
    }

    /// A certificate for `id` with one defect, for tests of verifiers.
    ///
    /// # Errors
    /// [`CaError`] when it cannot be made. Any ID is accepted.
    pub fn issue_defective(
        &self,
        id: &SpiffeId,
        odd: &Defect,
        now: OffsetDateTime,
    ) -> Result<Svid, CaError> {
        let valid = validity(now, DEFECTIVE_LIFETIME)?;
        let params = match odd {
            Defect::Expired => {
                leaf(&[id], validity(now - 2 * DEFECTIVE_LIFETIME, DEFECTIVE_LIFETIME)?)?
            }
            Defect::NotYetValid => {
                leaf(&[id], validity(now + 2 * DEFECTIVE_LIFETIME, DEFECTIVE_LIFETIME)?)?
            }
            Defect::TwoUriSans(second) => leaf(&[id, second], valid)?,
            Defect::NoUriSan => leaf(&[], valid)?,
            Defect::OtherTrustDomain => leaf(&[id], valid)?,
            Defect::CaAsLeaf => {
                let mut params = leaf(&[id], valid)?;
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                params.key_usages.push(KeyUsagePurpose::KeyCertSign);
                params
            }
        };
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Result<Svid, CaError> {
        let key = KeyPair::generate()?;
        let issuer = Issuer::from_ca_cert_der(&self.root_der.as_slice().into(), &self.key)?;
        let certificate = params.signed_by(&key, &issuer)?;
        Ok(Svid { certificate, key, not_after: params.not_after })
    }
}

/// A leaf certificate by the X.509-SVID standard (sections 2, 3.1, 4): a URI SAN, no CA, critical `digitalSignature`.
fn leaf(
    ids: &[&SpiffeId],
    (not_before, not_after): (OffsetDateTime, OffsetDateTime),
) -> Result<CertificateParams, CaError> {
    let mut params = CertificateParams::default();
    params.not_before = not_before;
    params.not_after = not_after;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "spike-dev");
    for id in ids {
        params.subject_alt_names.push(SanType::URI(id.to_string().try_into()?));
    }
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}
