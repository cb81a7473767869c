//! The requests of Bootstrap: the survey before it makes a root key, and the proof that Nexus can use that key (N15).

use std::path::PathBuf;

use sha2::{Digest, Sha256};
use spike_crypto::{AssociatedData, NONCE_LEN};
use spike_daemon::settings::Backend;

use super::{Nexus, cipher::CIPHERTEXT_LIMIT};
use crate::{
    access::{Asked, Grant, Operation, Subject},
    error::Error,
    keys::{
        quorum::{ANSWER_LIMIT, KeeperState},
        seal::Hindrance,
    },
    store::{Found, Home, Look},
};

/// Asks what a new root key would replace.
#[derive(Debug)]
pub struct TakeSurvey;

/// The answer. It contains no secret.
#[derive(Debug)]
pub struct Survey {
    /// Why Nexus is sealed, if it is.
    pub sealed: Option<String>,
    /// The kind of that reason.
    pub sealed_by: Option<Hindrance>,
    /// Whether Nexus has a whole root key from Keepers that is not in use.
    pub holds_key: bool,
    /// Whether a restart would lose it.
    pub is_last_copy: bool,
    /// Whether a root key waits for the proof of Bootstrap.
    pub awaits_proof: bool,
    /// The backend.
    pub backend: Backend,
    /// The content of the data directory.
    pub data: Look,
    /// The data directory, where there is one.
    pub directory: Option<PathBuf>,
    /// Recovery shares that operators have fed, while no key is in use.
    pub fed: u16,
    /// Shares that rebuild the key; 0 on the memory backend.
    pub threshold: u16,
    /// Every Keeper, in the order of the shares, with its answer to this survey.
    pub keepers: Vec<KeeperState>,
}

/// A ciphertext that only a holder of the root key can read.
#[derive(Debug)]
pub struct ProveKey {
    /// The nonce. Its length is not checked yet.
    pub nonce: Vec<u8>,
    /// Ciphertext and tag.
    pub ciphertext: Vec<u8>,
}

impl Asked for TakeSurvey {
    const OPERATION: Operation = Operation::BootstrapSurvey;
    const SUBJECT: Subject<Self> = Subject::Nothing;
}

impl Asked for ProveKey {
    const OPERATION: Operation = Operation::BootstrapVerify;
    const SUBJECT: Subject<Self> = Subject::Nothing;
}

impl Nexus {
    /// Whether there is a key. If not: why, the content of the data directory, and the answer of every Keeper. Changes nothing.
    ///
    /// # Errors
    /// None today.
    pub async fn survey(&self, _: Grant<TakeSurvey>) -> Result<Survey, Error> {
        let Some(shares) = self.key_source.shares_of_keepers() else {
            return Ok(Survey {
                sealed: None,
                sealed_by: None,
                holds_key: false,
                is_last_copy: false,
                awaits_proof: false,
                backend: Backend::Memory,
                data: self.data().await,
                directory: self.directory(),
                fed: 0,
                threshold: 0,
                keepers: Vec::new(),
            });
        };
        if self.seal.ready().is_err() {
            // A Keeper may just have received its share; then there is a key in a moment.
            shares.keepers.look_again(ANSWER_LIMIT).await;
        }
        Ok(Survey {
            sealed: self.seal.ready().err().map(|error| error.to_string()),
            sealed_by: self.seal.hindrance(),
            holds_key: shares.keepers.holds_whole_key(),
            is_last_copy: self.seal.is_last_copy(),
            awaits_proof: shares.adopter.awaits_proof(),
            backend: shares.backend,
            data: self.data().await,
            directory: self.directory(),
            fed: shares.restoration.fed(),
            threshold: shares.quorum.threshold(),
            keepers: shares.keepers.states(),
        })
    }

    /// The content of the data directory, whether this backend uses it or not: another root key would make a database there
    /// unreadable.
    pub(super) async fn data(&self) -> Look {
        let home = self.home().cloned().unwrap_or(Home::Memory);
        let look = self.looks.take(move || home.look()).await;
        look.unwrap_or_else(|no_answer| Look::in_doubt(&no_answer.symptom()))
    }

    /// What is wrong with this data, if there is any and this backend does not use it.
    pub(super) fn unused(&self, Look { found, doubt }: &Look) -> Option<String> {
        let directory = self.unused_data.as_ref()?.directory()?.display();
        let what = match found {
            Found::Nothing => return None,
            Found::Ours => "holds a database",
            Found::Upstream => "holds a database of upstream's SPIKE",
            Found::Unreadable => "may hold a database",
        };
        let doubt = doubt.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
        Some(format!(
            "{directory} {what}{doubt}, and the {} backend does not use it. If that is the data of this Nexus, set \
             SPIKE_NEXUS_BACKEND_STORE=sqlite and restart Nexus. If not, move it away, or name another SPIKE_NEXUS_DATA_DIR",
            self.key_source.backend()
        ))
    }

    fn directory(&self) -> Option<PathBuf> {
        self.home().and_then(Home::directory).map(PathBuf::from)
    }

    fn home(&self) -> Option<&Home> {
        let shares = self.key_source.shares_of_keepers();
        shares.and_then(|shares| shares.home.as_ref()).or(self.unused_data.as_ref())
    }

    /// N15: the SHA-256 of what was encrypted under the root key. It proves possession and reveals nothing about the key.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a wrong length, [`Error::Undecryptable`] for another key.
    pub async fn prove_key(&self, grant: Grant<ProveKey>) -> Result<[u8; 32], Error> {
        let ProveKey { nonce, ciphertext } = grant.request();
        let nonce = <&[u8; NONCE_LEN]>::try_from(nonce.as_slice());
        let limit = self.max_ciphertext;
        // A sealed Nexus answers every request with its state (wire-api 3.2), except the proof of a key that waits for it.
        if let (Err(sealed), Ok(shares)) = (self.seal.ready(), self.key_source.shares()) {
            let Ok(nonce) = nonce else { return Err(sealed) };
            if ciphertext.len() > limit {
                return Err(sealed);
            }
            match shares.adopter.prove(nonce, ciphertext).await {
                Ok(true) => shares.keepers.wake(),
                // Another request may have unsealed Nexus meanwhile.
                Ok(false) => self.seal.ready()?,
                Err(error) => {
                    self.seal.explain(error.hindrance(), &error.to_string());
                    return self.seal.ready().and(Err(Error::NotReady(error.to_string())));
                }
            }
        }
        let Ok(nonce) = nonce else {
            let reason = format!("expected {NONCE_LEN} bytes");
            return Err(Error::Invalid { field: "nonce", reason });
        };
        if ciphertext.len() > limit {
            let reason = format!("expected at most {limit} bytes ({CIPHERTEXT_LIMIT})");
            return Err(Error::Invalid { field: "ciphertext", reason });
        }
        let unsealed = self.seal.granted(&grant)?;
        let cipher = unsealed.cipher().aead();
        let opened = cipher.decrypt(nonce, ciphertext, &AssociatedData::none());
        let Ok(plaintext) = opened else { return Err(Error::Undecryptable) };
        Ok(Sha256::digest(plaintext.as_slice()).into())
    }
}
