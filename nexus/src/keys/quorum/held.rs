//! Whole keys that Nexus has got from the Keepers and cannot use yet, because of its data, of its settings, or of shares that speak
//! against them. Nexus may be the only one that has them, once Keepers were restarted. So it keeps their shares whatever Keepers send
//! later, gives a Keeper that has become empty the very share that this Keeper gave it before, and says when a restart would lose a
//! key: also once another key is in use.

use std::sync::{MutexGuard, PoisonError};

use spike_crypto::{Fingerprint, Share, ShareIndex, ShareValue};

use super::{
    Keepers, ShareState,
    collect::WholeKey,
    keeper::{Answer, Keeper, Made},
    kept::{Kept, KeptKey},
};
use crate::keys::seal::{Hindrance, OwnTask};

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
    /// Whether there are choices of the shares that were not tried.
    pub(super) has_untried: bool,
}

impl Failed {
    /// With these whole keys, whose shares are given back.
    pub(super) const fn holding(held: Vec<WholeKey>, by: Hindrance, reason: String) -> Self {
        let (is_refused, has_untried) = (false, false);
        Self { by, reason, held, is_given_back: true, is_refused, has_untried }
    }

    pub(super) const fn without_key(by: Hindrance, reason: String) -> Self {
        Self::holding(Vec::new(), by, reason)
    }

    fn held_with(&self, index: ShareIndex) -> Option<&WholeKey> {
        self.held.iter().find(|whole| whole.of.contains(&index))
    }
}

impl Keepers {
    /// Records how the last attempt failed.
    pub(super) fn note_attempt(&self, failed: Failed) {
        *self.failed() = Some(failed);
    }

    /// Keeps these whole keys, which some of `shares` make, until one of them is in use or Nexus is restarted.
    pub(super) fn keep<'w>(&self, whole: impl IntoIterator<Item = &'w WholeKey>, shares: &[Share]) {
        let refused = self.kept().keep(whole, shares);
        for key in refused {
            if self.is_news(&format!("no place for {key}")) {
                tracing::error!(%key, "too many whole keys from Keepers: this one is lost once a Keeper sends another share");
            }
        }
    }

    /// Whether Nexus has a whole key from the Keepers, and has none in use.
    pub(crate) fn holds_whole_key(&self) -> bool {
        self.is_sealed() && !self.kept().is_empty()
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
        let is_sent = |kept: &KeptKey| kept.key == key && keeper.has_sent_one_of(kept);
        let is_refused = failed.is_refused;
        self.kept().iter().any(is_sent).then_some(Made { key, is_refused })
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
        let only_here = told(self.only_here())?;
        let way_on = if failed.is_given_back {
            "Start the Keepers that are away: Nexus gives each its share back"
        } else {
            "Nexus gives none of these shares back while whole keys contradict each other: to restart the Keepers of one decides \
             against it. Feed recovery shares of the right key if that was a mistake"
        };
        Some(format!("do not restart Nexus: it alone has {only_here}. {way_on}"))
    }

    /// The whole keys of which Keepers hold too few shares, with words for each.
    fn only_here(&self) -> Vec<(Fingerprint, String)> {
        let kept = self.kept();
        let only_here = kept.iter().filter_map(|kept| {
            let (KeptKey { key, needed, .. }, at_keepers) = (kept, self.at_keepers(kept));
            (at_keepers < usize::from(*needed)).then(|| {
                let told = format!(
                    "the whole key {key}, of which Keepers hold {at_keepers}, and a restart needs {needed}"
                );
                (*key, told)
            })
        });
        only_here.collect()
    }

    /// How many shares of the key were read from Keepers that answer. An address that leads to another Keeper for a moment shows the
    /// share of that one.
    fn at_keepers(&self, kept: &KeptKey) -> usize {
        let mut showing: Vec<&Keeper> = Vec::new();
        for keeper in &self.each {
            let shows = matches!(keeper.state().share, ShareState::Unjudged | ShareState::Foreign)
                && self.repeats(keeper).is_none()
                && keeper.has_sent_one_of(kept);
            if shows && !(kept.needed > 1 && keeper.sends_the_same_as(showing.iter().copied())) {
                showing.push(keeper);
            }
        }
        showing.len()
    }

    /// The whole keys that Nexus alone has, besides this one: it gives none of them back once it has another. Keys that contradict each
    /// other without data do not count: there a restore is how a person decides.
    pub(super) fn would_lose(&self, taken: Fingerprint) -> Option<String> {
        if !self.failed().as_ref()?.is_given_back {
            return None;
        }
        told(self.only_here().into_iter().filter(|(key, _)| *key != taken))
    }

    /// Lets go of those of the whole keys `held` that a person has decided against: the Keepers of this one show their shares, and those
    /// of the others were restarted.
    pub(super) fn decide(&self, held: &[WholeKey], decided: Fingerprint) {
        for WholeKey { key, .. } in held.iter().filter(|whole| whole.key != decided) {
            tracing::warn!(%key, %decided, "this key contradicts that of other Keepers, and is let go of: its Keepers were restarted");
        }
        self.kept()
            .retain(|kept| kept.key == decided || !held.iter().any(|whole| whole.key == kept.key));
    }

    /// Once a key is in use: lets go of it, and of every other key that Keepers hold whole, and names those that are left.
    pub(super) fn settle(&self) {
        let Ok(unsealed) = self.seal.for_own_task(OwnTask::TendKeepers) else { return };
        let undecided = self.failed().take().filter(|failed| !failed.is_given_back);
        if self.kept().is_empty() {
            return;
        }
        let in_use = unsealed.root_key().fingerprint();
        if let Some(undecided) = undecided {
            // A restore has decided.
            self.kept().retain(|kept| !undecided.held.iter().any(|whole| whole.key == kept.key));
        }
        self.kept()
            .retain(|kept| kept.key != in_use && self.at_keepers(kept) < usize::from(kept.needed));
        for key in self.kept().iter().map(|kept| kept.key) {
            if self.is_news(&format!("left {key}")) {
                tracing::error!(%key, %in_use, "Nexus alone has this whole key, and uses another: a restart loses it");
            }
        }
    }

    /// The whole keys that Nexus alone has beside the one in use, and what a person can do.
    pub(crate) fn left_beside(&self) -> Option<String> {
        if self.kept().is_empty() {
            return None;
        }
        let unsealed = self.seal.for_own_task(OwnTask::TendKeepers).ok()?;
        let in_use = unsealed.root_key().fingerprint();
        let left = told(self.only_here().into_iter().filter(|(key, _)| *key != in_use))?;
        Some(format!(
            "Nexus alone has {left}; key {in_use} is in use. Nexus gives no share of the other key to anybody, and forgets it when it is \
             restarted. If that key is of another deployment, see that its Keepers that are away come back with their shares, or that its \
             recovery shares are there, and correct SPIKE_NEXUS_KEEPER_PEERS. If nobody needs that key, restart Nexus"
        ))
    }

    /// Gives an empty Keeper the share that it gave before. Returns whether its state has changed.
    pub(super) async fn give_back(&self, keeper: &Keeper) -> bool {
        let Some(value) = self.share_of(keeper).filter(|_| self.is_sealed()) else {
            return false;
        };
        match self.contribute_value(keeper, &value).await {
            Some(Answer::Share(read)) if read.ct_eq(&value) => {
                tracing::info!(keeper = %keeper.index, url = %keeper.url, "gave a Keeper its share back");
                keeper.note_sent(read);
                keeper.note_given(&ShareState::Unjudged);
            }
            Some(Answer::Share(read)) => {
                keeper.note_sent(read);
                keeper.note(ShareState::Unjudged);
            }
            Some(Answer::Other(state)) => keeper.note_given(&state),
            None => return false,
        }
        true
    }

    /// The share that this Keeper gave, if it is one of those that make a key and are given back. If there are several, one of a key that
    /// Nexus alone has comes first, and then the one that the Keeper sent last.
    fn share_of(&self, keeper: &Keeper) -> Option<ShareValue> {
        if !self.failed().as_ref()?.is_given_back {
            return None;
        }
        let kept = self.kept();
        let shares = kept.iter().flat_map(|kept| {
            let is_only_here = self.at_keepers(kept) < usize::from(kept.needed);
            kept.of(keeper.index).map(move |value| (is_only_here, keeper.has_sent(value), value))
        });
        let (.., value) =
            shares.max_by_key(|(is_only_here, is_last, _)| (*is_only_here, *is_last))?;
        Some(value.duplicate())
    }

    /// Whether the last share of this Keeper is what another one has sent: its address leads to that one. The other may be away at its
    /// own address, and need not tell a name.
    pub(super) fn sends_what_another_sent(&self, keeper: &Keeper) -> bool {
        let others = self.each.iter().filter(|other| other.index != keeper.index);
        // With a threshold of 1 all shares are alike.
        self.quorum.threshold() > 1 && keeper.sends_the_same_as(others)
    }

    fn failed(&self) -> MutexGuard<'_, Option<Failed>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The words for these keys, if there is any.
fn told(keys: impl IntoIterator<Item = (Fingerprint, String)>) -> Option<String> {
    let told: Vec<String> = keys.into_iter().map(|(_, told)| told).collect();
    (!told.is_empty()).then(|| told.join("; and "))
}
