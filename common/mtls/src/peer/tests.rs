use rcgen::{CertificateParams, KeyPair, SanType};

use super::*;

fn peer(uri: &str) -> Result<String, PeerError> {
    let mut params = CertificateParams::default();
    params.subject_alt_names.push(SanType::URI(uri.try_into().unwrap()));
    let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    PeerCertificate::of(certificate.der()).map(|certificate| certificate.id)
}

/// An ID of `length` bytes.
fn of_length(length: usize) -> String {
    let start = "spiffe://example.org/";
    format!("{start}{}", "a".repeat(length - start.len()))
}

#[test]
fn an_id_of_2048_bytes_is_accepted_and_a_longer_one_is_refused() {
    assert!(peer(&of_length(MAX_SPIFFE_ID)).is_ok());
    assert!(matches!(peer(&of_length(MAX_SPIFFE_ID + 1)), Err(PeerError::NotASpiffeId(_))));
    let domain = |length: usize| format!("spiffe://{}/app", "a".repeat(length));
    assert!(peer(&domain(255)).is_ok());
    assert!(matches!(peer(&domain(256)), Err(PeerError::NotASpiffeId(_))));
}

#[test]
fn capitals_are_refused_in_the_trust_domain_and_kept_in_the_path() {
    assert_eq!(peer("spiffe://example.org/App").unwrap(), "spiffe://example.org/App");
    for uri in ["spiffe://Example.org/app", "SPIFFE://example.org/app", "Spiffe://example.org/app"]
    {
        assert!(matches!(peer(uri), Err(PeerError::NotASpiffeId(_))), "{uri}");
    }
}

#[test]
fn the_error_for_a_refused_peer_names_the_expected_ids_and_their_settings() {
    let rule = PeerRule::Roles(&[Role::Nexus, Role::Bootstrap], Arc::default());
    assert_eq!(
        rule.expected(),
        "spiffe://spike.ist/spike/nexus or spiffe://spike.ist/spike/bootstrap or below \
         (SPIKE_TRUST_ROOT_NEXUS, SPIKE_TRUST_ROOT_BOOTSTRAP)"
    );
}
