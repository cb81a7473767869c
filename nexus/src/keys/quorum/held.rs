//! A whole key that Nexus has got from the Keepers and cannot use yet, because of its data. Nexus may be the only one that has
//! it, once Keepers were restarted. So it gives a Keeper that has become empty the very share that this Keeper gave it before,
//! and says when a restart would lose the key.

use std::sync::{MutexGuard, PoisonError};

use spike_crypto::{ShareIndex, ShareValue};

use super::{
    Keepers, ShareState,
    keeper::{Answer, Keeper, Made},
};
use crate::keys::seal::Hindrance;

/// An attempt to unseal Nexus with the collected shares that failed, and what they make all the same.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) by: Hindrance,
    pub(super) reason: String,
    /// The Keepers whose shares make a whole key that cannot be used yet; none if there is no such key.
    pub(super) of: Vec<ShareIndex>,
    /// The key that each share makes with others.
    pub(super) made: Vec<Made>,
}

impl Failed {
    pub(super) const fn without_key(by: Hindrance, reason: String) -> Self {
        Self { by, reason, of: Vec::new(), made: Vec::new() }
    }

    pub(super) const fn has_whole_key(&self) -> bool {
        !self.of.is_empty()
    }
}

impl Keepers {
    /// Records how the last attempt failed, if it did.
    pub(super) fn note_attempt(&self, failed: Option<Failed>) {
        *self.failed() = failed;
    }

    /// The key that the share of this Keeper makes, if Nexus has found one with it and has none in use.
    pub(super) fn made_with(&self, keeper: &Keeper) -> Option<Made> {
        let failed = self.failed();
        failed.as_ref()?.made.iter().find(|made| made.index == keeper.index).copied()
    }

    /// Says why a whole key is not in use, and whether a restart would lose it.
    pub(super) fn explain_held(&self) {
        let failed = self.failed();
        let Some(held) = failed.as_ref().filter(|failed| failed.has_whole_key()) else { return };
        let is_at = |keeper: &&Keeper| {
            held.of.contains(&keeper.index) && matches!(keeper.state().share, ShareState::Unjudged)
        };
        let (at_keepers, needed) =
            (self.each.iter().filter(is_at).count(), self.quorum.threshold());
        if at_keepers >= usize::from(needed) {
            return self.seal.explain(held.by, &held.reason);
        }
        let danger = format!(
            "do not restart Nexus: it alone has the whole key. Keepers hold {at_keepers} shares of it, and a restart needs {needed}. Start \
             those that are away: Nexus gives each its share back"
        );
        if self.is_news(&danger) {
            tracing::error!(reason = danger, "a restart would lose the root key");
        }
        self.seal.explain(held.by, &format!("{danger}. Then: {}", held.reason));
    }

    /// Gives an empty Keeper the share that it gave before. Returns whether its state has changed.
    pub(super) async fn give_back(&self, keeper: &Keeper) -> bool {
        let Some(value) = self.share_of(keeper.index).filter(|_| self.is_sealed()) else {
            return false;
        };
        match self.contribute_value(keeper, &value).await {
            Some(Answer::Share(read)) if read.ct_eq(&value) => {
                tracing::info!(keeper = %keeper.index, url = %keeper.url, "gave a Keeper its share back");
                keeper.note_given(&ShareState::Unjudged);
            }
            Some(Answer::Share(_)) => {
                keeper.note(ShareState::Unjudged);
            }
            Some(Answer::Other(state)) => keeper.note_given(&state),
            None => return false,
        }
        true
    }

    /// The share that this Keeper gave, if it is one of those that make the key.
    fn share_of(&self, index: ShareIndex) -> Option<ShareValue> {
        self.failed().as_ref().filter(|failed| failed.of.contains(&index))?;
        self.collected().value_of(index)
    }

    fn failed(&self) -> MutexGuard<'_, Option<Failed>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
