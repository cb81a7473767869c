//! The files of the authority: three PEM files, each readable by its owner only.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use spiffe::TrustDomain;
use time::OffsetDateTime;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use zeroize::Zeroizing;

use super::{Ca, CaError, JwtSigner};
use crate::private;

const ROOT: &str = "ca.pem";
const ROOT_KEY: &str = "ca-key.pem";
const JWT_KEY: &str = "jwt-key.pem";

impl Ca {
    /// Reads the authority saved in `dir`, or makes one and saves it there.
    ///
    /// # Errors
    /// As [`Ca::load`], [`Ca::new`] and [`Ca::save`]. An existing authority is never replaced.
    pub fn load_or_new(
        dir: &Path,
        trust_domain: TrustDomain,
        now: OffsetDateTime,
    ) -> Result<Self, CaError> {
        match fs::symlink_metadata(dir.join(ROOT)) {
            Ok(_) => Self::load(dir, trust_domain, now),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let ca = Self::new(trust_domain, now)?;
                ca.save(dir)?;
                Ok(ca)
            }
            Err(source) => Err(CaError::File { path: dir.join(ROOT), source }),
        }
    }

    /// Writes the authority into `dir`, which is made (0700) if it is missing. Files are 0600 and never half written;
    /// the root comes last, so that its presence means that the keys are there.
    ///
    /// # Errors
    /// [`CaError::File`] naming the file that could not be written.
    pub fn save(&self, dir: &Path) -> Result<(), CaError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|source| CaError::File { path: dir.to_owned(), source })?;
        write(dir, ROOT_KEY, &Zeroizing::new(self.key.serialize_pem()))?;
        write(dir, JWT_KEY, &self.jwt.expose_key_pem())?;
        write(dir, ROOT, &self.root_pem)
    }

    /// Reads the authority that [`Ca::save`] wrote into `dir`.
    ///
    /// # Errors
    /// [`CaError::File`] for a file that cannot be read; [`CaError::Content`] for one that is no PEM, belongs to
    /// another trust domain, has expired at `now`, or does not fit the others.
    pub fn load(
        dir: &Path,
        trust_domain: TrustDomain,
        now: OffsetDateTime,
    ) -> Result<Self, CaError> {
        let wrong = |name: &str, reason: &str| CaError::Content {
            path: dir.join(name),
            reason: reason.to_owned(),
        };
        let root_pem = read(dir, ROOT)?;
        let (_, pem) = x509_parser::pem::parse_x509_pem(root_pem.as_bytes())
            .map_err(|_invalid| wrong(ROOT, "not a PEM certificate"))?;
        let root_der = pem.contents;
        let (_, root) = X509Certificate::from_der(&root_der)
            .map_err(|_invalid| wrong(ROOT, "not an X.509 certificate"))?;
        if !speaks_for(&root, &trust_domain) {
            let reason = format!("not the root of trust domain {trust_domain}");
            return Err(wrong(ROOT, &reason));
        }
        if root.validity().not_after.timestamp() <= now.unix_timestamp() {
            return Err(wrong(ROOT, "the root certificate has expired"));
        }
        let key = KeyPair::from_pem_and_sign_algo(&read(dir, ROOT_KEY)?, &PKCS_ECDSA_P256_SHA256)
            .map_err(|_invalid| wrong(ROOT_KEY, "not an ECDSA P-256 key in PKCS#8 PEM"))?;
        if key.public_key_raw() != root.public_key().subject_public_key.data.as_ref() {
            return Err(wrong(ROOT_KEY, "not the key of the root certificate beside it"));
        }
        let jwt = JwtSigner::from_pem(&read(dir, JWT_KEY)?)
            .map_err(|_invalid| wrong(JWT_KEY, "not an ECDSA P-256 key in PKCS#8 PEM"))?;
        Ok(Self { trust_domain, root_der, root_pem: root_pem.to_string(), key, jwt })
    }
}

/// Whether the one URI of a root certificate is the trust domain.
fn speaks_for(root: &X509Certificate<'_>, trust_domain: &TrustDomain) -> bool {
    let Ok(Some(names)) = root.subject_alternative_name() else { return false };
    matches!(
        names.value.general_names.as_slice(),
        [GeneralName::URI(uri)] if *uri == trust_domain.id_string()
    )
}

fn read(dir: &Path, name: &str) -> Result<Zeroizing<String>, CaError> {
    let path = dir.join(name);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(source) => Err(CaError::File { path, source }),
    }
}

fn write(dir: &Path, name: &str, text: &str) -> Result<(), CaError> {
    let path = dir.join(name);
    private::replace(&path, text).map_err(|source| CaError::File { path, source })
}
