//! The one way by which a root key comes into use: checked against the store first, whoever brought it.
//!
//! Where there is no store, nothing can check it: right after Bootstrap that is as it should be, and at any other time the
//! data is missing, because a volume is not mounted or a path is wrong. A new, empty store would then pass for the old one.
//! So a key without data waits until Bootstrap proves it, which it does right after it has made it, or until an operator
//! has said that a new store is wanted.

use std::{
    path::PathBuf,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use spike_crypto::{AssociatedData, Fingerprint, Nonce, RootCipher, RootKey};
use spike_mtls::clock;
use tokio::{sync::Mutex, time::Instant};

use super::{AdoptError, Candidates};
use crate::{
    keys::seal::{Hindrance, OwnTask, Seal, Unsealed},
    store::{Home, Options, Store, StoreError},
};

/// Puts checked keys to use, one at a time.
#[derive(Debug)]
pub struct Adopter {
    seal: Arc<Seal>,
    /// Where the data is; `None` for the lite backend, which has none.
    home: Option<Home>,
    options: Options,
    /// Whether an operator has said that a new store is to be made where there is none.
    accept_new_store: bool,
    /// A key that would start a new store, and has not been shown to come from Bootstrap. Its lock is held while a key is
    /// tried: two that come at the same moment must not both start a store.
    waiting: Mutex<Option<Waiting>>,
    /// Whether one waits, for those who cannot wait for the lock.
    awaits_proof: AtomicBool,
    /// The rows that would be left out, as the log was told of them: the import is tried again and again.
    told_rows: std::sync::Mutex<Vec<String>>,
}

/// How soon the proof of a Bootstrap that is at work comes. Until then nothing is wrong.
const PROOF_COMES_WITHIN: Duration = Duration::from_secs(10);

/// A key that waits for its proof, since when, and whether the log was told that none comes.
#[derive(Debug)]
struct Waiting {
    key: RootKey,
    since: Instant,
    told: bool,
}

impl Waiting {
    fn proves(&self, nonce: &Nonce, question: &[u8]) -> bool {
        let cipher = RootCipher::new(&self.key);
        cipher.aead().decrypt(nonce, question, &AssociatedData::none()).is_ok()
    }

    /// Tells the log of it, once it waits longer than behind a Bootstrap.
    fn tell(&mut self, error: &AdoptError) {
        if !self.told && self.since.elapsed() >= PROOF_COMES_WITHIN {
            self.told = true;
            tracing::warn!(reason = %error, "the root key is not put to use yet");
        }
    }
}

impl AdoptError {
    /// What Nexus is sealed by after it.
    pub(crate) const fn hindrance(&self) -> Hindrance {
        match self {
            Self::Store(_) => Hindrance::Store,
            Self::OtherKeyLive { .. }
            | Self::WrongKey { .. }
            | Self::Ambiguous
            | Self::NoData { .. }
            | Self::Bug => Hindrance::NoKey,
        }
    }

    /// Whether the same shares may do later: what was wrong is not about them.
    pub(super) const fn may_pass(&self) -> bool {
        match self {
            Self::Store(_) | Self::NoData { .. } => true,
            Self::OtherKeyLive { .. } | Self::WrongKey { .. } | Self::Ambiguous | Self::Bug => {
                false
            }
        }
    }
}

impl Adopter {
    /// Keys will be checked against the store at `home`. Where there is none, `accept_new_store` lets any key start one.
    pub const fn new(
        seal: Arc<Seal>,
        home: Option<Home>,
        options: Options,
        accept_new_store: bool,
    ) -> Self {
        Self {
            seal,
            home,
            options,
            accept_new_store,
            waiting: Mutex::const_new(None),
            awaits_proof: AtomicBool::new(false),
            told_rows: std::sync::Mutex::new(Vec::new()),
        }
    }

    /// Puts the right one of `candidates` to use.
    ///
    /// # Errors
    /// [`AdoptError`]: nothing was changed, and Nexus is as sealed or unsealed as it was.
    pub async fn adopt(&self, candidates: Candidates) -> Result<Fingerprint, AdoptError> {
        let mut waiting = self.waiting.lock().await;
        let before = waiting.take();
        self.awaits_proof.store(false, Ordering::Release);
        if let Ok(unsealed) = self.seal.for_own_task(OwnTask::CompareKeys) {
            return already_live(unsealed.root_key(), candidates);
        }
        if candidates.ambiguous() && !self.has_data() {
            return Err(AdoptError::Ambiguous);
        }
        let missing = self.missing_data();
        if let (true, Some(directory)) = (self.accept_new_store, &missing) {
            tracing::warn!(
                directory = %directory.display(),
                "there is no data here, and SPIKE_NEXUS_ACCEPT_NEW_STORE lets a new store be made: take the setting away again"
            );
        }
        if let (false, Some(directory)) = (self.accept_new_store, missing) {
            // Not ambiguous: there is one at most.
            let key = candidates.into_keys().next().ok_or(AdoptError::Bug)?;
            let given = key.fingerprint();
            let doubt = self.home.clone().and_then(|home| home.look().doubt);
            let error = AdoptError::NoData { given, directory, doubt };
            let known = before.filter(|before| before.key.ct_eq(&key));
            let mut waits = known.unwrap_or_else(|| {
                tracing::info!(fingerprint = %given, "there is a root key and no data: Bootstrap's proof is awaited");
                Waiting { key, since: Instant::now(), told: false }
            });
            waits.tell(&error);
            *waiting = Some(waits);
            self.awaits_proof.store(true, Ordering::Release);
            return Err(error);
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

    /// Bootstrap proves that it has just made the key that waits for data: `question` was encrypted under it. Makes the
    /// store and puts the key to use. `false`: no key waits, or it is another one.
    ///
    /// # Errors
    /// [`AdoptError`]: nothing was changed.
    pub(crate) async fn prove(&self, nonce: &Nonce, question: &[u8]) -> Result<bool, AdoptError> {
        let mut waiting = self.waiting.lock().await;
        let proved = waiting.take_if(|waits| waits.proves(nonce, question));
        let Some(Waiting { key, .. }) = proved else { return Ok(false) };
        self.awaits_proof.store(false, Ordering::Release);
        let fingerprint = key.fingerprint();
        self.seal.unseal(self.open(key).await?);
        tracing::info!(%fingerprint, "Bootstrap has proved the root key; it is in use, with a new store");
        Ok(true)
    }

    /// Whether a key waits for Bootstrap's proof.
    pub(crate) fn awaits_proof(&self) -> bool {
        self.awaits_proof.load(Ordering::Acquire)
    }

    pub(super) fn has_data(&self) -> bool {
        self.home.as_ref().is_some_and(Store::exists)
    }

    /// The directory where there should be data and is none.
    fn missing_data(&self) -> Option<PathBuf> {
        match &self.home {
            Some(home @ Home::File(directory)) if !Store::exists(home) => Some(directory.clone()),
            Some(Home::File(_) | Home::Memory) | None => None,
        }
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
            Ok(Err(error)) => {
                self.tell_rows(&error);
                Err(AdoptError::Store(error))
            }
            Err(_) => Err(AdoptError::Bug),
        }
    }

    /// Lists in the log what stops an import, unless it did so before.
    fn tell_rows(&self, error: &StoreError) {
        let StoreError::ImportIncomplete { path, count, first } = error else { return };
        let mut told = self.told_rows.lock().unwrap_or_else(PoisonError::into_inner);
        if *told == *first {
            return;
        }
        tracing::error!(
            file = %path.display(),
            count,
            "rows of upstream's database would be left out; nothing was imported. The first of them follow"
        );
        for row in first {
            tracing::error!(row, "would be left out");
        }
        told.clone_from(first);
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
