//! A whole key that Nexus has got from the Keepers and cannot use yet, because of its data. Nexus may be the only one that has
//! it, once Keepers were restarted. So it gives a Keeper that has become empty the very share that this Keeper gave it before,
//! and says when a restart would lose the key.

use std::sync::{MutexGuard, PoisonError};

use spike_crypto::{ShareIndex, ShareValue};

use super::{
    Keepers, ShareState,
    keeper::{Answer, Keeper},
};
use crate::keys::seal::Hindrance;

/// Which shares make the key, and why it is not in use.
#[derive(Debug)]
pub(super) struct Held {
    /// The Keepers whose shares make it.
    pub(super) of: Vec<ShareIndex>,
    pub(super) by: Hindrance,
    pub(super) reason: String,
}

impl Keepers {
    /// Records that there is such a key, or none any more.
    pub(super) fn hold(&self, held: Option<Held>) {
        *self.held() = held;
    }

    /// Says why the key is not in use, and whether a restart would lose it.
    pub(super) fn explain_held(&self) {
        let held = self.held();
        let Some(held) = &*held else { return };
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
        self.held().as_ref().filter(|held| held.of.contains(&index))?;
        self.collected().value_of(index)
    }

    fn held(&self) -> MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
