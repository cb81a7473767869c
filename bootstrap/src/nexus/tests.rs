use spike_mtls::TransportError;
use spike_wire::{EmptyRequest, ErrorCode, PeerErrorCode, ReplyError};

use super::*;

/// The message said twice that Bootstrap waited, and not for how long.
#[test]
fn whoever_waits_is_told_for_how_long_at_most() {
    let of = |limit| how_long(&retry(limit));
    assert_eq!(of(Some(Duration::from_secs(15))), ", for at most 15 s");
    assert_eq!(of(Some(Duration::from_mins(30))), ", for at most 30 min");
    assert_eq!(of(Some(Duration::from_secs(90))), ", for at most 90 s");
    assert_eq!(of(None), ", without a limit");
}

type VerifyResult = Result<VerifyResponse, CallError>;

fn status(status: u16) -> VerifyResult {
    let status = StatusCode::from_u16(status).unwrap();
    Err(CallError::Refused(Refusal { status, code: None, reason: None, request_id: None }))
}

fn proof(hash: &str) -> VerifyResponse {
    VerifyResponse { hash: hash.to_owned() }
}

fn silence() -> VerifyResult {
    Err(TransportError::Broken("reset".to_owned()).into())
}

fn unreadable() -> VerifyResult {
    Err(ReplyError::from(EmptyRequest::decode(b"<html>").unwrap_err()).into())
}

#[test]
fn a_503_says_sealed_a_400_says_that_there_is_a_key_and_nothing_else_says_either() {
    assert_eq!(answer_of(&status(503)), Answer::State(NexusState::Sealed(None)));
    assert_eq!(answer_of(&status(400)), Answer::State(NexusState::HoldsKey(None)));
    assert_eq!(answer_of(&status(401)), Answer::NotRecognised);
    // 500 is an audit log that cannot be written as well as a key that does not fit.
    for answer in [status(500), status(502), status(404), silence(), unreadable(), Ok(proof("00"))]
    {
        assert!(matches!(answer_of(&answer), Answer::Nothing(_)), "{answer:?}");
    }
}

fn surveyed_with(status: u16) -> SurveyAnswer {
    let status = StatusCode::from_u16(status).unwrap();
    surveyed(Err(CallError::Refused(Refusal {
        status,
        code: None,
        reason: None,
        request_id: None,
    })))
}

#[test]
fn a_nexus_that_does_not_know_the_survey_is_asked_the_question_that_upstream_knows() {
    for status in [400, 404, 503] {
        assert_eq!(surveyed_with(status), SurveyAnswer::Unknown, "{status}");
    }
    assert_eq!(surveyed_with(401), SurveyAnswer::Answer(Answer::NotRecognised));
    assert!(matches!(surveyed_with(500), SurveyAnswer::Unreached(_, false)));
}

/// A busy Nexus may have a key: it must not pass for a sealed one.
#[test]
fn a_nexus_that_is_busy_is_asked_again() {
    let busy = CallError::Refused(Refusal {
        status: StatusCode::SERVICE_UNAVAILABLE,
        code: None,
        reason: Some("busy".to_owned()),
        request_id: None,
    });
    assert!(matches!(surveyed(Err(busy)), SurveyAnswer::Unreached(_, false)));
}

#[test]
fn only_where_nothing_listens_nexus_is_taken_for_stopped() {
    let refused = TransportError::Connect {
        host: "nexus:8553".to_owned(),
        source: Arc::new(std::io::ErrorKind::ConnectionRefused.into()),
    };
    assert!(matches!(surveyed(Err(refused.into())), SurveyAnswer::Unreached(_, true)));
    let broken = TransportError::Broken("reset".to_owned());
    assert!(matches!(surveyed(Err(broken.into())), SurveyAnswer::Unreached(_, false)));
}

#[test]
fn a_nexus_on_the_memory_backend_needs_no_key_and_leaves_nothing_to_remember() {
    let response = |backend: &str, sealed| SurveyResponse {
        backend: backend.to_owned(),
        sealed,
        ..SurveyResponse::default()
    };
    assert!(matches!(state(response("memory", false)), NexusState::NeedsNone(Some(_))));
    assert!(matches!(state(response("sqlite", false)), NexusState::HoldsKey(Some(_))));
    assert!(matches!(state(response("lite", false)), NexusState::HoldsKey(Some(_))));
    assert!(matches!(state(response("sqlite", true)), NexusState::Sealed(Some(_))));
}

#[test]
fn only_the_right_hash_is_a_proof_and_a_wrong_200_is_final() {
    assert_eq!(judge(&Ok(proof("abc")), "abc"), Verdict::Proved);
    let refused = PeerErrorCode::parse(ErrorCode::ApiInternalError.as_str());
    let refused = Err(ReplyError::Refused(refused).into());
    let hashes = ["", "ABC", "abcd"].map(|hash| Ok(proof(hash)));
    for answer in hashes.into_iter().chain([unreadable(), refused]) {
        assert!(matches!(judge(&answer, "abc"), Verdict::Wrong(_)), "{answer:?}");
    }
}

#[test]
fn a_nexus_that_has_no_key_yet_or_is_away_is_waited_for() {
    for answer in [status(503), status(502), status(401), status(404), silence()] {
        assert!(matches!(judge(&answer, "abc"), Verdict::Wait(_)), "{answer:?}");
    }
}

#[test]
fn a_nexus_that_cannot_read_the_question_may_have_another_key() {
    for answer in [status(400), status(500)] {
        assert!(matches!(judge(&answer, "abc"), Verdict::CannotRead(_)), "{answer:?}");
    }
}

#[test]
fn a_question_without_an_answer_has_a_nonce_that_every_nexus_refuses() {
    assert_ne!(unanswerable().nonce.len(), spike_wire::NONCE_LEN);
}

fn cannot_read() -> Verdict {
    Verdict::CannotRead("500".to_owned())
}

#[test]
fn a_nexus_that_has_a_key_and_cannot_read_the_question_three_times_has_another_key() {
    let mut history = VerdictHistory { forced: false, unreadable: 0 };
    for _ in 1..UNREADABLE_LIMIT {
        assert_eq!(history.add(cannot_read(), true), Conclusion::Wait("500".to_owned()));
    }
    assert_eq!(history.add(cannot_read(), true), Conclusion::OtherKey);
}

#[test]
fn anything_else_between_begins_the_count_anew() {
    let breaks = [
        (Verdict::Wait("503".to_owned()), false),
        // It cannot read the question, and does not say that it has a key: some trouble of its own.
        (cannot_read(), false),
    ];
    for (verdict, holds_key) in breaks {
        let mut history = VerdictHistory { forced: false, unreadable: UNREADABLE_LIMIT - 1 };
        assert!(matches!(history.add(verdict, holds_key), Conclusion::Wait(_)));
        assert!(matches!(history.add(cannot_read(), true), Conclusion::Wait(_)));
    }
}

#[test]
fn where_another_key_is_to_be_replaced_it_is_waited_out() {
    let mut history = VerdictHistory { forced: true, unreadable: 0 };
    for _ in 0..2 * UNREADABLE_LIMIT {
        assert!(matches!(history.add(cannot_read(), true), Conclusion::Wait(_)));
    }
    assert_eq!(history.add(Verdict::Proved, false), Conclusion::Proved);
}

#[test]
fn a_proof_and_a_wrong_proof_end_it_at_once() {
    let mut history = VerdictHistory { forced: false, unreadable: 0 };
    assert_eq!(history.add(Verdict::Proved, false), Conclusion::Proved);
    let wrong = Verdict::Wrong("of another text".to_owned());
    assert_eq!(history.add(wrong, false), Conclusion::Wrong("of another text".to_owned()));
}

#[test]
fn one_trouble_is_one_reason_whatever_the_request_is_called() {
    let refused = |id: &str| {
        let (status, request_id) = (StatusCode::BAD_GATEWAY, Some(id.to_owned()));
        Err(CallError::Refused(Refusal { status, code: None, reason: None, request_id }))
    };
    assert_eq!(answer_of(&refused("a")), answer_of(&refused("b")));
    assert_eq!(judge(&refused("a"), "abc"), judge(&refused("b"), "abc"));
}
