//! The last time a Keeper sent something other than its share. It is kept after the share was replaced, because an operator
//! still has to find the cause.

use std::sync::{Mutex, PoisonError};

use spike_mtls::clock;
use time::OffsetDateTime;

use super::record::ShareState;

/// What a Keeper sent, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lapse {
    /// When it was last seen.
    pub at: OffsetDateTime,
    /// What the Keeper sent in place of the share.
    pub sent: &'static str,
}

/// The last lapse of one Keeper, if there was one.
#[derive(Debug, Default)]
pub(super) struct Lapses(Mutex<Option<Lapse>>);

impl Lapses {
    /// Records a check of the Keeper. A Keeper without a share was restarted, which is no lapse; one that forgets its share has
    /// a state of its own.
    pub(super) fn note(&self, share: &ShareState) {
        let sent = match share {
            ShareState::Foreign => "a share of another root key",
            ShareState::Unusable(_) => "what is no share",
            ShareState::Misplaced => "another share of the key in use",
            ShareState::Unknown
            | ShareState::Unreachable(_)
            | ShareState::Untold(_)
            | ShareState::Empty
            | ShareState::Unjudged
            | ShareState::Forgetful(_)
            | ShareState::Repeated { .. }
            | ShareState::Good => return,
        };
        let lapse = Lapse { at: clock::now(), sent };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(lapse);
    }

    pub(super) fn last(&self) -> Option<Lapse> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
