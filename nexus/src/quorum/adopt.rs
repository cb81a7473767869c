//! The one way by which a root key comes into use: checked against the store first, whoever brought it.

use std::sync::Arc;

use spike_common::{clock, daemon::chain};
use spike_crypto::{Fingerprint, RootKey};
use tokio::sync::Mutex;

use super::Candidates;
use crate::{
    seal::{Seal, Unsealed},
    store::{Home, Options, Store, StoreError},
};

/// Puts checked keys to use, one at a time.
#[derive(Debug)]
pub struct Adopter {
    seal: Arc<Seal>,
    /// Where the data is; `None` for the lite backend, which has none.
    home: Option<Home>,
    options: Options,
    /// Two keys that come at the same moment must not both start a store.
    one_at_a_time: Mutex<()>,
}

/// Why a key was not put to use. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// Nexus has another key, which it keeps.
    #[error("the shares make key {given}, and key {live} is in use")]
    OtherKeyLive {
        /// The key in use.
        live: Fingerprint,
        /// The key that was brought.
        given: Fingerprint,
    },
    /// The data was written under another key.
    #[error("the shares make key {given}, which is not that of the data: {}", chain(why))]
    WrongKey {
        /// The key that was brought.
        given: Fingerprint,
        /// What the store says.
        #[source]
        why: StoreError,
    },
    /// Two keys, and no data that would tell which of them is meant.
    #[error(
        "the shares make several keys, and there is no data yet to tell which is meant: was Bootstrap run twice?"
    )]
    Ambiguous,
    /// The store cannot be opened, whatever the key.
    #[error("the store cannot be opened: {}", chain(.0))]
    Store(#[source] StoreError),
    /// A task of ours broke.
    #[error("the store was not opened: a bug")]
    Bug,
}

impl Adopter {
    /// Keys will be checked against the store at `home`.
    pub const fn new(seal: Arc<Seal>, home: Option<Home>, options: Options) -> Self {
        Self { seal, home, options, one_at_a_time: Mutex::const_new(()) }
    }

    /// Puts the right one of `candidates` to use.
    ///
    /// # Errors
    /// [`AdoptError`]: nothing was changed, and Nexus is as sealed or unsealed as it was.
    pub async fn adopt(&self, candidates: Candidates) -> Result<Fingerprint, AdoptError> {
        let _one = self.one_at_a_time.lock().await;
        if let Ok(unsealed) = self.seal.unsealed() {
            return already_live(unsealed.root_key(), candidates);
        }
        if candidates.ambiguous() && !self.has_data() {
            return Err(AdoptError::Ambiguous);
        }
        let mut refused = AdoptError::Bug;
        for key in candidates.into_keys() {
            let fingerprint = key.fingerprint();
            match self.open(key).await {
                Ok(unsealed) => {
                    self.seal.unseal(unsealed);
                    tracing::info!(%fingerprint, "the root key is in use");
                    return Ok(fingerprint);
                }
                Err(error @ AdoptError::WrongKey { .. }) => refused = error,
                Err(error) => return Err(error),
            }
        }
        Err(refused)
    }

    pub(super) fn has_data(&self) -> bool {
        self.home.as_ref().is_some_and(Store::exists)
    }

    async fn open(&self, key: RootKey) -> Result<Unsealed, AdoptError> {
        let Some(home) = self.home.clone() else { return Ok(Unsealed::without_store(key)) };
        let options = self.options.clone();
        let opened = tokio::task::spawn_blocking(move || {
            let store = Store::open(&home, &key, &options, clock::unix_nanos())?;
            store.import().log();
            Unsealed::with_store(key, store)
        });
        match opened.await {
            Ok(Ok(unsealed)) => Ok(unsealed),
            Ok(Err(
                why @ (StoreError::WrongRootKey { given, .. }
                | StoreError::UpstreamKey { given, .. }),
            )) => Err(AdoptError::WrongKey { given, why }),
            Ok(Err(error)) => Err(AdoptError::Store(error)),
            Err(_) => Err(AdoptError::Bug),
        }
    }
}

/// The key in use stays in use; the same key brought again is no error.
fn already_live(live: &RootKey, candidates: Candidates) -> Result<Fingerprint, AdoptError> {
    let mut given = live.fingerprint();
    for key in candidates.into_keys() {
        if key.ct_eq(live) {
            return Ok(live.fingerprint());
        }
        given = key.fingerprint();
    }
    Err(AdoptError::OtherKeyLive { live: live.fingerprint(), given })
}
