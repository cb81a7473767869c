//! Whole keys that Nexus has got from the Keepers and cannot use yet, because of its data, of its settings, or of shares that speak
//! against them. Nexus may be the only one that has them, once Keepers were restarted. So it gives a Keeper that has become empty
//! the very share that this Keeper gave it before, and says when a restart would lose a key.

use std::sync::{MutexGuard, PoisonError};

use spike_crypto::{Fingerprint, ShareIndex, ShareValue};

use super::{
    Keepers, ShareState,
    collect::WholeKey,
    keeper::{Answer, Keeper, Made},
};
use crate::keys::seal::Hindrance;

/// An attempt to unseal Nexus with the collected shares that failed, and what they make all the same.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) by: Hindrance,
    pub(super) reason: String,
    /// Every whole key that the shares make and that cannot be used yet.
    pub(super) held: Vec<WholeKey>,
    /// Whether an empty Keeper that gave a share of one of them gets it back. If not, to restart the Keepers of a key is how a person
    /// decides against it.
    pub(super) is_given_back: bool,
    /// Whether the data is of another key than these.
    pub(super) is_refused: bool,
}

impl Failed {
    /// With these whole keys, whose shares are given back.
    pub(super) const fn holding(held: Vec<WholeKey>, by: Hindrance, reason: String) -> Self {
        Self { by, reason, held, is_given_back: true, is_refused: false }
    }

    pub(super) const fn without_key(by: Hindrance, reason: String) -> Self {
        Self::holding(Vec::new(), by, reason)
    }

    fn held_with(&self, index: ShareIndex) -> Option<&WholeKey> {
        self.held.iter().find(|whole| whole.of.contains(&index))
    }
}

impl Keepers {
    /// Records how the last attempt failed, if it did.
    pub(super) fn note_attempt(&self, failed: Option<Failed>) {
        *self.failed() = failed;
    }

    /// Whether Nexus has a whole key from the Keepers, and has none in use.
    pub(crate) fn holds_whole_key(&self) -> bool {
        self.is_sealed() && self.failed().as_ref().is_some_and(|failed| !failed.held.is_empty())
    }

    /// Whether the share of this Keeper is one of a whole key that is not in use.
    pub(super) fn is_held(&self, index: ShareIndex) -> bool {
        self.failed().as_ref().is_some_and(|failed| failed.held_with(index).is_some())
    }

    /// The key that the share of this Keeper makes, if Nexus has found one with it and has none in use.
    pub(super) fn made_with(&self, keeper: &Keeper) -> Option<Made> {
        let failed = self.failed();
        let failed = failed.as_ref()?;
        let key = failed.held_with(keeper.index)?.key;
        Some(Made { key, is_refused: failed.is_refused })
    }

    /// Says which keys a restart would lose, if there are any.
    pub(super) fn tell_danger(&self) {
        let failed = self.failed();
        let danger = failed.as_ref().and_then(|failed| self.danger_of(failed));
        if let Some(danger) = danger.as_ref().filter(|danger| self.is_news(danger)) {
            tracing::error!(reason = danger, "a restart would lose the root key");
        }
        self.seal.warn(danger.as_deref());
    }

    fn danger_of(&self, failed: &Failed) -> Option<String> {
        let only_here = self.only_here(failed).map(|(_, told)| told).collect::<Vec<_>>();
        if only_here.is_empty() {
            return None;
        }
        let way_on = if failed.is_given_back {
            "Start the Keepers that are away: Nexus gives each its share back"
        } else {
            "Nexus gives none of these shares back while whole keys contradict each other: to restart the Keepers of one decides \
             against it. Feed recovery shares of the right key if that was a mistake"
        };
        Some(format!("do not restart Nexus: it alone has {}. {way_on}", only_here.join("; and ")))
    }

    /// The whole keys of which Keepers hold too few shares, with words for each.
    fn only_here<'f>(
        &'f self,
        failed: &'f Failed,
    ) -> impl Iterator<Item = (Fingerprint, String)> + 'f {
        failed.held.iter().filter_map(|whole| {
            let holds = |keeper: &&Keeper| {
                whole.of.contains(&keeper.index)
                    && matches!(keeper.state().share, ShareState::Unjudged)
                    && self.repeats(keeper).is_none()
            };
            let at_keepers = self.each.iter().filter(holds).count();
            let WholeKey { key, needed, .. } = whole;
            (at_keepers < usize::from(*needed)).then(|| {
                let told = format!(
                    "the whole key {key}, of which Keepers hold {at_keepers}, and a restart needs {needed}"
                );
                (*key, told)
            })
        })
    }

    /// The whole keys that Nexus alone has, besides this one: it forgets them once it has another. Keys that contradict each other
    /// without data do not count: there a restore is how a person decides.
    pub(super) fn would_lose(&self, taken: Fingerprint) -> Option<String> {
        let failed = self.failed();
        let others = self
            .only_here(failed.as_ref().filter(|failed| failed.is_given_back)?)
            .filter(|(key, _)| *key != taken);
        let told: Vec<String> = others.map(|(_, told)| told).collect();
        (!told.is_empty()).then(|| told.join("; and "))
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

    /// The share that this Keeper gave, if it is one of those that make a key and are given back.
    fn share_of(&self, index: ShareIndex) -> Option<ShareValue> {
        let is_given_back = |failed: &&Failed| failed.is_given_back;
        self.failed().as_ref().filter(is_given_back)?.held_with(index)?;
        self.collected().value_of(index)
    }

    fn failed(&self) -> MutexGuard<'_, Option<Failed>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
