use super::super::check::Outcome;
use super::*;

fn cause(check: &Check) -> &str {
    check.cause.as_deref().unwrap_or_default()
}

fn url(text: &str) -> HttpsUrl {
    text.parse().unwrap()
}

#[test]
fn each_failure_to_connect_has_its_own_cause() {
    let api = url("https://nexus.example.org:8553");
    for (kind, part) in [
        (ErrorKind::ConnectionRefused, "nobody listens at nexus.example.org:8553"),
        (ErrorKind::TimedOut, "a firewall drops packets"),
        (ErrorKind::NetworkUnreachable, "cannot be reached"),
    ] {
        let found = judge_connection(&api, Err(kind.into()));
        assert!(cause(&found).contains(part), "{found:?}");
        assert_eq!(found.outcome, Outcome::Failed(Exit::Unreachable));
    }
    assert_eq!(judge_connection(&api, Ok(())).outcome, Outcome::Ok);
}

#[test]
fn a_short_name_is_told_with_the_form_of_a_full_one() {
    let error = io::Error::other("Name or service not known");
    let next = |text| judge_name(&url(text), &error).next.unwrap();
    assert!(next("https://spike-nexus.spike:443").contains("SERVICE.NAMESPACE.svc"));
    assert!(!next("https://nexus.example.org").contains("SERVICE"));
}

#[test]
fn a_certificate_that_is_not_accepted_leads_to_what_is_wrong() {
    let api = url("https://localhost:8553");
    let id = |path: &str| format!("spiffe://example.org/{path}");
    let refuse = |path| PeerError::Refused { id: id(path), expected: String::new() };
    for (error, part) in [
        (None, "does not speak TLS as a SPIKE Nexus does"),
        (Some(PeerError::UriNames(0)), "shows no X.509-SVID"),
        (Some(PeerError::UnknownTrustDomain(id("x"))), "not federated"),
        (Some(PeerError::Chain { id: id("x"), reason: String::new() }), "was not signed by"),
        (Some(refuse("spike/nexus/0")), "SPIKE_TRUST_ROOT_NEXUS of this process does not name"),
        (Some(refuse("spike/keeper")), "names another server"),
        (Some(refuse("app")), "names another server"),
    ] {
        let told = refused(&api, error.as_ref());
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn a_server_that_hangs_up_or_hangs_is_told_as_that() {
    let api = url("https://localhost:8553");
    let judged = |error| judge_tls(&api, &Err(error));
    let found = judged(TransportError::Unaccepted("alert 48".to_owned()));
    assert!(cause(&found).contains("does not accept the SVID"), "{found:?}");
    let found = judged(TransportError::Timeout { what: "the TLS handshake", limit: STEP });
    assert!(cause(&found).contains("does not answer in time"), "{found:?}");
}

#[test]
fn each_status_of_an_answer_has_its_outcome() {
    let judged = |status, may_read| {
        let answer = Answer {
            status,
            code: Some("some_code".to_owned()),
            reason: Some("a\nreason".to_owned()),
            request: Some("req-1".to_owned()),
            date: None,
            body: None,
        };
        judge_answer(&answer, may_read)
    };
    for (status, may_read, outcome) in [
        (400, true, Outcome::Skipped),
        (401, false, Outcome::Skipped),
        (401, true, Outcome::Failed(Exit::Denied)),
        (503, true, Outcome::Failed(Exit::NotReady)),
        (500, true, Outcome::Failed(Exit::Failure)),
        (429, true, Outcome::Failed(Exit::Failure)),
    ] {
        let found = judged(status, may_read);
        assert_eq!(found.outcome, outcome, "{status}");
        assert!(found.evidence.contains("some_code, a\\nreason, request req-1"), "{found:?}");
    }
}
