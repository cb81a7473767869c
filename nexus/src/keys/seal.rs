//! The holder of the root key: sealed without it, unsealed with it.

use std::sync::Arc;

use arc_swap::ArcSwap;
use spike_crypto::{RootCipher, RootKey};

use crate::{
    access::{Asked, Grant},
    error::Error,
    policies::Policies,
    store::{Store, StoreError},
};

/// What Nexus has once it is unsealed.
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
    /// With a store that was opened with the key. Reads every policy, so call it off the threads that serve requests.
    ///
    /// # Errors
    /// [`StoreError`] if the policies cannot be read.
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

    /// The cipher of the root key itself, where upstream's formats require it.
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

    /// The policies, if the backend has any.
    pub fn policies(&self) -> Option<&Policies> {
        self.data.as_ref().map(|data| &data.policies)
    }
}

/// The daemon's own work, which no request asks for and no grant allows. Handlers of requests must not use it: a test keeps it
/// out of `serve` and `service`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OwnTask {
    /// Compare a key from an operator with the one in use.
    CompareKeys,
    /// Judge the shares of Keepers, and give Keepers their shares.
    TendKeepers,
    /// Health checks and metrics of the store.
    WatchStore,
    /// Inspection by a unit test.
    #[cfg(test)]
    Test,
}

/// Why Nexus is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hindrance {
    /// There are too few shares.
    Shares,
    /// There are shares enough, and they are not of one key.
    Mismatch,
    /// The shares make a key, and it is not that of the data.
    OtherKey,
    /// The shares make a key, and there is no data for it.
    NoData,
    /// The shares make a key, and the store cannot be opened.
    Store,
}

#[derive(Debug)]
enum State {
    Sealed { by: Hindrance, reason: String, danger: Option<String> },
    Unsealed(Arc<Unsealed>),
}

impl State {
    fn sealed(by: Hindrance, reason: impl Into<String>) -> Self {
        Self::Sealed { by, reason: reason.into(), danger: None }
    }
}

/// The state: sealed or unsealed. Every request reads it. It changes a few times in the life of a process.
#[derive(Debug)]
pub struct Seal(ArcSwap<State>);

impl Seal {
    /// Without a key, and why.
    pub fn sealed(reason: impl Into<String>) -> Self {
        Self(ArcSwap::from_pointee(State::sealed(Hindrance::Shares, reason)))
    }

    /// The unsealed Nexus, for the holder of a grant.
    ///
    /// # Errors
    /// [`Error::NotReady`] or [`Error::StoreUnopened`], with the reason, while there is no key.
    pub fn granted<R: Asked>(&self, _: &Grant<R>) -> Result<Arc<Unsealed>, Error> {
        self.look(|unsealed| Ok(Arc::clone(unsealed)))
    }

    /// As [`Self::granted`], for short work. It takes no reference count, which all processors would otherwise write for every
    /// request.
    ///
    /// # Errors
    /// [`Error::NotReady`] or [`Error::StoreUnopened`] while there is no key, and the error of `act`.
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

    /// The unsealed Nexus, for the daemon's own work.
    ///
    /// # Errors
    /// As [`Self::granted`].
    pub(crate) fn for_own_task(&self, _: OwnTask) -> Result<Arc<Unsealed>, Error> {
        self.look(|unsealed| Ok(Arc::clone(unsealed)))
    }

    /// The policies in force, for the decision; `None` if the backend has none.
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
            State::Sealed { by, reason, danger } => {
                let reason = danger
                    .as_ref()
                    .map_or_else(|| reason.clone(), |danger| format!("{danger}. Then: {reason}"));
                Err(match by {
                    Hindrance::Store => Error::StoreUnopened(reason),
                    Hindrance::Shares
                    | Hindrance::Mismatch
                    | Hindrance::OtherKey
                    | Hindrance::NoData => Error::NotReady(reason),
                })
            }
        }
    }

    /// Why there is no key in use; `None` if there is one.
    pub fn hindrance(&self) -> Option<Hindrance> {
        match &**self.0.load() {
            State::Unsealed(_) => None,
            State::Sealed { by, .. } => Some(*by),
        }
    }

    /// Whether a restart would lose a root key.
    pub fn is_last_copy(&self) -> bool {
        matches!(&**self.0.load(), State::Sealed { danger: Some(_), .. })
    }

    /// Sets the reason why there is no key yet. What a restart would lose stands before it, whoever explains. Changes nothing once
    /// there is a key.
    pub fn explain(&self, by: Hindrance, reason: &str) {
        self.0.rcu(|state| match &**state {
            State::Unsealed(_) => Arc::clone(state),
            State::Sealed { danger, .. } => {
                Arc::new(State::Sealed { by, reason: reason.to_owned(), danger: danger.clone() })
            }
        });
    }

    /// Sets what a restart would lose; `None` if it loses nothing. Changes nothing once there is a key.
    pub(crate) fn warn(&self, danger: Option<&str>) {
        self.0.rcu(|state| match &**state {
            State::Unsealed(_) => Arc::clone(state),
            State::Sealed { by, reason, .. } => Arc::new(State::Sealed {
                by: *by,
                reason: reason.clone(),
                danger: danger.map(str::to_owned),
            }),
        });
    }

    /// Puts the key to use.
    pub fn unseal(&self, unsealed: Unsealed) {
        self.0.store(Arc::new(State::Unsealed(Arc::new(unsealed))));
    }

    /// Drops the key and returns what was in use, so that the store can be closed.
    pub fn seal(&self, reason: &str) -> Option<Arc<Unsealed>> {
        match &*self.0.swap(Arc::new(State::sealed(Hindrance::Shares, reason))) {
            State::Unsealed(unsealed) => Some(Arc::clone(unsealed)),
            State::Sealed { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A restore that waited for data said to restart Nexus, in place of what said not to.
    #[test]
    fn whoever_explains_a_sealed_nexus_does_not_hide_that_a_restart_loses_a_key() {
        let seal = Seal::sealed("no share");
        let reason = |seal: &Seal| seal.ready().unwrap_err().to_string();
        assert!(!seal.is_last_copy());
        seal.warn(Some("do not restart"));
        for by in [Hindrance::NoData, Hindrance::Store, Hindrance::Mismatch] {
            seal.explain(by, "restart it");
            assert!(reason(&seal).contains("do not restart. Then: restart it"));
            assert_eq!((seal.hindrance(), seal.is_last_copy()), (Some(by), true));
        }
        seal.warn(None);
        assert!(reason(&seal).ends_with("restart it") && !seal.is_last_copy());
        assert!(!reason(&seal).contains("do not"));
    }
}
