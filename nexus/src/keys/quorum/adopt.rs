//! Puts a root key to use. Every key comes this way, and is checked against the store first, whatever its source.
//!
//! Without a store, nothing can check it. Right after Bootstrap that is expected. At any other time the data is missing,
//! because a volume is not mounted or a path is wrong, and a new, empty store must not be taken for the old one. So a key
//! without data waits until Bootstrap proves it, which it does right after it has made the key, or until an operator has
//! configured that a new store is wanted. Data that appears meanwhile is not opened: the copy may be under way ([`DataDirectory`]).

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use spike_crypto::{AssociatedData, Fingerprint, Nonce, RootCipher, RootKey};
use tokio::{sync::Mutex, time::Instant};

use super::{
    AdoptError, Candidates, DataDirectory,
    data::Content,
    open::{Opener, Wanted},
};
use crate::{
    keys::seal::{OwnTask, Seal},
    store::{Home, NoAnswer, Options},
};

/// Checks keys and puts them to use, one at a time.
#[derive(Debug)]
pub struct Adopter {
    seal: Arc<Seal>,
    data: DataDirectory,
    opener: Opener,
    /// Whether the operator permits a new store if there is none.
    accept_new_store: bool,
    /// A key that would start a new store, and is not proved by Bootstrap. Its lock is held while a key is tried, so that two
    /// keys at the same time do not both start a store.
    waiting: Mutex<Option<Waiting>>,
    /// Whether a key waits, for readers that cannot wait for the lock.
    awaits_proof: AtomicBool,
}

/// The time within which a running Bootstrap proves its key. Until then nothing is wrong.
const PROOF_COMES_WITHIN: Duration = Duration::from_secs(10);

/// A key that waits for its proof, since when, and whether the absence of the proof was logged.
#[derive(Debug)]
struct Waiting {
    key: RootKey,
    since: Instant,
    logged: bool,
}

impl Waiting {
    fn proves(&self, nonce: &Nonce, question: &[u8]) -> bool {
        let cipher = RootCipher::new(&self.key);
        cipher.aead().decrypt(nonce, question, &AssociatedData::none()).is_ok()
    }

    /// Logs that the proof is absent, once it waits longer than a Bootstrap takes.
    fn log_if_late(&mut self, error: &AdoptError) {
        if !self.logged && self.since.elapsed() >= PROOF_COMES_WITHIN {
            self.logged = true;
            tracing::warn!(reason = %error, "the root key is not put to use yet");
        }
    }
}

impl Adopter {
    /// Keys are checked against the store that is in `data`. If there is none and `accept_new_store` is set, any key starts one.
    pub fn new(
        seal: Arc<Seal>,
        data: DataDirectory,
        options: Options,
        accept_new_store: bool,
    ) -> Self {
        let opener = Opener::new(Arc::clone(&seal), data.clone(), options);
        let (waiting, awaits_proof) = (Mutex::const_new(None), AtomicBool::new(false));
        Self { seal, data, opener, accept_new_store, waiting, awaits_proof }
    }

    /// Puts the correct one of `candidates` to use.
    ///
    /// # Errors
    /// [`AdoptError`]: nothing was changed; Nexus stays sealed or unsealed.
    pub async fn adopt(&self, candidates: Candidates) -> Result<Fingerprint, AdoptError> {
        let mut waiting = self.waiting.lock().await;
        if let Ok(unsealed) = self.seal.for_own_task(OwnTask::CompareKeys) {
            waiting.take();
            self.awaits_proof.store(false, Ordering::Release);
            return already_live(unsealed.root_key(), candidates);
        }
        // The only look: the data may be away for a moment later. A key that waits goes on waiting if there is no answer.
        let found = self.data.find().await?;
        let before = waiting.take();
        self.awaits_proof.store(false, Ordering::Release);
        let (has_data, doubt) = match found {
            Content::Data => (true, None),
            Content::Nothing { doubt } => (false, doubt),
        };
        if candidates.ambiguous() && !has_data {
            return Err(AdoptError::Ambiguous);
        }
        let missing = self.data.path().map(Path::to_owned).filter(|_| !has_data);
        if let (true, Some(directory)) = (self.accept_new_store, &missing) {
            tracing::warn!(
                directory = %directory.display(),
                "there is no data here, and SPIKE_NEXUS_ACCEPT_NEW_STORE lets a new store be made: take the setting away again"
            );
        }
        if let (false, Some(directory)) = (self.accept_new_store, missing.clone()) {
            // Not ambiguous: there is at most one.
            let key = candidates.into_keys().next().ok_or(AdoptError::Bug)?;
            let given = key.fingerprint();
            let error = AdoptError::NoData { given, directory, doubt };
            let known = before.filter(|before| before.key.ct_eq(&key));
            let mut waits = known.unwrap_or_else(|| {
                tracing::info!(fingerprint = %given, "there is a root key and no data: Bootstrap's proof is awaited");
                Waiting { key, since: Instant::now(), logged: false }
            });
            waits.log_if_late(&error);
            *waiting = Some(waits);
            self.awaits_proof.store(true, Ordering::Release);
            return Err(error);
        }
        let store = if missing.is_some() { Wanted::Permitted } else { Wanted::Existing };
        let mut refused = AdoptError::Bug;
        for key in candidates.into_keys() {
            match self.opener.put_to_use(key, store).await {
                Err(error @ AdoptError::WrongKey { .. }) => refused = error,
                ended => return ended,
            }
        }
        Err(refused)
    }

    /// The proof of Bootstrap that it has just made the waiting key: `question` was encrypted under it. Makes the store and
    /// puts the key to use. `false`: no key waits, or the proof is of another key.
    ///
    /// # Errors
    /// [`AdoptError`]: nothing was changed.
    pub(crate) async fn prove(&self, nonce: &Nonce, question: &[u8]) -> Result<bool, AdoptError> {
        let mut waiting = self.waiting.lock().await;
        let proved = waiting.take_if(|waits| waits.proves(nonce, question));
        let Some(Waiting { key, .. }) = proved else { return Ok(false) };
        self.awaits_proof.store(false, Ordering::Release);
        self.opener.put_to_use(key, Wanted::Proved).await?;
        Ok(true)
    }

    /// Fails while the operator permits a new store, which should not stay so: the data of before may only be away for a moment.
    ///
    /// # Errors
    /// What may happen, or has happened, and what to do.
    pub(crate) fn new_store_check(&self) -> Result<(), String> {
        let directory = match self.data.home() {
            Some(Home::File(directory)) if self.accept_new_store => directory,
            None if self.accept_new_store => {
                return Err(
                    "SPIKE_NEXUS_ACCEPT_NEW_STORE is set: recovery shares of any key are taken where no Keeper answers. Take it away again, and \
                     restart Nexus"
                        .to_owned(),
                );
            }
            Some(Home::File(_) | Home::Memory) | None => return Ok(()),
        };
        let directory = directory.display();
        Err(if self.opener.made_new_store() {
            format!(
                "a new and empty store was made in {directory}, where no data was, because SPIKE_NEXUS_ACCEPT_NEW_STORE is set. If there was \
                 data before, stop Nexus, and put that data there (is the volume mounted?). Take the setting away again, and restart Nexus"
            )
        } else {
            format!(
                "SPIKE_NEXUS_ACCEPT_NEW_STORE is set: a Nexus that finds no data in {directory}, because a volume is not mounted, makes a new \
                 and empty store. Take it away again, and restart Nexus"
            )
        })
    }

    /// Whether a key waits for Bootstrap's proof.
    pub(crate) fn awaits_proof(&self) -> bool {
        self.awaits_proof.load(Ordering::Acquire)
    }

    /// Whether there is data.
    ///
    /// # Errors
    /// [`NoAnswer`] of its disk.
    pub(super) async fn has_data(&self) -> Result<bool, NoAnswer> {
        self.data.is_there().await
    }

    /// Whether a key would come into use although no data checks it, and no proof of Bootstrap is awaited.
    ///
    /// # Errors
    /// [`NoAnswer`] of the disk.
    pub(super) async fn is_unchecked(&self) -> Result<bool, NoAnswer> {
        match self.data.home() {
            None => Ok(true),
            Some(Home::File(_)) if self.accept_new_store => Ok(!self.has_data().await?),
            Some(Home::File(_) | Home::Memory) => Ok(false),
        }
    }

    /// Whether the operator permits a key that nothing confirms.
    pub(super) const fn permits_unconfirmed(&self) -> bool {
        self.accept_new_store
    }
}

/// The key in use stays in use. The same key once more is no error.
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
