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
    let times = |from: i64, until: i64| PeerError::Times {
        id: id("spike/nexus"),
        not_before: OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(from),
        not_after: OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(until),
        now: OffsetDateTime::UNIX_EPOCH,
    };
    for (error, part) in [
        (None, "does not speak TLS as a SPIKE Nexus does"),
        (Some(PeerError::UriNames(0)), "shows no X.509-SVID"),
        (Some(PeerError::UnknownTrustDomain(id("x"))), "not federated"),
        (Some(PeerError::Chain { id: id("x"), reason: String::new() }), "was not signed by"),
        (Some(refuse("spike/nexus/0")), "SPIKE_TRUST_ROOT_NEXUS of this process does not name"),
        (Some(refuse("spike/keeper")), "names another server"),
        (Some(refuse("app")), "names another server"),
        (Some(times(3600, 7200)), "is not valid yet: the clocks differ"),
        (Some(times(-7200, -3600)), "has expired: the SPIFFE agent of SPIKE Nexus"),
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
    assert!(!cause(&found).contains("too many connections"), "{found:?}");
    // It was told as an SVID that is not accepted.
    let found = judged(TransportError::Broken("closed".to_owned()));
    assert!(
        cause(&found).contains("too many connections of this SPIFFE ID, or of all"),
        "{found:?}"
    );
    assert!(found.next.as_deref().unwrap().contains("audit log"), "{found:?}");
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
        (429, true, Outcome::Failed(Exit::NotReady)),
    ] {
        let found = judged(status, may_read);
        assert_eq!(found.outcome, outcome, "{status}");
        assert!(found.evidence.contains("some_code, a\\nreason, request req-1"), "{found:?}");
    }
}

/// Clocks were blamed, which were well.
#[test]
fn an_svid_of_nexus_that_was_not_renewed_leads_to_its_agent() {
    let api = url("https://localhost:8553");
    let judged = |from: i64| {
        let at = |seconds| OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(seconds);
        let error = PeerError::Times {
            id: "spiffe://example.org/spike/nexus".to_owned(),
            not_before: at(from),
            not_after: at(from + 60),
            now: at(0),
        };
        let source = Arc::new(io::Error::other(error));
        judge_tls(&api, &Err(TransportError::Handshake { host: "localhost".to_owned(), source }))
    };
    let expired = judged(-3600);
    assert!(expired.page.ends_with("SpikeSvidExpired.md"), "{expired:?}");
    let next = expired.next.unwrap();
    assert!(next.contains("log of the SPIFFE agent on the machine of SPIKE Nexus"), "{next}");
    let early = judged(3600);
    assert!(early.page.ends_with("SpikeClockWrong.md"), "{early:?}");
    assert!(early.next.unwrap().starts_with("compare the clocks"));
}

/// The settings of this process were blamed, which name the right trust domain.
#[test]
fn a_nexus_with_the_registration_entry_of_another_is_told_as_that() {
    let api = url("https://localhost:8553");
    let refused_as = |id: &str| PeerError::Refused {
        id: id.to_owned(),
        expected: "spiffe://example.org/spike/nexus or below (SPIKE_TRUST_ROOT_NEXUS)".to_owned(),
    };
    let wrong = refused_as("spiffe://example.org/workload/nexus");
    let told = refused(&api, Some(&wrong));
    assert!(told.contains("its registration entry gives it another SPIFFE ID"), "{told}");
    let next = hint::handshake(Some(&wrong));
    assert!(next.contains("correct its registration entry"), "{next}");
    assert!(!next.contains("SPIKE_TRUST_ROOT_NEXUS"), "{next}");
    let elsewhere = refused_as("spiffe://example.com/workload/nexus");
    assert!(hint::handshake(Some(&elsewhere)).contains("SPIKE_TRUST_ROOT_NEXUS"));
    let keeper = refused_as("spiffe://example.org/spike/keeper");
    assert!(refused(&api, Some(&keeper)).contains("names another server"));
}
