//! Keepers as Nexus sees them, on the wire.

use spike_mtls::clock;
use spike_wire::{KeeperStatus, KeeperStatusKind};

use crate::keys::quorum::{KeeperProgram, KeeperState, Lapse, ShareState};

/// A Keeper on the wire.
pub(super) fn status_of(keeper: KeeperState) -> KeeperStatus {
    let advice = keeper.advice();
    let (state, detail) = match keeper.share {
        ShareState::Unknown => (KeeperStatusKind::Unknown, None),
        ShareState::Unreachable(reason) => (KeeperStatusKind::Unreachable, Some(reason)),
        ShareState::Empty => (KeeperStatusKind::Empty, None),
        ShareState::Unusable(reason) => (KeeperStatusKind::Unusable, Some(reason)),
        ShareState::Unjudged => (KeeperStatusKind::Unjudged, advice),
        ShareState::Good => (KeeperStatusKind::Good, None),
        ShareState::Foreign => (KeeperStatusKind::Foreign, advice),
        ShareState::Repeated { .. } => (KeeperStatusKind::Repeated, advice),
        state @ (ShareState::Untold(_) | ShareState::Misplaced) => {
            (KeeperStatusKind::Unusable, Some(state.to_string()))
        }
        ShareState::Forgetful(instead) => {
            let detail = format!("it takes its share and sends {instead} when it is asked for it");
            (KeeperStatusKind::Forgetful, Some(detail))
        }
    };
    let since = clock::rfc3339(keeper.since);
    let looked = keeper.looked.map(clock::rfc3339);
    let KeeperState { index, url, failures, .. } = keeper;
    let (version, started) = (None, None);
    KeeperStatus { index, url, state, since, looked, failures, version, started, detail }
}

/// As [`status_of`], with what the Keeper says of its program. If there is no other detail, it is what the Keeper last sent in place
/// of its share.
pub(super) fn status_of_program(
    (keeper, lapse): (KeeperState, Option<Lapse>),
    program: KeeperProgram,
) -> KeeperStatus {
    let mut status = status_of(keeper);
    let KeeperProgram { version, started } = program;
    (status.version, status.started) = (version, started);
    if let (None, Some(Lapse { at, sent })) = (&status.detail, lapse) {
        let at = clock::rfc3339(at);
        status.detail = Some(format!("at {at} it sent {sent} instead of its share"));
    }
    status
}
