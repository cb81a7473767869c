//! What is used of a message of the Workload API, and what is omitted.

use proptest::prelude::*;
use prost::{Message, bytes::Bytes};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType};
use spiffe::TrustDomain;

use super::{
    BundleProblem, Material, MaterialError,
    message::{FederatedBundle, X509Svid, X509SvidResponse},
};

struct Authority {
    params: CertificateParams,
    key: KeyPair,
    der: Vec<u8>,
}

fn authority() -> Authority {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let der = params.self_signed(&key).unwrap().der().to_vec();
    Authority { params, key, der }
}

fn svid(authority: &Authority, id: &str) -> X509Svid {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.subject_alt_names.push(SanType::URI(id.try_into().unwrap()));
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let issuer = Issuer::from_params(&authority.params, &authority.key);
    let certificate = params.signed_by(&key, &issuer).unwrap();
    X509Svid {
        chain: Bytes::copy_from_slice(certificate.der()),
        key: Bytes::copy_from_slice(key.serialized_der()),
        bundle: Bytes::copy_from_slice(&authority.der),
    }
}

fn federated(name: &[u8], der: &[u8]) -> FederatedBundle {
    FederatedBundle {
        trust_domain: Bytes::copy_from_slice(name),
        bundle: Bytes::copy_from_slice(der),
    }
}

fn response(federated_bundles: Vec<FederatedBundle>) -> X509SvidResponse {
    let svids = vec![svid(&authority(), "spiffe://home.example/app")];
    X509SvidResponse { svids, federated_bundles }
}

fn faults(material: &Material) -> Vec<(&str, BundleProblem)> {
    material.bundle_faults().iter().map(|fault| (fault.trust_domain(), fault.problem())).collect()
}

fn domains(material: &Material) -> Vec<String> {
    material.trust_domains().map(ToString::to_string).collect()
}

/// The outer form of a certificate with invalid contents.
const NONSENSE: [u8; 5] = [0x30, 0x03, 0x02, 0x01, 0x00];

#[test]
fn one_bad_foreign_bundle_does_not_prevent_our_own_svid() {
    let sound = authority().der;
    let truncated = sound.get(..sound.len() / 2).unwrap();
    let trailing = [sound.as_slice(), &[0x30]].concat();
    for (bundle, expected) in [
        (&b"not DER at all"[..], BundleProblem::Unusable),
        (&[], BundleProblem::Unusable),
        (&NONSENSE, BundleProblem::Unusable),
        (truncated, BundleProblem::Unusable),
        (&trailing, BundleProblem::Partly(1)),
    ] {
        let bundles = vec![
            federated(b"spiffe://broken.example", bundle),
            federated(b"spiffe://sound.example", &sound),
        ];
        let material = Material::from_response(&response(bundles)).unwrap();
        assert_eq!(material.id().to_string(), "spiffe://home.example/app");
        assert_eq!(faults(&material), [("broken.example", expected)]);
        let kept = domains(&material);
        assert!(kept.contains(&"sound.example".to_owned()), "{kept:?}");
        let broken = kept.contains(&"broken.example".to_owned());
        assert_eq!(broken, expected == BundleProblem::Partly(1), "{kept:?}");
    }
}

#[test]
fn a_certificate_that_does_not_decode_among_sound_ones_is_left_out_alone() {
    let (one, two) = (authority().der, authority().der);
    let bundle = [one.as_slice(), &NONSENSE, &two].concat();
    let bundles = vec![federated(b"spiffe://other.example", &bundle)];
    let material = Material::from_response(&response(bundles)).unwrap();
    let domain = TrustDomain::new("other.example").unwrap();
    assert_eq!(material.anchors(&domain).map(<[_]>::len), Some(2));
    assert_eq!(faults(&material), [("other.example", BundleProblem::Partly(1))]);
}

#[test]
fn a_name_that_is_no_trust_domain_is_left_out_and_shown_without_control_characters() {
    let sound = authority().der;
    for (name, shown) in [
        (&b"spiffe://"[..], "spiffe://"),
        (b"https://other.example", "https://other.example"),
        (b"spiffe://Other.Example", "spiffe://Other.Example"),
        (b"spiffe://a b\n", "spiffe://a b\\n"),
        (b"", ""),
        (b"\xff\xfe", "\u{fffd}\u{fffd}"),
    ] {
        let material = Material::from_response(&response(vec![federated(name, &sound)])).unwrap();
        assert_eq!(faults(&material), [(shown, BundleProblem::Name)]);
        assert_eq!(domains(&material), ["home.example"]);
    }
    let long = [b"spiffe://".as_slice(), &[b'!'; 10_000]].concat();
    let material = Material::from_response(&response(vec![federated(&long, &sound)])).unwrap();
    assert_eq!(faults(&material).first().map(|(name, _)| name.len()), Some(256));
}

#[test]
fn a_foreign_bundle_under_our_own_name_does_not_replace_ours() {
    let bundles = vec![federated(b"spiffe://home.example", &authority().der)];
    let response = response(bundles);
    let material = Material::from_response(&response).unwrap();
    let own = TrustDomain::new("home.example").unwrap();
    let alone = X509SvidResponse { federated_bundles: Vec::new(), ..response };
    let expected = Material::from_response(&alone).unwrap();
    assert_eq!(material.anchors(&own), expected.anchors(&own));
    assert_eq!(faults(&material), [("home.example", BundleProblem::Second)]);
}

#[test]
fn a_trust_domain_whose_new_bundle_cannot_be_used_does_not_keep_the_old_one() {
    let svids = vec![svid(&authority(), "spiffe://home.example/app")];
    let with = |bundle: &[u8]| {
        let federated_bundles = vec![federated(b"spiffe://other.example", bundle)];
        let response = X509SvidResponse { svids: svids.clone(), federated_bundles };
        Material::from_response(&response).unwrap()
    };
    let (before, after) = (with(&authority().der), with(&NONSENSE));
    assert_eq!(domains(&before), ["home.example", "other.example"]);
    assert_eq!(domains(&after), ["home.example"]);
    assert!(!before.same_bundles(&after));
}

#[test]
fn our_own_svid_and_bundle_must_be_sound() {
    let mut no_bundle = response(Vec::new());
    no_bundle.svids[0].bundle = Bytes::from_static(&NONSENSE);
    let error = Material::from_response(&no_bundle).unwrap_err();
    assert!(matches!(error, MaterialError::OwnBundle(_)), "{error}");
    assert!(error.to_string().contains("home.example"), "{error}");

    let mut no_certificate = response(Vec::new());
    no_certificate.svids[0].chain = Bytes::from_static(&NONSENSE);
    let refused = Material::from_response(&no_certificate);
    assert!(matches!(refused, Err(MaterialError::Svid(_))));

    let nothing = X509SvidResponse::default();
    assert!(matches!(Material::from_response(&nothing), Err(MaterialError::NoSvid)));
}

#[test]
fn a_second_svid_that_cannot_be_read_harms_nobody() {
    let mut two = response(Vec::new());
    let mut second = svid(&authority(), "spiffe://second.example/app");
    two.svids.push(second.clone());
    let material = Material::from_response(&two).unwrap();
    assert_eq!(domains(&material), ["home.example", "second.example"]);
    assert_eq!(material.offered(), 2);

    second.chain = Bytes::from_static(b"nonsense");
    two.svids[1] = second;
    let material = Material::from_response(&two).unwrap();
    assert_eq!(domains(&material), ["home.example"]);
    assert_eq!(faults(&material), []);
}

#[test]
fn a_protobuf_map_with_a_name_that_is_not_utf_8_is_still_decoded() {
    let sent = response(vec![federated(b"\xff", b"x")]).encode_to_vec();
    let received = X509SvidResponse::decode(sent.as_slice()).unwrap();
    assert!(Material::from_response(&received).is_ok());
}

#[test]
fn a_private_key_is_not_shown() {
    let svid = svid(&authority(), "spiffe://home.example/app");
    assert_eq!(format!("{svid:?}"), "X509Svid { .. }");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_foreign_bundles_hold_our_own_svid_is_taken(
        bundles in prop::collection::vec((any::<Vec<u8>>(), any::<Vec<u8>>()), 0..5)
    ) {
        let bundles = bundles.iter().map(|(name, der)| federated(name, der)).collect();
        let sent = response(bundles).encode_to_vec();
        let received = X509SvidResponse::decode(sent.as_slice()).unwrap();
        let material = Material::from_response(&received).unwrap();
        prop_assert_eq!(material.id().to_string(), "spiffe://home.example/app");
    }

    #[test]
    fn no_message_at_all_makes_the_reading_of_it_panic(bytes in any::<Vec<u8>>()) {
        if let Ok(response) = X509SvidResponse::decode(bytes.as_slice()) {
            prop_assert!(Material::from_response(&response).is_err());
        }
    }
}

/// It took the place of a good one, and every handshake failed while all health checks passed.
#[test]
fn an_svid_whose_key_is_that_of_another_certificate_is_refused() {
    let authority = authority();
    let (own, other) = (
        svid(&authority, "spiffe://home.example/app"),
        svid(&authority, "spiffe://home.example/app"),
    );
    let mixed = X509Svid { key: other.key, ..own };
    let message = X509SvidResponse { svids: vec![mixed], federated_bundles: Vec::new() };
    let error = Material::from_response(&message).map(|_| ()).unwrap_err();
    assert!(matches!(error, MaterialError::OtherKey), "{error}");
}
