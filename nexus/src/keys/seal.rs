//! The one holder of the root key: sealed without it, unsealed with it.

use std::sync::Arc;

use arc_swap::ArcSwap;
use spike_crypto::{RootCipher, RootKey};

use crate::{
    access::{Asked, Grant},
    error::Error,
    policies::Policies,
    store::{Store, StoreError},
};

/// What Nexus can do once it has the root key.
#[derive(Debug)]
pub struct Unsealed {
    root_key: RootKey,
    cipher: RootCipher,
    data: Option<Data>,
}

#[derive(Debug)]
struct Data {
    store: Store,
    policies: Policies,
}

impl Unsealed {
    /// With a store that was opened with the key. Reads every policy: keep it off the threads that serve requests.
    ///
    /// # Errors
    /// [`StoreError`] where the policies cannot be read.
    pub fn with_store(root_key: RootKey, store: Store) -> Result<Self, StoreError> {
        let policies = Policies::load(&store)?;
        let cipher = RootCipher::new(&root_key);
        Ok(Self { root_key, cipher, data: Some(Data { store, policies }) })
    }

    /// Without a store: the lite backend.
    pub fn without_store(root_key: RootKey) -> Self {
        let cipher = RootCipher::new(&root_key);
        Self { root_key, cipher, data: None }
    }

    /// The root key, to derive shares from.
    pub const fn root_key(&self) -> &RootKey {
        &self.root_key
    }

    /// Encryption under the root key itself, where upstream's formats demand it.
    pub const fn cipher(&self) -> &RootCipher {
        &self.cipher
    }

    /// The store.
    ///
    /// # Errors
    /// [`Error::NoSuchRoute`] for the lite backend, which has none.
    pub fn store(&self) -> Result<&Store, Error> {
        self.data.as_ref().map(|data| &data.store).ok_or(Error::NoSuchRoute)
    }

    /// The policies, where the backend has any.
    pub fn policies(&self) -> Option<&Policies> {
        self.data.as_ref().map(|data| &data.policies)
    }
}

/// Work of the daemon itself, for which nobody asked and which no grant allows. Whoever handles a request has no use for
/// it: a test keeps it out of `serve` and `service`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OwnTask {
    /// Whether a key that somebody brings is the one in use.
    CompareKeys,
    /// What Keepers hold, and giving them their shares.
    TendKeepers,
    /// Health checks and metrics of the store.
    WatchStore,
    /// What a unit test looks at.
    #[cfg(test)]
    Test,
}

/// What keeps Nexus sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hindrance {
    /// There is no root key that could be used.
    NoKey,
    /// There are shares that make a key, and the store cannot be opened.
    Store,
}

#[derive(Debug)]
enum State {
    Sealed { by: Hindrance, reason: String },
    Unsealed(Arc<Unsealed>),
}

impl State {
    fn sealed(by: Hindrance, reason: impl Into<String>) -> Self {
        Self::Sealed { by, reason: reason.into() }
    }
}

/// Whether the root key is here. Read by every request, changed a few times in the life of a process.
#[derive(Debug)]
pub struct Seal(ArcSwap<State>);

impl Seal {
    /// Without a key, and why.
    pub fn sealed(reason: impl Into<String>) -> Self {
        Self(ArcSwap::from_pointee(State::sealed(Hindrance::NoKey, reason)))
    }

    /// What the key makes possible, for whoever may use it.
    ///
    /// # Errors
    /// [`Error::NotReady`] or [`Error::StoreUnopened`], with the reason, while there is no key.
    pub fn granted<R: Asked>(&self, _: &Grant<R>) -> Result<Arc<Unsealed>, Error> {
        self.look(|unsealed| Ok(Arc::clone(unsealed)))
    }

    /// As [`Self::granted`], for what is done at once: every request on every processor would otherwise count itself in and
    /// out at one place in memory.
    ///
    /// # Errors
    /// [`Error::NotReady`] or [`Error::StoreUnopened`] while there is no key, and what `act` ends in.
    pub fn act<R: Asked, T>(
        &self,
        _: &Grant<R>,
        act: impl FnOnce(&Unsealed) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.look(|unsealed| act(unsealed))
    }

    /// Whether there is a key.
    ///
    /// # Errors
    /// [`Error::NotReady`] or [`Error::StoreUnopened`], with the reason, while there is none.
    pub fn ready(&self) -> Result<(), Error> {
        self.look(|_| Ok(()))
    }

    /// What the key makes possible, for the daemon's own work.
    ///
    /// # Errors
    /// As [`Self::granted`].
    pub(crate) fn for_own_task(&self, _: OwnTask) -> Result<Arc<Unsealed>, Error> {
        self.look(|unsealed| Ok(Arc::clone(unsealed)))
    }

    /// The policies in force, by which grants are made; `None` where the backend has none.
    ///
    /// # Errors
    /// As [`Self::act`].
    pub(crate) fn decide<T>(
        &self,
        decide: impl FnOnce(Option<&Policies>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.look(|unsealed| decide(unsealed.policies()))
    }

    fn look<T>(&self, look: impl FnOnce(&Arc<Unsealed>) -> Result<T, Error>) -> Result<T, Error> {
        match &**self.0.load() {
            State::Unsealed(unsealed) => look(unsealed),
            State::Sealed { by: Hindrance::NoKey, reason } => Err(Error::NotReady(reason.clone())),
            State::Sealed { by: Hindrance::Store, reason } => {
                Err(Error::StoreUnopened(reason.clone()))
            }
        }
    }

    /// Says why there still is no key. Changes nothing once there is one.
    pub fn explain(&self, by: Hindrance, reason: &str) {
        self.0.rcu(|state| match &**state {
            State::Unsealed(_) => Arc::clone(state),
            State::Sealed { .. } => Arc::new(State::sealed(by, reason)),
        });
    }

    /// Puts the key to use.
    pub fn unseal(&self, unsealed: Unsealed) {
        self.0.store(Arc::new(State::Unsealed(Arc::new(unsealed))));
    }

    /// Lets go of the key and gives back what was in use, so that the store can be closed.
    pub fn seal(&self, reason: &str) -> Option<Arc<Unsealed>> {
        match &*self.0.swap(Arc::new(State::sealed(Hindrance::NoKey, reason))) {
            State::Unsealed(unsealed) => Some(Arc::clone(unsealed)),
            State::Sealed { .. } => None,
        }
    }
}
