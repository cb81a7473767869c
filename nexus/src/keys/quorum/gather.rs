//! While Nexus has no key: collects shares, and tries the keys that they make.

use std::time::Duration;

use spike_crypto::{Quorum, RootKey, Share, ShareIndex, ShareValue, derivation_of};
use spike_mtls::retry::Backoff;

use super::{
    AdoptError, Candidates, Keepers, ShareState,
    collect::{CollectError, of_another_threshold},
    held::Failed,
    keeper::{Answer, Keeper, Made},
};
use crate::keys::seal::Hindrance;

/// The first and the longest pause between two attempts to open the store with a key that is complete.
const STORE_PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

/// The shares that Keepers have sent since Nexus was started.
#[derive(Debug, Default)]
pub(super) struct Collected(Vec<Share>);

impl Keepers {
    /// Takes the share, and tries the keys that all shares make. Returns whether the answer was a new one.
    pub(super) async fn collect(&self, keeper: &Keeper, answer: Answer) -> bool {
        let share = match answer {
            Answer::Share(value) => Share { index: keeper.index, value },
            Answer::Other(state) => {
                let is_empty = matches!(state, ShareState::Empty);
                let mut changed = keeper.note(state);
                if is_empty {
                    changed |= self.give_back(keeper).await;
                }
                if changed {
                    self.explain_held();
                }
                return changed;
            }
        };
        let changed = keeper.note(ShareState::Unjudged);
        if !self.collected().take(share) {
            if changed {
                self.explain_held();
            }
            return changed;
        }
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

    pub(super) async fn attempt(&self) {
        let _one = self.trying.lock().await;
        let tried = if self.seal.ready().is_ok() { Ok(()) } else { self.try_shares().await };
        match tried {
            Ok(()) => {
                self.note_attempt(None);
                *self.collected() = Collected::default();
                self.store_fails.send_replace(false);
                self.wake();
            }
            Err(failed) => {
                if !failed.has_whole_key() {
                    self.seal.explain(failed.by, &failed.reason);
                }
                self.note_attempt(Some(failed));
                self.explain_held();
            }
        }
    }

    async fn try_shares(&self) -> Result<(), Failed> {
        let (shares, quorum) = (self.collected().copy().0, self.quorum);
        let found = tokio::task::spawn_blocking(move || {
            let found = Candidates::find(&shares, quorum)?;
            let is_whole = quorum.threshold() == 1;
            let lowered = is_whole.then(|| of_another_threshold(&shares, quorum)).flatten();
            let owners = found.owners(&shares);
            Ok((found, lowered, owners))
        });
        let (candidates, lowered, owners) = match found.await {
            Ok(Ok(found)) => found,
            Ok(Err(error @ CollectError::TooFew { .. })) => {
                let reason = format!(
                    "{error}; waiting for more Keepers, or for an operator with {} recovery shares (shares from Keepers are not \
                     counted)",
                    quorum.threshold()
                );
                return Err(Failed::without_key(Hindrance::Shares, reason));
            }
            Ok(Err(error)) => {
                let reason = error.to_string();
                if self.is_news(&reason) {
                    tracing::error!(reason, "the Keepers' shares make no key");
                }
                return Err(Failed::without_key(Hindrance::Mismatch, reason));
            }
            Err(_) => {
                let reason = "the shares were not tried: a bug".to_owned();
                return Err(Failed::without_key(Hindrance::Shares, reason));
            }
        };
        for index in candidates.mismatched() {
            if self.is_news(&format!("mismatched share {index}")) {
                tracing::warn!(keeper = %index, "the share of this Keeper does not belong to those of the others");
            }
        }
        let candidates = if self.adopter.is_unchecked() {
            let shares = self.collected().copy().0;
            let heard = self.heard(shares, candidates).await;
            heard.map_err(|(by, reason)| Failed::without_key(by, reason))?
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
        let of = self.collected().besides(candidates.mismatched());
        match self.adopter.adopt(candidates).await {
            // Another source may have been faster. This share is judged by its key from now on.
            Ok(_) | Err(AdoptError::OtherKeyLive { .. }) => Ok(()),
            Err(error) => {
                let is_refused = matches!(error, AdoptError::WrongKey { .. });
                let made = owners.into_iter().map(|(index, key)| Made { index, key, is_refused });
                let made = made.collect();
                // The same shares may succeed later, once the store can be opened or the right data is there.
                self.store_fails.send_replace(error.may_pass());
                let is_whole = error.may_pass() && lowered.is_none();
                let of = if is_whole { of } else { Vec::new() };
                let by =
                    lowered.as_ref().map_or_else(|| error.hindrance(), |_| Hindrance::Mismatch);
                let reason = match error {
                    AdoptError::WrongKey { .. } | AdoptError::Ambiguous if lowered.is_some() => {
                        format!(
                            "with a threshold of 1, each of the shares is a key, and none of them is that of the data or proved{}",
                            lowered.unwrap_or_default()
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
                Err(Failed { by, reason, of, made })
            }
        }
    }
}

impl Collected {
    /// The indexes of the shares, without these.
    fn besides(&self, left_out: &[ShareIndex]) -> Vec<ShareIndex> {
        let indexes = self.0.iter().map(|share| share.index);
        indexes.filter(|index| !left_out.contains(index)).collect()
    }

    /// The share of this index.
    pub(super) fn value_of(&self, index: ShareIndex) -> Option<ShareValue> {
        let share = self.0.iter().find(|share| share.index == index)?;
        Some(share.value.duplicate())
    }

    /// Takes a share in place of an earlier one of the same Keeper. Returns whether it is a new one.
    fn take(&mut self, share: Share) -> bool {
        match self.0.iter_mut().find(|known| known.index == share.index) {
            Some(known) if known.value.ct_eq(&share.value) => false,
            Some(known) => {
                known.value = share.value;
                true
            }
            None => {
                self.0.push(share);
                true
            }
        }
    }

    pub(super) fn copy(&self) -> Self {
        Self(self.0.iter().map(Share::duplicate).collect())
    }

    /// How many of the shares are of this key, and how many are not.
    pub(super) fn judged_by(&self, key: &RootKey, quorum: Quorum) -> (usize, usize) {
        let fits = |share: &&Share| derivation_of(key, quorum.threshold(), share).is_some();
        let fitting = self.0.iter().filter(fits).count();
        (fitting, self.0.len() - fitting)
    }
}
