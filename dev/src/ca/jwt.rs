//! JWT-SVIDs (ES256 only): signing, and verification for the validation call of the Workload API.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
    UnparsedPublicKey,
};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::{Map, Value, json};
use spiffe::SpiffeId;
use time::OffsetDateTime;
use zeroize::{Zeroize, Zeroizing};

/// The longest token, in bytes. Longer ones are refused without reading them.
const MAX_TOKEN: usize = 16 * 1024;

/// The body of a token whose signature has been verified.
pub type Claims = Map<String, Value>;

/// Why a token could not be made or is not accepted.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum JwtError {
    /// The key is not an ECDSA P-256 key, or the random source failed.
    #[error("unusable key for JWT-SVIDs")]
    Key,
    /// Not three base64url parts of JSON, or without a claim that every JWT-SVID has.
    #[error("not a JWT-SVID: {0}")]
    Malformed(&'static str),
    /// No trusted key of that trust domain made the signature, or the token was changed.
    #[error("token signature does not verify")]
    Signature,
    /// The token is for another audience.
    #[error("token is not for this audience")]
    Audience,
    /// It is past its end or before its beginning.
    #[error("token has expired or is not yet valid")]
    Time,
}

/// The public key of a signer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtAuthority {
    key_id: String,
    /// Uncompressed point: 0x04, x, y.
    point: Vec<u8>,
}

impl JwtAuthority {
    fn new(point: &[u8]) -> Result<Self, JwtError> {
        let mut authority = Self { key_id: String::new(), point: point.to_owned() };
        let (x, y) = authority.coordinates().ok_or(JwtError::Key)?;
        // RFC 7638: members in this order, no white space.
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        authority.key_id = BASE64.encode(digest(&SHA256, canonical.as_bytes()));
        Ok(authority)
    }

    /// The `kid`: the RFC 7638 thumbprint.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    fn coordinates(&self) -> Option<(String, String)> {
        let (format, coordinates) = self.point.split_first()?;
        let (x, y) = coordinates.split_at_checked(32)?;
        (*format == 4 && y.len() == 32).then(|| (BASE64.encode(x), BASE64.encode(y)))
    }

    fn jwk(&self) -> Option<Value> {
        let (x, y) = self.coordinates()?;
        Some(json!({
            "kty": "EC", "crv": "P-256", "x": x, "y": y,
            "kid": self.key_id, "use": "jwt-svid", "alg": "ES256",
        }))
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), JwtError> {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.point)
            .verify(message, signature)
            .map_err(|_unspecified| JwtError::Signature)
    }
}

/// A JWT bundle for the Workload API: a JWK set (RFC 7517).
pub(crate) fn jwks(authorities: &[JwtAuthority]) -> String {
    let keys: Vec<Value> = authorities.iter().filter_map(JwtAuthority::jwk).collect();
    json!({ "keys": keys }).to_string()
}

/// Signs JWT-SVIDs.
#[derive(Debug)]
pub(super) struct JwtSigner {
    pkcs8: KeyPair,
    key: EcdsaKeyPair,
    authority: JwtAuthority,
}

impl JwtSigner {
    pub(super) fn generate() -> Result<Self, JwtError> {
        Self::new(KeyPair::generate().map_err(|_unusable| JwtError::Key)?)
    }

    pub(super) fn from_pem(pem: &str) -> Result<Self, JwtError> {
        Self::new(
            KeyPair::from_pem_and_sign_algo(pem, &PKCS_ECDSA_P256_SHA256)
                .map_err(|_refused| JwtError::Key)?,
        )
    }

    fn new(pkcs8: KeyPair) -> Result<Self, JwtError> {
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.serialized_der())
                .map_err(|_refused| JwtError::Key)?;
        let authority = JwtAuthority::new(key.public_key().as_ref())?;
        Ok(Self { pkcs8, key, authority })
    }

    pub(super) fn expose_key_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.pkcs8.serialize_pem())
    }

    /// The public key that others verify with.
    pub(super) const fn authority(&self) -> &JwtAuthority {
        &self.authority
    }

    /// A JWT-SVID for `subject` and every one of `audience`, from `now` until `expires` (whole seconds).
    ///
    /// # Errors
    /// [`JwtError::Key`] when signing fails.
    pub(super) fn sign(
        &self,
        subject: &SpiffeId,
        audience: &[String],
        now: OffsetDateTime,
        expires: OffsetDateTime,
    ) -> Result<String, JwtError> {
        let header = json!({ "alg": "ES256", "kid": self.authority.key_id, "typ": "JWT" });
        let claims = json!({
            "sub": subject.to_string(),
            "aud": audience,
            "iat": now.unix_timestamp(),
            "exp": expires.unix_timestamp(),
        });
        let signed =
            format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
        let signature = self
            .key
            .sign(&SystemRandom::new(), signed.as_bytes())
            .map_err(|_refused| JwtError::Key)?;
        Ok(format!("{signed}.{}", BASE64.encode(signature)))
    }
}

impl Drop for JwtSigner {
    fn drop(&mut self) {
        self.pkcs8.zeroize();
    }
}

/// Verifies a token at `now` for `audience`; `trusted` gives the keys for the trust domain of its subject.
///
/// # Errors
/// [`JwtError`] says what is wrong with the token.
pub(crate) fn verify(
    token: &str,
    audience: &str,
    now: OffsetDateTime,
    trusted: impl Fn(&SpiffeId) -> Vec<JwtAuthority>,
) -> Result<(SpiffeId, Claims), JwtError> {
    if token.len() > MAX_TOKEN {
        return Err(JwtError::Malformed("too long"));
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(JwtError::Malformed("no parts"))?;
    let (header, claims) = signed.split_once('.').ok_or(JwtError::Malformed("no parts"))?;
    let (header, claims) = (object(header)?, object(claims)?);
    // Checked first: the verifier chooses the algorithm, not the token (RFC 8725, section 3.1).
    if header.get("alg").and_then(Value::as_str) != Some("ES256") {
        return Err(JwtError::Malformed("alg is not ES256"));
    }
    let key_id = header.get("kid").and_then(Value::as_str).ok_or(JwtError::Malformed("no kid"))?;
    let subject = claims
        .get("sub")
        .and_then(Value::as_str)
        .and_then(|sub| SpiffeId::new(sub).ok())
        .ok_or(JwtError::Malformed("sub is not a SPIFFE ID"))?;
    let signature = BASE64
        .decode(signature)
        .map_err(|_invalid| JwtError::Malformed("signature is not base64url"))?;
    trusted(&subject)
        .iter()
        .find(|authority| authority.key_id == key_id)
        .ok_or(JwtError::Signature)?
        .verify(signed.as_bytes(), &signature)?;

    let meant = match claims.get("aud") {
        Some(Value::String(one)) => one == audience,
        Some(Value::Array(several)) => several.iter().any(|one| one == audience),
        _ => return Err(JwtError::Malformed("no aud")),
    };
    if !meant {
        return Err(JwtError::Audience);
    }
    let expires = claims.get("exp").and_then(Value::as_i64).ok_or(JwtError::Malformed("no exp"))?;
    let begins = claims.get("nbf").map_or(Some(i64::MIN), Value::as_i64);
    let begins = begins.ok_or(JwtError::Malformed("nbf is not a number"))?;
    if !(begins..expires).contains(&now.unix_timestamp()) {
        return Err(JwtError::Time);
    }
    Ok((subject, claims))
}

fn object(part: &str) -> Result<Claims, JwtError> {
    let json = BASE64.decode(part).map_err(|_invalid| JwtError::Malformed("not base64url"))?;
    serde_json::from_slice(&json).map_err(|_invalid| JwtError::Malformed("not a JSON object"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use time::macros::datetime;

    use super::*;

    const NOON: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);
    const MINUTE: Duration = Duration::from_mins(1);

    fn app() -> SpiffeId {
        SpiffeId::new("spiffe://spike.ist/workload/app").unwrap()
    }

    fn check(signer: &JwtSigner, token: &str, now: OffsetDateTime) -> Result<SpiffeId, JwtError> {
        verify(token, "nexus", now, |_| vec![signer.authority().clone()]).map(|(id, _)| id)
    }

    /// Signs any header and body, as an attacker with a key of their own could.
    fn forge(signer: &JwtSigner, header: &Value, claims: &Value) -> String {
        let text = [header, claims].map(|part| BASE64.encode(part.to_string())).join(".");
        let signature = signer.key.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        format!("{text}.{}", BASE64.encode(signature))
    }

    fn claims() -> Value {
        json!({ "sub": app().to_string(), "aud": "nexus", "exp": NOON.unix_timestamp() + 60 })
    }

    fn header(signer: &JwtSigner) -> Value {
        json!({ "alg": "ES256", "kid": signer.authority().key_id() })
    }

    #[test]
    fn a_token_names_its_subject_until_it_expires() {
        let signer = JwtSigner::generate().unwrap();
        let audience = ["other".to_owned(), "nexus".to_owned()];
        let token = signer.sign(&app(), &audience, NOON, NOON + MINUTE).unwrap();
        assert_eq!(check(&signer, &token, NOON), Ok(app()));
        assert_eq!(check(&signer, &token, NOON + MINUTE - Duration::from_secs(1)), Ok(app()));
        assert_eq!(check(&signer, &token, NOON + MINUTE), Err(JwtError::Time));
    }

    #[test]
    fn a_token_for_others_or_by_others_is_refused() {
        let (signer, other) = (JwtSigner::generate().unwrap(), JwtSigner::generate().unwrap());
        let token = signer.sign(&app(), &["else".to_owned()], NOON, NOON + MINUTE).unwrap();
        assert_eq!(check(&signer, &token, NOON), Err(JwtError::Audience));
        let token = other.sign(&app(), &["nexus".to_owned()], NOON, NOON + MINUTE).unwrap();
        assert_eq!(check(&signer, &token, NOON), Err(JwtError::Signature));
        let token = forge(&other, &header(&signer), &claims());
        assert_eq!(check(&signer, &token, NOON), Err(JwtError::Signature));
    }

    #[test]
    fn a_token_that_was_changed_is_refused() {
        let signer = JwtSigner::generate().unwrap();
        let token = forge(&signer, &header(&signer), &claims());
        assert_eq!(check(&signer, &token, NOON), Ok(app()));
        let mut changed = claims();
        changed["sub"] = json!("spiffe://spike.ist/spike/pilot/role/superuser");
        let parts: Vec<&str> = token.split('.').collect();
        let changed = format!("{}.{}.{}", parts[0], BASE64.encode(changed.to_string()), parts[2]);
        assert_eq!(check(&signer, &changed, NOON), Err(JwtError::Signature));
    }

    #[test]
    fn what_is_no_jwt_svid_is_refused_with_its_reason() {
        let signer = JwtSigner::generate().unwrap();
        let with = |name: &str, value: Value| {
            let mut claims = claims();
            claims[name] = value;
            forge(&signer, &header(&signer), &claims)
        };
        let algorithm = |name: &str| {
            let header = json!({ "alg": name, "kid": signer.authority().key_id() });
            forge(&signer, &header, &claims())
        };
        for (token, error) in [
            (String::new(), JwtError::Malformed("no parts")),
            ("a.b".to_owned(), JwtError::Malformed("no parts")),
            ("?.?.?".to_owned(), JwtError::Malformed("not base64url")),
            ("W10.W10.".to_owned(), JwtError::Malformed("not a JSON object")),
            ("x".repeat(MAX_TOKEN + 1), JwtError::Malformed("too long")),
            (algorithm("none"), JwtError::Malformed("alg is not ES256")),
            (algorithm("HS256"), JwtError::Malformed("alg is not ES256")),
            (forge(&signer, &json!({ "alg": "ES256" }), &claims()), JwtError::Malformed("no kid")),
            (with("sub", json!("app")), JwtError::Malformed("sub is not a SPIFFE ID")),
            (with("aud", Value::Null), JwtError::Malformed("no aud")),
            (with("exp", json!("soon")), JwtError::Malformed("no exp")),
            (with("nbf", json!("now")), JwtError::Malformed("nbf is not a number")),
            (with("nbf", json!(NOON.unix_timestamp() + 1)), JwtError::Time),
        ] {
            assert_eq!(check(&signer, &token, NOON), Err(error), "{token}");
        }
    }

    #[test]
    fn the_key_id_is_the_rfc_7638_thumbprint() {
        let signer = JwtSigner::generate().unwrap();
        let set: Value = serde_json::from_str(&jwks(&[signer.authority().clone()])).unwrap();
        let key = &set["keys"][0];
        // serde_json sorts the members, which is the order that RFC 7638 wants.
        let canonical = json!({
            "crv": key["crv"], "kty": key["kty"], "x": key["x"], "y": key["y"],
        });
        let thumbprint = BASE64.encode(digest(&SHA256, canonical.to_string().as_bytes()));
        assert_eq!(key["kid"], thumbprint);
        assert_eq!(signer.authority().key_id(), thumbprint);
    }
}
