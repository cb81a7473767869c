use std::io;

use super::super::check::Outcome;
use super::*;

use KeeperStatusKind::{Empty, Foreign, Forgetful, Good, Repeated, Unjudged, Unreachable};

fn status(states: &[KeeperStatusKind]) -> StatusResponse {
    let keeper = |(index, state): (usize, &KeeperStatusKind)| KeeperStatus {
        index: u16::try_from(index + 1).unwrap(),
        url: "https://localhost:8443".to_owned(),
        state: *state,
        ..KeeperStatus::default()
    };
    StatusResponse {
        shares: u16::try_from(states.len()).unwrap(),
        threshold: 2,
        keepers: states.iter().enumerate().map(keeper).collect(),
        ..StatusResponse::default()
    }
}

fn sealed_with(data: DataKind, states: &[KeeperStatusKind]) -> Check {
    let sealed = StatusResponse { sealed: true, data: Some(data), ..status(states) };
    judge(&sealed, Some(NotReady::Sealed)).remove(0)
}

fn cause(check: &Check) -> &str {
    check.cause.as_deref().unwrap_or_default()
}

#[test]
fn each_reason_for_being_sealed_is_told_apart() {
    for (data, states, part) in [
        (DataKind::None, [Empty, Empty, Empty], "Bootstrap has never run"),
        (DataKind::Ours, [Empty, Empty, Empty], "restarted at the same time"),
        (DataKind::Unreadable, [Empty, Empty, Empty], "restarted at the same time"),
        (
            DataKind::Ours,
            [Unreachable, Unreachable, Unreachable],
            "3 of 3 Keepers cannot be reached",
        ),
        (DataKind::Ours, [Unreachable, Unjudged, Empty], "1 of 3 Keepers cannot be reached"),
        (DataKind::Ours, [Unjudged, Empty, Empty], "2 of 3 Keepers are empty, 1 hold"),
        (DataKind::None, [Unjudged, Unjudged, Unjudged], "no root key that it may use"),
    ] {
        let found = sealed_with(data, &states);
        assert!(cause(&found).contains(part), "{part}: {found:?}");
        assert_eq!(found.outcome, Outcome::Failed(Exit::NotReady));
        let names_bootstrap = found.next.as_ref().unwrap().contains("run Bootstrap once");
        assert_eq!(names_bootstrap, cause(&found).starts_with("Bootstrap"), "{found:?}");
    }
}

// It was sent to the page of a Nexus that still has its key, whose advice is to leave it running and to take shares out.
#[test]
fn a_sealed_nexus_is_sent_to_the_page_that_says_how_to_restore() {
    for states in [[Empty, Empty, Empty], [Unreachable, Unjudged, Empty], [Unjudged, Empty, Empty]]
    {
        let found = sealed_with(DataKind::Ours, &states);
        assert_eq!(found.page, "docs/runbooks/SpikeSealed.md", "{found:?}");
    }
    let live = StatusResponse { margin: Some(-1), ..status(&[Good, Empty, Empty]) };
    let margin = judge(&live, None).pop().unwrap();
    assert_eq!(margin.page, "docs/runbooks/SpikeQuorumLost.md", "{margin:?}");
}

#[test]
fn a_store_that_cannot_be_opened_is_not_told_as_missing_shares() {
    let status = StatusResponse { sealed: true, ..status(&[Unjudged, Unjudged, Empty]) };
    let found = judge(&status, Some(NotReady::Store)).remove(0);
    assert!(cause(&found).contains("its store cannot be opened"), "{found:?}");
}

#[test]
fn a_keeper_that_is_not_well_is_a_warning_and_the_margin_decides() {
    for (state, outcome) in [
        (Good, Outcome::Ok),
        (Empty, Outcome::Warning),
        (Unreachable, Outcome::Warning),
        (Foreign, Outcome::Warning),
        (Forgetful, Outcome::Warning),
    ] {
        let checks = judge(&status(&[state]), None);
        assert_eq!(checks[1].outcome, outcome, "{state:?}");
    }
    for (margin, outcome) in [
        (Some(1), Outcome::Ok),
        (Some(0), Outcome::Warning),
        (Some(-1), Outcome::Failed(Exit::Failure)),
        (None, Outcome::Skipped),
    ] {
        let found = judge(&StatusResponse { margin, ..status(&[Good, Good]) }, None);
        assert_eq!(found.last().unwrap().outcome, outcome, "{margin:?}");
    }
}

/// It said to bring back the Keepers where none was away.
#[test]
fn what_raises_the_margin_follows_from_what_is_wrong_with_the_keepers() {
    let next = |states: &[KeeperStatusKind]| {
        let found = judge(&StatusResponse { margin: Some(-1), ..status(states) }, None);
        let margin = found.last().unwrap();
        (margin.next.clone().unwrap(), margin.page)
    };
    let back = "bring back the Keepers";
    let (told, page) = next(&[Foreign, Foreign, Foreign]);
    assert!(told.contains("restart that Keeper") && !told.contains(back), "{told}");
    assert!(page.ends_with("SpikeShareReplaced.md"), "{page}");
    let (told, page) = next(&[Good, Foreign, Unreachable]);
    assert!(told.contains("restart that Keeper") && told.contains(back), "{told}");
    assert!(page.ends_with("SpikeQuorumLost.md"), "{page}");
    let (told, _) = next(&[Good, Repeated]);
    assert!(told.contains("two addresses are one process") && !told.contains(back), "{told}");
    let (told, _) = next(&[Good, Empty]);
    assert_eq!(told, "do not restart SPIKE Nexus; bring back the Keepers that are named above");
}

#[test]
fn a_backend_without_a_key_needs_no_keepers() {
    let memory = StatusResponse { backend: "memory".to_owned(), ..StatusResponse::default() };
    let found = judge(&memory, None);
    assert_eq!((found.len(), found[0].outcome), (1, Outcome::Ok));
}

#[test]
fn a_keeper_that_refuses_this_process_after_its_certificate_was_accepted_is_well() {
    let url: HttpsUrl = "https://localhost:8443".parse().unwrap();
    let judged = |error| judge_dial(1, &url, &Err(error));
    let refused = TransportError::Unaccepted("alert".to_owned());
    assert_eq!(judged(refused).outcome, Outcome::Ok);
    let handshake = |error: PeerError| TransportError::Handshake {
        host: "localhost:8443".to_owned(),
        source: Arc::new(io::Error::other(error)),
    };
    let other = PeerError::Refused { id: "spiffe://a/b".to_owned(), expected: String::new() };
    assert!(cause(&judged(handshake(other))).contains("is spiffe://a/b, and no Keeper"));
    let source = Arc::new(io::ErrorKind::ConnectionRefused.into());
    let away = TransportError::Connect { host: "localhost:8443".to_owned(), source };
    assert!(cause(&judged(away)).contains("cannot be reached from this machine"));
}

fn away_because(detail: &str) -> StatusResponse {
    let mut status = StatusResponse {
        sealed: true,
        data: Some(DataKind::Ours),
        ..status(&[Unreachable, Unreachable, Unjudged])
    };
    for keeper in status.keepers.iter_mut().filter(|keeper| keeper.state == Unreachable) {
        keeper.detail = Some(detail.to_owned());
    }
    status
}

/// Nexus told why, and the answer was to start a Keeper that runs.
#[test]
fn the_reason_why_nexus_does_not_reach_a_keeper_is_in_the_answer() {
    let detail = "spiffe://example.com/spike/keeper is not accepted here: expected spiffe://example.org/spike/keeper or below (SPIKE_TRUST_ROOT_KEEPER)";
    let found = judge(&away_because(detail), Some(NotReady::Sealed));
    assert!(cause(&found[0]).contains(detail), "{:?}", found[0]);
    assert_eq!(cause(&found[0]).matches(detail).count(), 1, "each reason once");
    assert!(cause(&found[1]).contains(detail), "{:?}", found[1]);
    for check in &found[..2] {
        let next = check.next.as_deref().unwrap();
        assert!(next.contains("trust roots") && !next.starts_with("start"), "{next}");
    }
    let found = judge(&away_because("cannot connect to localhost:8443"), Some(NotReady::Sealed));
    assert!(found[0].next.as_deref().unwrap().starts_with("start those Keepers"), "{found:?}");
}

/// It was told to be started, and was running.
#[test]
fn a_keeper_that_does_not_answer_is_told_as_one_that_may_hang() {
    for detail in ["no answer within 2 s", "the TLS handshake took longer than 5s"] {
        let found = judge(&away_because(detail), Some(NotReady::Sealed));
        assert!(cause(&found[1]).contains("it does not answer"), "{:?}", found[1]);
        for check in &found[..2] {
            let next = check.next.as_deref().unwrap();
            assert!(next.contains("hang") && !next.starts_with("start"), "{next}");
        }
    }
    let url: HttpsUrl = "https://localhost:8443".parse().unwrap();
    let silent = TransportError::Timeout { what: "the whole call", limit: STEP };
    let found = judge_dial(1, &url, &Err(silent));
    assert!(cause(&found).contains("does not answer"), "{found:?}");
    assert!(found.next.as_deref().unwrap().contains("hangs or is stopped"), "{found:?}");
}

/// The page was that of a margin, which a sealed Nexus does not have.
#[test]
fn a_sealed_nexus_leads_to_the_page_about_that() {
    for states in [[Empty, Empty, Empty], [Unjudged, Empty, Empty], [Unreachable, Empty, Empty]] {
        let found = sealed_with(DataKind::Ours, &states);
        assert!(found.page.ends_with("SpikeSealed.md"), "{found:?}");
    }
}

#[test]
fn a_database_of_a_newer_nexus_leads_to_that_nexus() {
    let reason = |text: &str| {
        let reason = Some(format!("sealed: the store cannot be opened: {text}"));
        let sealed = StatusResponse { sealed: true, reason, ..status(&[Unjudged, Unjudged]) };
        judge(&sealed, Some(NotReady::Store)).remove(0)
    };
    let newer = reason(&format!("it has schema 99, this program knows 2: {OF_A_NEWER_NEXUS}"));
    assert!(
        newer.next.as_deref().unwrap().starts_with("start that newer SPIKE Nexus"),
        "{newer:?}"
    );
    assert!(cause(&newer).contains("has schema 99"), "{newer:?}");
    let damaged = reason("it is damaged");
    assert!(damaged.next.as_deref().unwrap().starts_with("mend the store"), "{damaged:?}");
}

#[test]
fn a_full_disk_is_not_told_as_a_root_key_that_is_broken() {
    use spike_wire::{CheckEffect, CheckStatus};
    let reason = "the store cannot be written: the disk is full".to_owned();
    let check =
        CheckStatus { name: "store_write".to_owned(), effect: CheckEffect::Failing, reason };
    let full = StatusResponse {
        reason: Some("not ready: the store cannot be written: the disk is full".to_owned()),
        checks: vec![check],
        ..status(&[Good, Good])
    };
    assert_eq!(judge(&full, None)[0].outcome, Outcome::Ok);
    // A Nexus that does not tell its checks.
    let silent = StatusResponse { checks: Vec::new(), ..full };
    assert_eq!(judge(&silent, None)[0].outcome, Outcome::Failed(Exit::NotReady));
}
