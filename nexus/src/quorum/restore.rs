//! Shares from an operator: collected one by one, checked together, replaced when one was mistyped.

use std::sync::Arc;

use spike_crypto::{Quorum, Share, derivation_of};
use tokio::sync::Mutex;

use super::{AdoptError, Adopter, Candidates, CollectError};
use crate::seal::Seal;

/// The shares that operators have fed so far. They are forgotten when they have done their work, or can never do it.
#[derive(Debug)]
pub struct Restoration {
    seal: Arc<Seal>,
    adopter: Arc<Adopter>,
    quorum: Quorum,
    collected: Mutex<Vec<Share>>,
}

/// How far a restore has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    /// Shares that count.
    pub collected: usize,
    /// Shares still to come.
    pub remaining: usize,
    /// Whether the root key is in use.
    pub done: bool,
}

/// Why a share did not help. Nothing was lost: what was fed before is still there unless the text says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// Nexus has its key, and this is not a share of it.
    #[error(
        "Nexus has its root key already, and share {index} is not of that key; nothing was changed"
    )]
    NotOfTheLiveKey {
        /// The share.
        index: u16,
    },
    /// Enough shares, and they are not of one key.
    #[error("{cause}; the shares fed are {fed}: feed the one that you doubt again, or one more")]
    NotTogether {
        /// What was found.
        #[source]
        cause: CollectError,
        /// The indexes, for a person.
        fed: String,
    },
    /// They are of one key, which is not that of the data.
    #[error("{0}; these shares were put aside, begin again with those of the right key")]
    WrongKey(#[source] AdoptError),
    /// The key is right, and the store cannot be opened. The shares are kept.
    #[error("{0}; the shares are kept, feed any of them again to retry")]
    Store(#[source] AdoptError),
    /// A task of ours broke.
    #[error("the shares were not tried: a bug")]
    Bug,
}

impl Restoration {
    /// Nothing collected.
    pub fn new(seal: Arc<Seal>, adopter: Arc<Adopter>, quorum: Quorum) -> Self {
        Self { seal, adopter, quorum, collected: Mutex::default() }
    }

    /// Takes one share. The one that completes a quorum puts the key to use before this returns.
    ///
    /// # Errors
    /// [`RestoreError`] says what is wrong, with which shares, and what to do.
    pub async fn feed(&self, share: Share) -> Result<Restored, RestoreError> {
        let mut collected = self.collected.lock().await;
        let needed = usize::from(self.quorum.threshold());
        let done = Restored { collected: needed, remaining: 0, done: true };
        if let Ok(unsealed) = self.seal.unsealed() {
            // Fed before the Keepers were quicker.
            collected.clear();
            let belongs = derivation_of(unsealed.root_key(), self.quorum.threshold(), &share);
            return match belongs {
                Some(_) => Ok(done),
                None => Err(RestoreError::NotOfTheLiveKey { index: share.index.get() }),
            };
        }
        // A later share takes the place of an earlier one: that is how a mistyped one is put right (Q-27, F3).
        collected.retain(|known| known.index != share.index);
        collected.push(share);
        collected.sort_by_key(|share| share.index);
        if collected.len() < needed {
            let count = collected.len();
            return Ok(Restored { collected: count, remaining: needed - count, done: false });
        }
        let candidates = self.candidates(&collected).await?;
        for index in candidates.odd() {
            tracing::warn!(share = %index, "this share does not belong to the others and was not used");
        }
        match self.adopter.adopt(candidates).await {
            Ok(_) => {
                collected.clear();
                Ok(done)
            }
            Err(error @ (AdoptError::Store(_) | AdoptError::NoData { .. } | AdoptError::Bug)) => {
                Err(RestoreError::Store(error))
            }
            Err(error) => {
                collected.clear();
                Err(RestoreError::WrongKey(error))
            }
        }
    }

    async fn candidates(&self, collected: &[Share]) -> Result<Candidates, RestoreError> {
        let fed: Vec<String> = collected.iter().map(|share| share.index.to_string()).collect();
        let copy = |share: &Share| Share { index: share.index, value: share.value.duplicate() };
        let (shares, quorum) = (collected.iter().map(copy).collect::<Vec<_>>(), self.quorum);
        let found = tokio::task::spawn_blocking(move || Candidates::find(&shares, quorum)).await;
        match found {
            Ok(Ok(candidates)) => Ok(candidates),
            Ok(Err(cause)) => Err(RestoreError::NotTogether { cause, fed: fed.join(", ") }),
            Err(_) => Err(RestoreError::Bug),
        }
    }
}
