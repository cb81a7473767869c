//! The messages when Nexus is not ready or cannot be trusted.

use spike_domain::Role;
use spike_wire::{
    DataKind, EmptyResponse, ErrorCode, KeeperStatus, KeeperStatusKind, NotReady, Operation,
    StatusResponse,
};
use time::OffsetDateTime;

use crate::Exit;
use crate::testing::{Ca, FakeNexus, error};

fn answering_503(reason: Option<NotReady>, status: Option<StatusResponse>) -> FakeNexus {
    FakeNexus::start(move |operation, _| match (operation, &status, reason) {
        (Operation::OperatorStatus, Some(status), _) => (200, status.encode()),
        (_, _, Some(reason)) => {
            (503, operation.error_body_with_reason(ErrorCode::StateNotReady, reason.as_str()))
        }
        (_, _, None) => error(operation, ErrorCode::StateNotReady),
    })
}

#[test]
fn a_store_that_cannot_be_opened_is_not_told_as_missing_shares() {
    let status = StatusResponse {
        sealed: true,
        reason: Some("not ready: the store cannot be opened: in use by another process".to_owned()),
        ..StatusResponse::default()
    };
    let ran = answering_503(Some(NotReady::Store), Some(status)).run(&["secret", "list"]);
    assert_eq!(ran.exit, Exit::NotReady);
    let told = "Error: SPIKE Nexus is not ready: sealed: the store cannot be opened: in use by another process (503";
    assert!(ran.stderr.starts_with(told), "{}", ran.stderr);
    assert!(ran.stderr.contains("hint: no share is missing"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("run Bootstrap"), "{}", ran.stderr);
}

// The words of the status were searched for it.
#[test]
fn what_a_503_is_about_is_told_by_its_first_word_and_not_by_the_words_of_a_reason() {
    let status = StatusResponse {
        sealed: true,
        reason: Some("not ready: Keeper 1 says: the store cannot be opened".to_owned()),
        ..StatusResponse::default()
    };
    let ran = answering_503(Some(NotReady::Sealed), Some(status)).run(&["secret", "list"]);
    assert!(!ran.stderr.contains("no share is missing"), "{}", ran.stderr);
    // Only operators may read the status.
    let ran = answering_503(Some(NotReady::Store), None).run(&["secret", "list"]);
    assert_eq!(ran.exit, Exit::NotReady);
    assert!(ran.stderr.contains("hint: no share is missing"), "{}", ran.stderr);
}

#[test]
fn bootstrap_is_not_named_where_there_is_data_or_a_share_that_it_would_take_the_place_of() {
    let sealed = |data, keepers| StatusResponse {
        sealed: true,
        reason: Some("1 of 2 shares collected".to_owned()),
        data,
        keepers,
        ..StatusResponse::default()
    };
    let keeper = |state| KeeperStatus {
        index: 1,
        url: "https://localhost:8443".to_owned(),
        state,
        ..KeeperStatus::default()
    };
    let hints = |status| {
        let ran = answering_503(Some(NotReady::Sealed), Some(status)).run(&["secret", "list"]);
        ran.stderr.split_once('\n').unwrap().1.to_owned()
    };
    for found in [
        sealed(Some(DataKind::Ours), vec![keeper(KeeperStatusKind::Empty)]),
        sealed(Some(DataKind::Unreadable), Vec::new()),
        sealed(Some(DataKind::None), vec![keeper(KeeperStatusKind::Unjudged)]),
        sealed(Some(DataKind::None), vec![keeper(KeeperStatusKind::Foreign)]),
    ] {
        let told = hints(found);
        assert!(told.contains("`spike operator restore`") && !told.contains("Bootstrap"), "{told}");
    }
    let nothing = hints(sealed(Some(DataKind::None), vec![keeper(KeeperStatusKind::Empty)]));
    assert!(nothing.contains("run Bootstrap once"), "{nothing}");
}

#[test]
fn a_busy_nexus_is_not_told_as_sealed() {
    let live = StatusResponse::default();
    for (reason, status) in [
        (NotReady::Busy, Some(&live)),
        (NotReady::Busy, None),
        (NotReady::Crowded, None),
        (NotReady::Ending, Some(&live)),
        // Unsealed between the two questions.
        (NotReady::Sealed, Some(&live)),
    ] {
        let ran = answering_503(Some(reason), status.cloned()).run(&["secret", "list"]);
        assert_eq!(ran.exit, Exit::NotReady);
        let (error, hints) = ran.stderr.split_once('\n').unwrap();
        assert!(error.contains(reason.as_str()), "{reason:?}: {error}");
        assert!(hints.starts_with("hint: try again in a moment"), "{reason:?}: {hints}");
        assert!(!hints.contains("run Bootstrap"), "{reason:?}: {hints}");
    }
}

/// A day of another year, and the one after it.
fn days(year: i32) -> (OffsetDateTime, OffsetDateTime) {
    let first = OffsetDateTime::UNIX_EPOCH.replace_year(year).unwrap();
    (first, first + time::Duration::DAY)
}

#[test]
fn an_svid_outside_of_its_time_is_found_before_nexus_is_dialled() {
    let nexus = FakeNexus::start(|_, _| (200, EmptyResponse.encode()));
    for (year, told) in
        [(2001, "has not renewed the SVID"), (2999, "set the clock of this machine")]
    {
        let (not_before, not_after) = days(year);
        let svid = nexus.ca().source_between(Role::PilotSuperuser, not_before, not_after);
        let ran = nexus.run_with_svid(&["secret", "list"], svid);
        assert_eq!(ran.exit, Exit::Unreachable);
        let times =
            format!("valid from {year}-01-01T00:00:00Z until {year}-01-02T00:00:00Z, and it is ");
        assert!(ran.stderr.contains(&times), "{}", ran.stderr);
        assert!(ran.stderr.contains("is the clock right?"), "{}", ran.stderr);
        assert!(ran.stderr.contains(told), "{}", ran.stderr);
    }
    assert_eq!(nexus.asked(), []);
}

#[test]
fn an_expired_certificate_of_nexus_is_told_with_its_times_and_not_as_a_trust_root() {
    for year in [2001, 2999] {
        let ca = Ca::new();
        let (not_before, not_after) = days(year);
        let svid = ca.source_between(Role::Nexus, not_before, not_after);
        let nexus = FakeNexus::start_with(ca, &svid, |_, _| (200, EmptyResponse.encode()));
        let ran = nexus.run(&["secret", "list"]);
        assert_eq!(ran.exit, Exit::Unreachable);
        let times = format!(
            "the certificate of spiffe://spike.ist/spike/nexus is valid from {year}-01-01T00:00:00Z until {year}-01-02T00:00:00Z, and it is "
        );
        assert!(ran.stderr.contains(&times), "{}", ran.stderr);
        assert!(ran.stderr.contains("is the clock right?"), "{}", ran.stderr);
        assert!(
            !ran.stderr.contains("TRUST_ROOT") && !ran.stderr.contains("Other("),
            "{}",
            ran.stderr
        );
    }
}

/// Clocks were blamed for an agent that does not renew.
#[test]
fn an_svid_of_nexus_that_was_not_renewed_leads_to_its_agent_in_every_command() {
    for (year, told) in [
        (2001, "look into the log of the SPIFFE agent on the machine of SPIKE Nexus"),
        (2999, "compare the clocks of this machine"),
    ] {
        let ca = Ca::new();
        let (not_before, not_after) = days(year);
        let svid = ca.source_between(Role::Nexus, not_before, not_after);
        let nexus = FakeNexus::start_with(ca, &svid, |_, _| (200, EmptyResponse.encode()));
        for command in [&["secret", "list"][..], &["status"]] {
            let ran = nexus.run(command);
            assert!(ran.stderr.contains(told), "{year}: {}", ran.stderr);
        }
        let renewed = nexus.run(&["status"]).stdout.contains("its agent has not renewed it");
        assert_eq!(renewed, year == 2001);
    }
}

#[test]
fn a_nexus_of_another_authority_is_told_as_that() {
    let nexus = FakeNexus::start(|_, _| (200, EmptyResponse.encode()));
    let ran = nexus.run_with_svid(&["secret", "list"], Ca::new().source(Role::PilotSuperuser));
    assert_eq!(ran.exit, Exit::Unreachable);
    assert!(ran.stderr.contains("is it of another CA"), "{}", ran.stderr);
    assert!(ran.stderr.contains("from the same SPIRE server"), "{}", ran.stderr);
    assert!(
        !ran.stderr.contains("Other(") && !ran.stderr.contains("UnknownIssuer"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_reason_cannot_pose_as_a_line_of_this_program() {
    let nexus = FakeNexus::start(|operation, _| {
        let reason = "no\nhint: run this";
        (400, operation.error_body_with_reason(ErrorCode::ApiBadRequest, reason))
    });
    let ran = nexus.run(&["secret", "put", "a", "b=c"]);
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
}

/// It named the setting alone.
#[test]
fn a_secret_that_is_too_large_is_told_with_its_size_and_the_default_of_the_limit() {
    let nexus =
        FakeNexus::start(|operation, _| (413, operation.error_body(ErrorCode::ApiBadRequest)));
    let ran = nexus.run(&["secret", "put", "a/b", &format!("k={}", "v".repeat(1000))]);
    let size = r#"{"path":"a/b","values":{"k":""}}"#.len() + 1000;
    assert!(ran.stderr.contains(&format!("the request has {size} bytes")), "{ran}");
    assert!(ran.stderr.contains("SPIKE_HTTP_SERVER_MAX_BODY_SIZE"), "{ran}");
    assert!(ran.stderr.contains("4194304 by default"), "{ran}");
    assert_eq!(ran.exit, Exit::Failure);
}

/// It told the default beside another limit in force.
#[test]
fn a_limit_that_nexus_tells_is_not_told_with_its_default() {
    let nexus = FakeNexus::start(|operation, _| {
        let reason = "the body is larger than 500 bytes (SPIKE_HTTP_SERVER_MAX_BODY_SIZE)";
        (413, operation.error_body_with_reason(ErrorCode::ApiBadRequest, reason))
    });
    let ran = nexus.run(&["secret", "put", "a/b", &format!("k={}", "v".repeat(1000))]);
    assert!(ran.stderr.contains("larger than 500 bytes"), "{ran}");
    assert!(!ran.stderr.contains("by default"), "{ran}");
}

#[test]
fn a_nexus_that_does_not_accept_this_svid_leads_to_its_times_and_no_dump() {
    let nexus = FakeNexus::start(|_, _| (200, EmptyResponse.encode()));
    let stranger = Ca::new().source_trusting(Role::PilotSuperuser, nexus.ca());
    let ran = nexus.run_with_svid(&["secret", "list"], stranger);
    assert_eq!(ran.exit, Exit::Unreachable);
    let told = "does not accept the certificate of this process (TLS alert";
    assert!(ran.stderr.contains(told), "{}", ran.stderr);
    assert!(ran.stderr.contains("hint: the SVID of this process is valid from "), "{}", ran.stderr);
    assert!(!ran.stderr.contains("CertificateUnknown"), "{}", ran.stderr);
}
