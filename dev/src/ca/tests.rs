use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustls::pki_types::{CertificateDer, UnixTime};
use spiffe::{JwtBundle, JwtBundleSet, JwtSvid, X509Svid};
use spike_mtls::clock;
use time::macros::datetime;
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::*;

const NOON: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);
const HOUR: Duration = Duration::from_hours(1);

fn trust_domain() -> TrustDomain {
    TrustDomain::new("spike.ist").unwrap()
}

fn ca() -> Ca {
    Ca::new(trust_domain(), NOON).unwrap()
}

fn nexus() -> SpiffeId {
    SpiffeId::new("spiffe://spike.ist/spike/nexus").unwrap()
}

/// Whether a verifier that trusts `root` accepts the certificate at `now`, as a server and as a client.
pub(crate) fn verifies(
    certificate: &[u8],
    root: &[u8],
    now: OffsetDateTime,
) -> Result<(), webpki::Error> {
    let (certificate, root) = (CertificateDer::from(certificate), CertificateDer::from(root));
    let now = Duration::from_secs(now.unix_timestamp().try_into().unwrap());
    let anchors = [anchor_from_trusted_cert(&root)?];
    let leaf = EndEntityCert::try_from(&certificate)?;
    for usage in [KeyUsage::server_auth(), KeyUsage::client_auth()] {
        let now = UnixTime::since_unix_epoch(now);
        leaf.verify_for_usage(ALL_VERIFICATION_ALGS, &anchors, &[], now, usage, None, None)?;
    }
    Ok(())
}

fn uris(certificate: &[u8]) -> Vec<String> {
    let (_, parsed) = X509Certificate::from_der(certificate).unwrap();
    let Some(names) = parsed.subject_alternative_name().unwrap() else { return Vec::new() };
    let names = names.value.general_names.iter();
    names
        .map(|name| match name {
            GeneralName::URI(uri) => (*uri).to_owned(),
            other => panic!("not a URI: {other:?}"),
        })
        .collect()
}

#[test]
fn an_svid_verifies_against_its_root_and_no_other() {
    let (ca, other) = (ca(), ca());
    let svid = ca.issue(&nexus(), HOUR, NOON).unwrap();
    verifies(svid.certificate_der(), ca.root_der(), NOON).unwrap();
    assert!(verifies(svid.certificate_der(), other.root_der(), NOON).is_err());
}

#[test]
fn an_svid_is_as_the_standard_wants_it() {
    let svid = ca().issue(&nexus(), HOUR, NOON).unwrap();
    assert_eq!(uris(svid.certificate_der()), [nexus().to_string()]);
    let (_, parsed) = X509Certificate::from_der(svid.certificate_der()).unwrap();
    let basic = parsed.basic_constraints().unwrap().unwrap();
    assert!(basic.critical && !basic.value.ca);
    let usage = parsed.key_usage().unwrap().unwrap();
    assert!(usage.critical);
    assert!(usage.value.digital_signature());
    assert!(!usage.value.key_cert_sign() && !usage.value.crl_sign());
    let extended = parsed.extended_key_usage().unwrap().unwrap();
    assert!(extended.value.server_auth && extended.value.client_auth);
    assert_eq!(parsed.subject().iter_common_name().count(), 0);
    let has = |wanted: fn(&ParsedExtension<'_>) -> bool| {
        parsed.extensions().iter().any(|extension| wanted(extension.parsed_extension()))
    };
    assert!(has(|extension| matches!(extension, ParsedExtension::AuthorityKeyIdentifier(_))));
}

#[test]
fn an_svid_with_names_is_valid_for_them_and_keeps_its_one_id() {
    let svid = ca().issue_with_names(&nexus(), &["localhost"], HOUR, NOON).unwrap();
    let der = CertificateDer::from(svid.certificate_der());
    let leaf = EndEntityCert::try_from(&der).unwrap();
    let valid_for = |name: &'static str| {
        leaf.verify_is_valid_for_subject_name(&name.try_into().unwrap()).is_ok()
    };
    assert!(valid_for("localhost"));
    assert!(!valid_for("example.org"));
    let parsed = X509Svid::parse_from_der(svid.certificate_der(), svid.expose_key_der()).unwrap();
    assert_eq!(*parsed.spiffe_id(), nexus());
}

#[test]
fn certificate_and_key_of_an_svid_fit_in_der_and_in_pem() {
    let svid = ca().issue(&nexus(), HOUR, NOON).unwrap();
    let parsed = X509Svid::parse_from_der(svid.certificate_der(), svid.expose_key_der()).unwrap();
    assert_eq!(*parsed.spiffe_id(), nexus());
    let key = KeyPair::from_pem(&svid.expose_key_pem()).unwrap();
    let (_, pem) =
        x509_parser::pem::parse_x509_pem(svid.certificate_pem().as_bytes()).map_err(drop).unwrap();
    assert_eq!(pem.contents, svid.certificate_der());
    let certificate = pem.parse_x509().unwrap();
    assert_eq!(key.public_key_raw(), certificate.public_key().subject_public_key.data.as_ref());
}

#[test]
fn an_svid_is_dated_back_and_lasts_at_least_as_long_as_asked() {
    let ca = ca();
    for (fraction, ttl, end) in [
        (Duration::ZERO, 2000, 2),
        (Duration::from_millis(1), 2000, 3),
        (Duration::from_millis(999), 1500, 3),
        (Duration::ZERO, 1500, 2),
    ] {
        let svid = ca.issue(&nexus(), Duration::from_millis(ttl), NOON + fraction).unwrap();
        let (_, parsed) = X509Certificate::from_der(svid.certificate_der()).unwrap();
        let validity = parsed.validity();
        assert_eq!(validity.not_before.timestamp(), NOON.unix_timestamp() - 10);
        assert_eq!(validity.not_after.timestamp(), NOON.unix_timestamp() + end);
        assert_eq!(svid.not_after().unix_timestamp(), NOON.unix_timestamp() + end);
    }
}

#[test]
fn lifetimes_that_a_certificate_cannot_have_are_refused() {
    let ca = ca();
    for ttl in [Duration::ZERO, Duration::from_millis(999), Duration::MAX, HOUR * 24 * 366 * 8000] {
        let refused = ca.issue(&nexus(), ttl, NOON);
        assert!(matches!(refused, Err(CaError::Lifetime(named)) if named == ttl), "{ttl:?}");
    }
}

#[test]
fn an_id_of_another_trust_domain_or_without_a_path_gets_nothing() {
    for id in ["spiffe://other.example/spike/nexus", "spiffe://spike.ist"] {
        let id = SpiffeId::new(id).unwrap();
        assert!(matches!(ca().issue(&id, HOUR, NOON), Err(CaError::ForeignId { .. })));
        let jwt = ca().issue_jwt(&id, &["x".to_owned()], HOUR, NOON);
        assert!(matches!(jwt, Err(CaError::ForeignId { .. })));
    }
}

#[test]
fn odd_dates_are_wrong_now_and_right_at_another_time() {
    let ca = ca();
    for (odd, right) in [(Defect::Expired, NOON - 2 * HOUR), (Defect::NotYetValid, NOON + 2 * HOUR)]
    {
        let svid = ca.issue_defective(&nexus(), &odd, NOON).unwrap();
        assert!(verifies(svid.certificate_der(), ca.root_der(), NOON).is_err(), "{odd:?}");
        verifies(svid.certificate_der(), ca.root_der(), right).unwrap();
        assert_eq!(uris(svid.certificate_der()), [nexus().to_string()]);
    }
}

#[test]
fn odd_names_come_with_a_sound_signature() {
    let ca = ca();
    let foreign = SpiffeId::new("spiffe://other.example/spike/nexus").unwrap();
    let (nexus, second) = (nexus(), SpiffeId::new("spiffe://spike.ist/second").unwrap());
    for (id, odd, expected) in [
        (&nexus, Defect::TwoUriSans(second.clone()), vec![nexus.to_string(), second.to_string()]),
        (&nexus, Defect::NoUriSan, vec![]),
        (&foreign, Defect::OtherTrustDomain, vec![foreign.to_string()]),
    ] {
        let svid = ca.issue_defective(id, &odd, NOON).unwrap();
        assert_eq!(uris(svid.certificate_der()), expected, "{odd:?}");
        verifies(svid.certificate_der(), ca.root_der(), NOON).unwrap();
    }
}

#[test]
fn a_ca_certificate_as_leaf_may_sign_and_is_no_x509_svid() {
    let ca = ca();
    let svid = ca.issue_defective(&nexus(), &Defect::CaAsLeaf, NOON).unwrap();
    let (_, parsed) = X509Certificate::from_der(svid.certificate_der()).unwrap();
    assert!(parsed.is_ca());
    let usage = parsed.key_usage().unwrap().unwrap();
    assert!(usage.value.key_cert_sign() && usage.value.digital_signature());
    assert!(parsed.verify_signature(Some(root(&ca).public_key())).is_ok());
    X509Svid::parse_from_der(svid.certificate_der(), svid.expose_key_der()).unwrap_err();
}

fn root(ca: &Ca) -> X509Certificate<'_> {
    X509Certificate::from_der(ca.root_der()).unwrap().1
}

#[test]
fn a_saved_authority_comes_back_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("new/ca");
    let first = Ca::load_or_new(&dir, trust_domain(), NOON).unwrap();
    let again = Ca::load_or_new(&dir, trust_domain(), NOON + HOUR).unwrap();
    assert_eq!(again.bundle(), first.bundle());
    assert_eq!(again.root_pem(), first.root_pem());
    let svid = again.issue(&nexus(), HOUR, NOON).unwrap();
    verifies(svid.certificate_der(), first.root_der(), NOON).unwrap();
    let token = again.issue_jwt(&nexus(), &["x".to_owned()], HOUR, NOON).unwrap();
    verify_jwt(&token, "x", NOON, |_| first.bundle().jwt_authorities).unwrap();
}

#[test]
fn only_the_owner_can_read_a_saved_authority() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("ca");
    ca().save(&dir).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&dir), 0o700);
    let files: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 3);
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[test]
fn a_saved_authority_that_does_not_fit_is_refused_and_left_alone() {
    let made = tempfile::tempdir().unwrap();
    let foreign = tempfile::tempdir().unwrap();
    ca().save(foreign.path()).unwrap();
    let key = fs::read_to_string(foreign.path().join("ca-key.pem")).unwrap();
    for (file, content, part) in [
        ("ca.pem", "", "ca.pem: not a PEM certificate"),
        ("ca.pem", key.as_str(), "ca.pem: not an X.509 certificate"),
        ("ca-key.pem", "x", "ca-key.pem: not an ECDSA P-256 key"),
        ("ca-key.pem", key.as_str(), "ca-key.pem: not the key of the root certificate"),
        ("jwt-key.pem", "x", "jwt-key.pem: not an ECDSA P-256 key"),
    ] {
        ca().save(made.path()).unwrap();
        fs::write(made.path().join(file), content).unwrap();
        let error = Ca::load_or_new(made.path(), trust_domain(), NOON).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
        assert_eq!(fs::read_to_string(made.path().join(file)).unwrap(), content);
    }
}

#[test]
fn a_saved_authority_of_another_trust_domain_without_keys_or_expired_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    ca().save(dir.path()).unwrap();
    let other = TrustDomain::new("other.example").unwrap();
    let error = Ca::load(dir.path(), other, NOON).unwrap_err().to_string();
    assert!(error.ends_with("ca.pem: not the root of trust domain other.example"), "{error}");
    let error = Ca::load(dir.path(), trust_domain(), NOON + ROOT_LIFETIME).unwrap_err().to_string();
    assert!(error.ends_with("ca.pem: the root certificate has expired"), "{error}");
    fs::remove_file(dir.path().join("jwt-key.pem")).unwrap();
    let error = Ca::load(dir.path(), trust_domain(), NOON).unwrap_err();
    assert!(matches!(error, CaError::File { path, .. } if path.ends_with("jwt-key.pem")));
}

#[test]
fn a_verifier_that_is_not_ours_accepts_our_tokens() {
    // That verifier reads the real clock.
    let now = clock::now();
    let ca = Ca::new(trust_domain(), now).unwrap();
    let token = ca.issue_jwt(&nexus(), &["a".to_owned(), "b".to_owned()], HOUR, now).unwrap();
    let jwks = jwks(&ca.bundle().jwt_authorities);
    let bundle = JwtBundle::from_jwt_authorities(trust_domain(), jwks.as_bytes()).unwrap();
    let mut bundles = JwtBundleSet::new();
    bundles.add_bundle(bundle);
    let svid = JwtSvid::parse_and_validate(&token, &bundles, &["b"]).unwrap();
    assert_eq!(*svid.spiffe_id(), nexus());
    assert_eq!(svid.key_id(), ca.bundle().jwt_authorities[0].key_id());
    JwtSvid::parse_and_validate(&token, &bundles, &["c"]).unwrap_err();
}

#[test]
fn debug_output_shows_no_private_key() {
    let ca = ca();
    let svid = ca.issue(&nexus(), HOUR, NOON).unwrap();
    let shown = format!("{ca:?} {svid:?}");
    for key in [svid.expose_key_der(), ca.key.serialized_der()] {
        // The secret number lies at a fixed place in PKCS#8 for P-256.
        let secret = &key[36..68];
        for form in [format!("{secret:?}"), format!("{secret:02x?}").replace(", ", "")] {
            assert!(!shown.contains(form.trim_matches(['[', ']'])));
        }
    }
    assert!(shown.contains("elided"));
}
