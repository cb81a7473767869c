use http::StatusCode;
use spike_mtls::TransportError;

use super::*;

fn call(operation: Operation, error: impl Into<CallError>) -> Error {
    let asked = Asked {
        operation,
        subject: "a/b".to_owned(),
        id: "spiffe://spike.ist/x".to_owned(),
        is_operator: true,
        api: "https://localhost:8553".to_owned(),
        svid: (OffsetDateTime::UNIX_EPOCH, OffsetDateTime::UNIX_EPOCH),
        status: None,
        too_large: None,
    };
    Error::Call { asked: Box::new(asked), error: error.into() }
}

fn refusal(status: u16, reason: Option<&str>) -> CallError {
    CallError::Refused(Refusal {
        status: StatusCode::from_u16(status).unwrap(),
        code: None,
        reason: reason.map(str::to_owned),
        request_id: None,
    })
}

#[test]
fn only_failures_of_the_connection_say_that_it_failed() {
    // cli-config-deploy 10.1 no. 5. A restore that was refused said so too.
    let late = TransportError::Timeout {
        what: "the whole call",
        limit: std::time::Duration::from_mins(1),
    };
    for operation in Operation::ALL.iter().copied() {
        let restoring = operation == Operation::OperatorRestore;
        let text = call(operation, late.clone()).to_string();
        let wanted =
            if restoring { "Failed to communicate" } else { "Failed to connect to SPIKE Nexus" };
        assert!(text.starts_with(wanted), "{operation}: {text}");
        for status in [400, 401, 404, 409, 413, 500, 503] {
            let text = call(operation, refusal(status, None)).to_string();
            assert!(!text.contains("Failed to connect"), "{operation}: {text}");
            assert!(!text.contains("Failed to communicate"), "{operation}: {text}");
            assert!(text.contains(&format!("({status})")), "{operation}: {text}");
        }
    }
}

#[test]
fn every_operation_says_what_it_was_about_and_what_to_do() {
    for operation in Operation::ALL.iter().copied() {
        for status in [400, 401, 404, 500, 503] {
            let error = call(operation, refusal(status, None));
            assert!(!crate::hint::hints(&error).is_empty(), "{operation} {status}");
        }
        let text = call(operation, refusal(503, None)).to_string();
        assert!(text.contains("not ready"), "{operation}: {text}");
    }
}

// Only the identity and the clock were named.
#[test]
fn a_connection_that_ends_without_an_alert_may_be_one_too_many() {
    let busy = "too many connections of this SPIFFE ID, or of all, are busy";
    let broken = call(Operation::SecretGet, TransportError::Broken("closed".to_owned()));
    assert_eq!(broken.exit(), Exit::Unreachable);
    assert!(broken.to_string().contains("too many connections"), "{broken}");
    let hints = crate::hint::hints(&broken);
    assert!(hints[0].contains(busy) && hints[0].contains("`spike audit query"), "{hints:?}");
    // An alert is about the certificate.
    let refused = call(Operation::SecretGet, TransportError::Unaccepted("alert 48".to_owned()));
    let hints = crate::hint::hints(&refused);
    assert!(hints.iter().all(|hint| !hint.contains("too many")), "{hints:?}");
}

// The whole of it was repeated.
#[test]
fn a_long_subject_is_cut() {
    let mut error = call(Operation::SecretGet, refusal(404, None));
    let Error::Call { asked, .. } = &mut error else { panic!("{error}") };
    asked.subject = "a".repeat(3000);
    let text = error.to_string();
    assert!(text.contains("aaa…") && text.len() < 400, "{text}");
}

#[test]
fn a_long_reason_from_the_network_is_cut() {
    let reason = "ä".repeat(10_000);
    let text = call(Operation::SecretPut, refusal(400, Some(&reason))).to_string();
    assert!(text.contains("ä…"), "{text}");
    assert!(text.chars().count() < 1700, "{}", text.len());
}

#[test]
fn a_call_that_failed_after_others_worked_keeps_its_exit_status() {
    let error = Box::new(call(Operation::PolicyPut, refusal(503, None)));
    let partly = Error::Partly { error, others: vec!["a".to_owned()] };
    assert_eq!(partly.exit(), Exit::NotReady);
}
