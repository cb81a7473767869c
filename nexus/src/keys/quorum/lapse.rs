//! The last time a Keeper sent something else than its share. It is kept when the Keeper was put right: why it lied is still
//! to be found out, and only an operator can.

use std::sync::{Mutex, PoisonError};

use spike_mtls::clock;
use time::OffsetDateTime;

use super::record::ShareState;

/// What a Keeper sent, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lapse {
    /// When it was last seen.
    pub at: OffsetDateTime,
    /// What came in place of the share.
    pub sent: &'static str,
}

/// The last lapse of one Keeper, if there was any.
#[derive(Debug, Default)]
pub(super) struct Lapses(Mutex<Option<Lapse>>);

impl Lapses {
    /// Takes what a look at the Keeper has shown. A Keeper without a share was restarted, and has not lied;
    /// one that forgets its share is told of as such.
    pub(super) fn note(&self, share: &ShareState) {
        let sent = match share {
            ShareState::Foreign => "a share of another key",
            ShareState::Unusable(_) => "what is no share",
            ShareState::Unknown
            | ShareState::Unreachable(_)
            | ShareState::Empty
            | ShareState::Unjudged
            | ShareState::Forgetful(_)
            | ShareState::Good => return,
        };
        let lapse = Lapse { at: clock::now(), sent };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(lapse);
    }

    pub(super) fn last(&self) -> Option<Lapse> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
