//! Shares from an operator: collected one by one, checked together, replaced if one was mistyped.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use spike_crypto::{Quorum, RootKey, Share, derivation_of};
use spike_mtls::retry::Backoff;
use tokio::{
    sync::{Mutex, watch},
    time::Instant,
};

use super::{AdoptError, Adopter, Candidates, Keepers, RestoreError, Tending, unproved::against};
use crate::keys::seal::{OwnTask, Seal};

/// How long a restore waits for the answers of Keepers. The operator waits for it.
const COMPARE_LIMIT: Duration = Duration::from_secs(3);

/// The first and the longest pause between two attempts to open the store with the shares that are kept.
const KEPT_PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

/// The shares that operators have fed so far. They are dropped once the key is in use, or once they can never make it.
#[derive(Debug)]
pub struct Restoration {
    seal: Arc<Seal>,
    adopter: Arc<Adopter>,
    quorum: Quorum,
    collected: Mutex<Vec<Share>>,
    /// How many there are. Readable while they are being tried and the lock is held.
    fed: AtomicU16,
    /// Whether they are complete, and only the store is missing.
    kept: watch::Sender<bool>,
}

/// The progress of a restore.
#[expect(clippy::struct_excessive_bools, reason = "each is a field of the answer")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    /// Shares that count.
    pub collected: usize,
    /// Shares still to come.
    pub remaining: usize,
    /// Whether the root key is in use.
    pub done: bool,
    /// Whether it was in use before.
    pub already: bool,
    /// Whether this share was among those that count before it was fed.
    pub repeated: bool,
    /// Whether the key came into use, and there was nothing to compare it with.
    pub unconfirmed: bool,
}

impl Restoration {
    /// No shares.
    pub fn new(seal: Arc<Seal>, adopter: Arc<Adopter>, quorum: Quorum) -> Self {
        let (collected, fed, kept) =
            (Mutex::default(), AtomicU16::new(0), watch::Sender::new(false));
        Self { seal, adopter, quorum, collected, fed, kept }
    }

    /// Starts to try complete shares again for as long as only the store is missing.
    pub(crate) fn tend(self: &Arc<Self>, keepers: &Arc<Keepers>) -> Tending {
        let (this, keepers) = (Arc::clone(self), Arc::clone(keepers));
        Tending::of(tokio::spawn(async move { this.retry(&keepers).await }).abort_handle())
    }

    async fn retry(&self, keepers: &Keepers) {
        let mut kept = self.kept.subscribe();
        let mut backoff = Backoff::new(KEPT_PAUSE.0, KEPT_PAUSE.1);
        while kept.wait_for(|kept| *kept).await.is_ok() {
            tokio::time::sleep(backoff.pause()).await;
            let mut collected = self.collected.lock().await;
            if *self.kept.borrow() {
                match self.complete(&mut collected, keepers).await {
                    Ok(_) => {
                        tracing::info!(
                            "the root key is back, by shares that an operator has fed before"
                        );
                    }
                    Err(error) => {
                        tracing::debug!(reason = %error, "shares that an operator has fed are kept");
                    }
                }
                self.count(&collected);
            }
            if !*self.kept.borrow() {
                backoff.reset();
            }
        }
    }

    /// How many shares operators have fed that are not in use yet.
    pub fn fed(&self) -> u16 {
        self.fed.load(Ordering::Acquire)
    }

    /// The progress of a restore, in words; `None` if none has begun.
    pub fn progress(&self) -> Option<String> {
        let Ok(collected) = self.collected.try_lock() else {
            return Some("recovery shares that an operator has fed are being tried".to_owned());
        };
        let fed = indexes(&collected);
        let needed = self.quorum.threshold();
        (!fed.is_empty()).then(|| {
            let shares = if collected.len() == 1 { "share" } else { "shares" };
            format!("a restore is under way: an operator has fed {shares} {fed}, and {needed} of one key are needed; those that Keepers hold do not count")
        })
    }

    /// Takes one share. The share that completes a quorum puts the key to use before this returns. If `more` follow, the last
    /// of them does: shares that are fed together are judged together, so a wrong one among them, or among earlier ones, is
    /// found.
    ///
    /// # Errors
    /// [`RestoreError`] says what is wrong, with which shares, and what to do.
    pub async fn feed(
        &self,
        share: Share,
        more: bool,
        keepers: &Keepers,
    ) -> Result<Restored, RestoreError> {
        let mut collected = self.collected.lock().await;
        let ended = self.take(&mut collected, share, more, keepers).await;
        self.count(&collected);
        ended
    }

    /// The survey and the status ask for the number while the lock is held.
    fn count(&self, collected: &[Share]) {
        self.fed.store(u16::try_from(collected.len()).unwrap_or(u16::MAX), Ordering::Release);
    }

    async fn take(
        &self,
        collected: &mut Vec<Share>,
        share: Share,
        more: bool,
        keepers: &Keepers,
    ) -> Result<Restored, RestoreError> {
        let needed = usize::from(self.quorum.threshold());
        if let Ok(unsealed) = self.seal.for_own_task(OwnTask::CompareKeys) {
            // It was fed before the Keepers completed the key.
            collected.clear();
            self.kept.send_replace(false);
            let belongs = derivation_of(unsealed.root_key(), self.quorum.threshold(), &share);
            return match belongs {
                Some(_) => Ok(Restored { already: true, ..self.done() }),
                None => Err(RestoreError::NotOfTheLiveKey { index: share.index.get() }),
            };
        }
        // A later share replaces an earlier one of the same index: this corrects a mistyped share (Q-27, F3).
        let is_same = |known: &Share| known.index == share.index && known.value.ct_eq(&share.value);
        let repeated = collected.iter().any(is_same);
        collected.retain(|known| known.index != share.index);
        collected.push(share);
        collected.sort_by_key(|share| share.index);
        self.count(collected);
        let count = collected.len();
        if more || count < needed {
            let remaining = needed.saturating_sub(count);
            return Ok(Restored {
                collected: count,
                remaining,
                done: false,
                already: false,
                repeated,
                unconfirmed: false,
            });
        }
        self.complete(collected, keepers).await
    }

    fn done(&self) -> Restored {
        let collected = usize::from(self.quorum.threshold());
        let (remaining, done) = (0, true);
        let (already, repeated, unconfirmed) = Default::default();
        Restored { collected, remaining, done, already, repeated, unconfirmed }
    }

    /// Puts the key of complete shares to use.
    async fn complete(
        &self,
        collected: &mut Vec<Share>,
        keepers: &Keepers,
    ) -> Result<Restored, RestoreError> {
        self.kept.send_replace(false);
        let candidates = self.candidates(collected).await?;
        for index in candidates.mismatched() {
            tracing::warn!(share = %index, "this share does not belong to the others and was not used");
        }
        let (candidates, unconfirmed) = match self.compare(candidates, collected, keepers).await {
            Ok(compared) => compared,
            Err(RestoreError::Store(error)) => return Err(self.keep(collected, error)),
            Err(error) => {
                collected.clear();
                return Err(error);
            }
        };
        let given = candidates.first().map(RootKey::fingerprint);
        if let Some(lost) = given.and_then(|given| keepers.would_lose(given)) {
            collected.clear();
            return Err(RestoreError::WouldLose { lost });
        }
        match self.adopter.adopt(candidates).await {
            Ok(_) => {
                collected.clear();
                if unconfirmed {
                    tracing::warn!("there was nothing to compare the restored key with");
                }
                Ok(Restored { unconfirmed, ..self.done() })
            }
            Err(
                error @ (AdoptError::Store(_)
                | AdoptError::NoAnswer(_)
                | AdoptError::NoData { .. }
                | AdoptError::Changed { .. }
                | AdoptError::Bug),
            ) => Err(self.keep(collected, error)),
            Err(error) => {
                collected.clear();
                Err(RestoreError::WrongKey(error))
            }
        }
    }

    /// Keeps complete shares, to be tried again, and says why.
    fn keep(&self, collected: &[Share], error: AdoptError) -> RestoreError {
        self.kept.send_replace(true);
        let fed = indexes(collected);
        let reason = format!(
            "{error}; an operator has fed shares {fed}, which are kept until Nexus is restarted"
        );
        // Until then the reason was that no Keeper had sent a share.
        self.seal.explain(error.hindrance(), &reason);
        RestoreError::Store(error)
    }

    /// Without data, only the shares of Keepers can refute a wrong key. Returns whether there was nothing to compare with, too.
    async fn compare(
        &self,
        candidates: Candidates,
        fed: &[Share],
        keepers: &Keepers,
    ) -> Result<(Candidates, bool), RestoreError> {
        let no_answer = |error| RestoreError::Store(AdoptError::NoAnswer(error));
        if self.adopter.has_data().await.map_err(no_answer)? {
            return Ok((candidates, false));
        }
        let begun = Instant::now();
        keepers.look_again(COMPARE_LIMIT).await;
        let (seen, threshold) = (keepers.seen_or_held(), self.quorum.threshold());
        let held = keepers.collected().copy();
        let judged = tokio::task::spawn_blocking(move || {
            let (fitting, others) = candidates.first().map_or((0, 0), |key| {
                let is_of = |share: &Share| derivation_of(key, threshold, share).is_some();
                let fitting = held.iter().filter(|share| is_of(share)).count();
                (fitting, against(&held, &seen, is_of))
            });
            (candidates, fitting, others)
        });
        let Ok((candidates, fitting, others)) = judged.await else { return Err(RestoreError::Bug) };
        let Some(given) = candidates.first().map(RootKey::fingerprint) else {
            return Err(RestoreError::Bug);
        };
        let is_one_each = threshold == 1;
        if is_one_each && (candidates.ambiguous() || (fitting > 0 && others > 0)) {
            return Err(RestoreError::NotAlike);
        }
        let is_unchecked = self.adopter.is_unchecked().await.map_err(no_answer)?;
        match (fitting, others) {
            (0, held @ 1..) => Err(RestoreError::NotOfTheKeepers { given, held }),
            (0, 0) if is_unchecked && !self.adopter.permits_unconfirmed() => {
                let silent = keepers.silent_since(begun);
                if silent.len() >= usize::from(threshold) {
                    return Err(RestoreError::NotCompared {
                        given,
                        silent: keepers.named(&silent),
                    });
                }
                if is_one_each && fed.len() < 2 && self.quorum.shares() > 1 {
                    return Err(RestoreError::OneAlone { given });
                }
                Ok((candidates, true))
            }
            (fitting, _) => Ok((candidates, fitting == 0)),
        }
    }

    async fn candidates(&self, collected: &[Share]) -> Result<Candidates, RestoreError> {
        let fed = indexes(collected);
        let shares: Vec<Share> = collected.iter().map(Share::duplicate).collect();
        let quorum = self.quorum;
        let found = tokio::task::spawn_blocking(move || Candidates::find(&shares, quorum)).await;
        match found {
            Ok(Ok(candidates)) => Ok(candidates),
            Ok(Err(cause)) => Err(RestoreError::NotTogether { cause, fed }),
            Err(_) => Err(RestoreError::Bug),
        }
    }
}

/// The indexes of the shares, as text.
fn indexes(shares: &[Share]) -> String {
    let indexes: Vec<String> = shares.iter().map(|share| share.index.to_string()).collect();
    indexes.join(", ")
}
