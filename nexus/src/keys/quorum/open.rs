//! Opens the store with a key, and puts both to use. The disk may hold that up for as long as it likes: whoever wants it waits for a few
//! seconds, and it goes on without them. There is never a second attempt beside the first.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use spike_crypto::{Fingerprint, RootKey};
use spike_mtls::clock;
use tokio::sync::oneshot;

use super::{AdoptError, DataDirectory, data::Openable};
use crate::{
    keys::seal::{Hindrance, OwnTask, Seal, Unsealed},
    store::{Change, Home, Looks, Opening, Options, Store, StoreError, Unopened},
};

/// The store that a key is wanted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The one that is there.
    Existing,
    /// A new one, which the operator permits.
    Permitted,
    /// A new one: Bootstrap has proved the key.
    Proved,
}

/// Opens the store of one place. Clones share what they know.
#[derive(Clone, Debug)]
pub(super) struct Opener {
    seal: Arc<Seal>,
    data: DataDirectory,
    options: Options,
    attempts: Looks,
    /// A new store was made in this process because the operator permits that.
    made_new_store: Arc<AtomicBool>,
    /// The rows that would be left out, as they were last logged. The import is retried, and logs them only once.
    logged_rows: Arc<Mutex<Vec<String>>>,
}

impl Opener {
    pub(super) fn new(seal: Arc<Seal>, data: DataDirectory, options: Options) -> Self {
        let (attempts, made_new_store, logged_rows) =
            (Looks::attempts_to_open(), Arc::default(), Arc::default());
        Self { seal, data, options, attempts, made_new_store, logged_rows }
    }

    /// Whether a new store was made because the operator permits that.
    pub(super) fn made_new_store(&self) -> bool {
        self.made_new_store.load(Ordering::Acquire)
    }

    /// Opens the store with `key`, and unseals Nexus.
    ///
    /// # Errors
    /// [`AdoptError`]. After [`AdoptError::NoAnswer`] the attempt goes on, and unseals Nexus when the disk answers.
    pub(super) async fn put_to_use(
        &self,
        key: RootKey,
        wanted: Wanted,
    ) -> Result<Fingerprint, AdoptError> {
        let Some(home) = self.data.home().cloned() else {
            return Ok(self.use_now(Unsealed::without_store(key), wanted));
        };
        let seen = self.data.as_before().await?.map_err(|change| {
            let directory = self.data.named();
            AdoptError::Changed { directory, change }
        })?;
        let (opener, (end, ended)) = (self.clone(), oneshot::channel());
        let attempt = move || {
            let result = opener.open(key, &home, seen, wanted);
            if let Err(Err(error)) = end.send(result) {
                opener.tell(&error);
            }
        };
        self.attempts.take(attempt).await?;
        ended.await.unwrap_or(Err(AdoptError::Bug))
    }

    /// Blocks while the disk works.
    fn open(
        &self,
        key: RootKey,
        home: &Home,
        seen: Openable,
        wanted: Wanted,
    ) -> Result<Fingerprint, AdoptError> {
        let given = key.fingerprint();
        // An attempt before this one may have ended after nobody waited for it.
        if let Ok(unsealed) = self.seal.for_own_task(OwnTask::CompareKeys) {
            let live = unsealed.root_key();
            let error = AdoptError::OtherKeyLive { live: live.fingerprint(), given };
            return key.ct_eq(live).then_some(given).ok_or(error);
        }
        let Openable { files, opening, holds } = seen;
        let opening = if wanted == Wanted::Existing { opening } else { Opening::New };
        let expected = (opening, holds.then_some(&files));
        let opened = Store::attempt(home, &key, &self.options, expected, clock::unix_nanos())
            .and_then(|store| {
                store.import().log();
                Unsealed::with_store(key, store)
                    .map_err(|error| Unopened { error, may_have_written: true })
            });
        match opened {
            Ok(unsealed) => Ok(self.use_now(unsealed, wanted)),
            Err(unopened) => {
                self.data.failed(files, &unopened);
                Err(self.failure(unopened.error, (given, home)))
            }
        }
    }

    fn use_now(&self, unsealed: Unsealed, wanted: Wanted) -> Fingerprint {
        let fingerprint = unsealed.root_key().fingerprint();
        if wanted == Wanted::Permitted {
            self.made_new_store.store(true, Ordering::Release);
        }
        self.seal.unseal(unsealed);
        if wanted == Wanted::Proved {
            tracing::info!(%fingerprint, "Bootstrap has proved the root key; it is in use, with a new store");
        } else {
            tracing::info!(%fingerprint, "the root key is in use");
        }
        fingerprint
    }

    fn failure(&self, error: StoreError, (given, home): (Fingerprint, &Home)) -> AdoptError {
        match error {
            why @ (StoreError::WrongRootKey { given, .. }
            | StoreError::UpstreamKey { given, .. }) => AdoptError::WrongKey { given, why },
            StoreError::Replaced { directory } => {
                AdoptError::Changed { directory, change: Change::Replaced }
            }
            // It was there at the look, or at the start.
            StoreError::Missing { .. } => {
                let (directory, doubt) = (self.data.named(), home.look().doubt);
                AdoptError::NoData { given, directory, doubt }
            }
            error => {
                self.log_rows(&error);
                AdoptError::Store(error)
            }
        }
    }

    /// Tells of a failure that nobody has waited for.
    fn tell(&self, error: &AdoptError) {
        tracing::error!(reason = %error, "the store could not be opened, after a long time");
        self.seal.explain(error.hindrance(), &error.to_string());
    }

    /// Logs the rows that stop an import, unless they were logged before.
    fn log_rows(&self, error: &StoreError) {
        let StoreError::ImportIncomplete { path, count, first } = error else { return };
        let mut logged = self.logged_rows.lock().unwrap_or_else(PoisonError::into_inner);
        if *logged == *first {
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
        logged.clone_from(first);
    }
}

impl AdoptError {
    /// The reason why Nexus is sealed after this error.
    pub(crate) const fn hindrance(&self) -> Hindrance {
        match self {
            Self::Store(_) | Self::NoAnswer(_) => Hindrance::Store,
            Self::WrongKey { .. } => Hindrance::OtherKey,
            Self::NoData { .. } | Self::Changed { .. } => Hindrance::NoData,
            Self::Ambiguous => Hindrance::Mismatch,
            Self::OtherKeyLive { .. } | Self::Bug => Hindrance::Shares,
        }
    }

    /// Whether the same shares may succeed later, because a person may put other data there.
    pub(super) const fn may_pass(&self) -> bool {
        match self {
            Self::Store(_)
            | Self::NoAnswer(_)
            | Self::NoData { .. }
            | Self::Changed { .. }
            | Self::WrongKey { .. } => true,
            Self::OtherKeyLive { .. } | Self::Ambiguous | Self::Bug => false,
        }
    }
}
