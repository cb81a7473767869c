//! Keepers as Nexus sees them, on the wire.

use spike_wire::{KeeperStatus, KeeperStatusKind};
use time::format_description::well_known::Rfc3339;

use crate::keys::quorum::{KeeperState, Lapse, ShareState};

/// A Keeper on the wire.
pub(super) fn status_of(keeper: KeeperState) -> KeeperStatus {
    let (state, detail) = match keeper.share {
        ShareState::Unknown => (KeeperStatusKind::Unknown, None),
        ShareState::Unreachable(reason) => (KeeperStatusKind::Unreachable, Some(reason)),
        ShareState::Empty => (KeeperStatusKind::Empty, None),
        ShareState::Unusable(reason) => (KeeperStatusKind::Unusable, Some(reason)),
        ShareState::Unjudged => (KeeperStatusKind::Unjudged, None),
        ShareState::Good => (KeeperStatusKind::Good, None),
        ShareState::Foreign => (KeeperStatusKind::Foreign, None),
        ShareState::Forgetful(instead) => {
            let detail = format!("it takes its share and sends {instead} when it is asked for it");
            (KeeperStatusKind::Forgetful, Some(detail))
        }
    };
    let since = keeper.since.format(&Rfc3339).unwrap_or_default();
    let looked = keeper.looked.and_then(|at| at.format(&Rfc3339).ok());
    let KeeperState { index, url, failures, .. } = keeper;
    KeeperStatus { index, url, state, since, looked, failures, detail }
}

/// A Keeper that has nothing else to be told of it is told of by what it last sent in place of its share.
pub(super) fn tell_of_lapse(keeper: &mut KeeperStatus, lapse: Option<Lapse>) {
    let Some(Lapse { at, sent }) = lapse.filter(|_| keeper.detail.is_none()) else { return };
    let at = at.format(&Rfc3339).unwrap_or_default();
    keeper.detail = Some(format!("at {at} it sent {sent} instead of its share"));
}
