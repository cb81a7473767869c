//! While Nexus has no key: collects shares, and tries the keys that they make.

use std::time::Duration;

use spike_crypto::{Quorum, Share, ShareIndex};
use spike_mtls::retry::Backoff;
use tokio::time::Instant;

use super::{
    AdoptError, Candidates, Keepers, ShareState,
    collect::{CollectError, of_another_threshold},
    held::Failed,
    keeper::{Answer, Keeper},
    unproved::{Seen, still_held},
};
use crate::keys::seal::Hindrance;

/// The first and the longest pause between two attempts to open the store with a key that is complete.
const STORE_PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

/// The same while not every choice of the shares was tried.
const CHOICES_PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

/// How many times longer than such an attempt the pause after it is, at least: other work needs the processors too.
const CHOICES_REST: u32 = 4;

/// How many earlier shares of each Keeper are remembered. A faulty one sends another each time.
const MOST_EARLIER: usize = 4;

/// The shares that Keepers have sent since Nexus was started.
#[derive(Debug, Default)]
pub(super) struct Collected {
    /// The last one of each Keeper.
    last: Vec<Share>,
    /// Those that others took the place of: the data may show that one of them was the right one.
    earlier: Vec<Share>,
}

impl Keepers {
    /// Takes the share, and tries the keys that all shares make. Returns whether the answer was a new one.
    pub(super) async fn collect(&self, keeper: &Keeper, answer: Answer) -> bool {
        let share = match answer {
            Answer::Share(value) => Share { index: keeper.index, value },
            Answer::Other(state) => {
                let is_empty = matches!(state, ShareState::Empty);
                let mut changed = keeper.note(state);
                if changed {
                    // To give the share back may take seconds.
                    self.tell_danger();
                }
                if is_empty && self.give_back(keeper).await {
                    changed = true;
                    self.tell_danger();
                }
                return changed;
            }
        };
        let is_new = keeper.note_sent(share.value.duplicate());
        // An address that leads to another Keeper for a moment brings the share of that one.
        let leads_to_another = self.is_another(keeper) || self.sends_what_another_sent(keeper);
        let is_of_another = leads_to_another && self.collected().has(keeper.index);
        let is_taken = !is_of_another && self.collected().take(share);
        // After its share: whoever sees that a Keeper holds one, and judges without it, takes a key that the share speaks against.
        let changed = keeper.note(ShareState::Unjudged) || is_new;
        if !is_taken {
            if changed {
                self.tell_danger();
            }
            return changed;
        }
        // The attempt may wait for one that opens the store.
        self.tell_danger();
        // The other Keepers may be back too.
        self.shorten_pauses();
        self.attempt().await;
        true
    }

    /// Tries to open the store with the collected shares until the store is no longer the cause of the failure.
    pub(super) async fn retry_store(&self) {
        let mut fails = self.store_fails.subscribe();
        let mut backoff = Backoff::new(STORE_PAUSE.0, STORE_PAUSE.1);
        while fails.wait_for(|fails| *fails).await.is_ok() {
            tokio::time::sleep(backoff.pause()).await;
            if *self.store_fails.borrow() {
                self.attempt().await;
            }
            if !*self.store_fails.borrow() {
                backoff.reset();
            }
        }
    }

    /// Tries other choices of the collected shares, as long as there are some that were not tried.
    pub(super) async fn try_other_choices(&self) {
        let mut untried = self.untried.subscribe();
        let mut backoff = Backoff::new(CHOICES_PAUSE.0, CHOICES_PAUSE.1);
        let mut rest = Duration::ZERO;
        while untried.wait_for(|untried| *untried).await.is_ok() {
            tokio::time::sleep(backoff.pause().max(rest)).await;
            if *self.untried.borrow() {
                let begun = Instant::now();
                self.attempt().await;
                rest = begun.elapsed() * CHOICES_REST;
            }
            if !*self.untried.borrow() {
                backoff.reset();
            }
        }
    }

    pub(super) async fn attempt(&self) {
        let _one = self.trying.lock().await;
        let tried = if self.seal.ready().is_ok() { Ok(()) } else { self.try_shares().await };
        match tried {
            Ok(()) => {
                self.settle();
                *self.collected() = Collected::default();
                self.store_fails.send_replace(false);
                self.untried.send_replace(false);
                self.unproved.watch(None);
                self.wake();
            }
            Err(failed) => {
                self.seal.explain(failed.by, &failed.reason);
                self.untried.send_replace(failed.has_untried);
                self.note_attempt(failed);
                self.tell_danger();
            }
        }
    }

    async fn try_shares(&self) -> Result<(), Failed> {
        // In this order, for the same reason as in `collect`.
        let seen = self.seen();
        let (shares, quorum) = (self.collected().copy(), self.quorum);
        let judged = seen.clone();
        let mut kept = Vec::new();
        // Without an answer, the shares are judged all the same, and kept. The adopter tells then what hangs.
        if self.adopter.has_data().await.unwrap_or(false) {
            kept.extend(self.kept().shares());
            kept.extend(self.collected().with_earlier());
        }
        let tried = tokio::task::spawn_blocking(move || {
            let is_whole = quorum.threshold() == 1;
            let lowered = is_whole.then(|| of_another_threshold(&shares, quorum)).flatten();
            let found = find(&shares, &judged, quorum);
            let kept = Candidates::of_each(&kept, quorum.threshold(), found.as_ref().ok());
            let remembered = shares.len() - still_held(&shares, &judged).len();
            (shares, found, lowered, kept, remembered)
        });
        let Ok((shares, found, lowered, kept, remembered)) = tried.await else {
            let reason = "the shares were not tried: a bug".to_owned();
            return Err(Failed::without_key(Hindrance::Shares, reason));
        };
        let candidates = match found {
            Ok(candidates) => candidates,
            Err(error) => {
                self.unproved.watch(Some(seen));
                self.keep(error.whole(), &shares);
                if self.adopt_kept(kept).await {
                    return Ok(());
                }
                return Err(self.without_candidates(error, remembered));
            }
        };
        let mut held = match &lowered {
            Some((_, whole)) => vec![whole.clone()],
            None => candidates.whole_keys(&shares, quorum.threshold()),
        };
        self.keep(&held, &shares);
        for index in candidates.mismatched() {
            if self.is_news(&format!("mismatched share {index}")) {
                tracing::warn!(keeper = %index, "the share of this Keeper does not belong to those of the others");
            }
        }
        let is_unchecked = match self.adopter.is_unchecked().await {
            Ok(is_unchecked) => is_unchecked,
            Err(error) => {
                self.store_fails.send_replace(true);
                return Err(Failed::holding(held, Hindrance::Store, error.to_string()));
            }
        };
        let candidates = if is_unchecked {
            let (candidates, standing) = self.heard(shares, candidates, held, seen).await?;
            held = standing;
            candidates
        } else {
            candidates
        };
        if !*self.store_fails.borrow() {
            // Another process may hold a lock, so this may take seconds. No share is missing meanwhile.
            self.seal.explain(
                Hindrance::Store,
                "there are shares enough for a key, and the store is being opened with it",
            );
        }
        match self.adopter.adopt(candidates).await {
            // Another source may have been faster. This share is judged by its key from now on.
            Ok(_) | Err(AdoptError::OtherKeyLive { .. }) => Ok(()),
            Err(AdoptError::WrongKey { .. }) if self.adopt_kept(kept).await => Ok(()),
            Err(error) => {
                let is_refused = matches!(error, AdoptError::WrongKey { .. }) && lowered.is_none();
                // The same shares may succeed later, once the store can be opened or the right data is there.
                self.store_fails.send_replace(error.may_pass());
                let by =
                    lowered.as_ref().map_or_else(|| error.hindrance(), |_| Hindrance::Mismatch);
                let reason = match error {
                    AdoptError::WrongKey { .. } | AdoptError::Ambiguous if lowered.is_some() => {
                        format!(
                            "with a threshold of 1, each of the shares is a key, and none of them is that of the data or proved{}",
                            lowered.map(|(told, _)| told).unwrap_or_default()
                        )
                    }
                    AdoptError::WrongKey { .. } => format!(
                        "{error}. Are SPIKE_NEXUS_DATA_DIR and SPIKE_NEXUS_KEEPER_PEERS those of one deployment? Stop Nexus, put the right data there or \
                         name the right Keepers, and start it; or, if the data is the right one, feed its recovery shares with `spike operator restore`: these \
                         Keepers then keep the other key until they are restarted"
                    ),
                    _ => error.to_string(),
                };
                // If there is no data, the adopter has logged it once.
                if !matches!(error, AdoptError::NoData { .. }) && self.is_news(&reason) {
                    tracing::error!(reason, "the key of the Keepers' shares cannot be used");
                }
                Err(Failed { is_refused, ..Failed::holding(held, by, reason) })
            }
        }
    }

    /// Puts one of these keys to use, which Keepers do not show any more, if it is that of the data.
    async fn adopt_kept(&self, kept: Option<Candidates>) -> bool {
        match kept {
            Some(kept) if self.adopter.has_data().await.unwrap_or(false) => {
                self.adopter.adopt(kept).await.is_ok()
            }
            _ => false,
        }
    }

    /// Why the shares make no key that Nexus can find with its settings. `remembered`: so many of them no Keeper holds any more.
    fn without_candidates(&self, error: CollectError, remembered: usize) -> Failed {
        let (told, has_untried) = (error.to_string(), error.may_pass());
        match error {
            CollectError::TooFew { .. } => {
                let remembered = match remembered {
                    0 => String::new(),
                    some => format!(
                        ", and {some} that only the memory of this Nexus still holds: do not restart it"
                    ),
                };
                let reason = format!(
                    "{told}{remembered}; waiting for more Keepers, or for an operator with {} recovery shares (shares from Keepers are \
                     not counted)",
                    self.quorum.threshold()
                );
                Failed::without_key(Hindrance::Shares, reason)
            }
            CollectError::NoneBelongTogether { whole, .. } => {
                if self.is_news(&told) {
                    tracing::error!(reason = told, "the Keepers' shares make no key");
                }
                let failed =
                    Failed::holding(whole.into_iter().collect(), Hindrance::Mismatch, told);
                Failed { has_untried, ..failed }
            }
        }
    }
}

/// The keys that the shares make. If they make none, the error is about those that Keepers may still hold.
fn find(shares: &[Share], seen: &[Seen], quorum: Quorum) -> Result<Candidates, CollectError> {
    let found = Candidates::find(shares, quorum);
    match &found {
        Err(CollectError::TooFew { .. } | CollectError::NoneBelongTogether { whole: None, .. }) => {
            let held = still_held(shares, seen);
            if held.len() == shares.len() { found } else { Candidates::find(&held, quorum) }
        }
        Ok(_) | Err(CollectError::NoneBelongTogether { .. }) => found,
    }
}

impl Collected {
    fn has(&self, index: ShareIndex) -> bool {
        self.last.iter().any(|share| share.index == index)
    }

    /// Takes a share in place of an earlier one of the same Keeper. Returns whether it is a new one.
    fn take(&mut self, share: Share) -> bool {
        let Some(known) = self.last.iter_mut().find(|known| known.index == share.index) else {
            self.last.push(share);
            return true;
        };
        if known.value.ct_eq(&share.value) {
            return false;
        }
        let before = std::mem::replace(known, share);
        let mut of_it = self.earlier.iter().filter(|earlier| earlier.index == before.index);
        let is_known = of_it.clone().any(|earlier| earlier.value.ct_eq(&before.value));
        // The first ones stay.
        if !is_known && of_it.nth(MOST_EARLIER - 1).is_none() {
            self.earlier.push(before);
        }
        true
    }

    /// The last shares with an earlier one in place of that of its Keeper, for each earlier one; and with the first that each sent.
    fn with_earlier(&self) -> Vec<Vec<Share>> {
        let with = |earlier: &[&Share]| {
            let of = |last: &Share| {
                let in_place = earlier.iter().find(|earlier| earlier.index == last.index);
                in_place.copied().unwrap_or(last).duplicate()
            };
            self.last.iter().map(of).collect()
        };
        let all: Vec<&Share> = self.earlier.iter().collect();
        let mut groups: Vec<_> = all.iter().map(|earlier| with(&[earlier])).collect();
        if groups.len() > 1 {
            groups.push(with(&all));
        }
        groups
    }

    /// A copy of the last ones.
    pub(super) fn copy(&self) -> Vec<Share> {
        self.last.iter().map(Share::duplicate).collect()
    }
}
