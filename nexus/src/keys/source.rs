//! The source of the root key, which determines what the backend can do.

use std::sync::Arc;

use spike_crypto::Quorum;
use spike_daemon::settings::Backend;

use super::quorum::{Adopter, Keepers, Restoration};
use crate::{error::Error, store::Home};

/// The source of the root key.
#[derive(Debug)]
pub enum KeySource {
    /// Made at the start, for this process only: the memory backend.
    Own,
    /// From the Keepers, or from an operator.
    Shares(Shares),
}

/// What Nexus needs to get a root key from shares, and to give shares out.
#[derive(Debug)]
pub struct Shares {
    /// The backend: `sqlite` or `lite`.
    pub backend: Backend,
    /// How the key is split.
    pub quorum: Quorum,
    /// The highest index that an operator may feed.
    pub max_index: u16,
    /// The place of the data; `None` for the lite backend, which has none.
    pub home: Option<Home>,
    /// The Keepers.
    pub keepers: Arc<Keepers>,
    /// Checks keys and puts them to use.
    pub adopter: Arc<Adopter>,
    /// The shares that operators have fed.
    pub restoration: Arc<Restoration>,
}

impl KeySource {
    /// The parts that get the key from shares.
    ///
    /// # Errors
    /// [`Error::NoShares`] on the memory backend.
    pub(crate) fn shares(&self) -> Result<&Shares, Error> {
        match self {
            Self::Own => Err(Error::NoShares),
            Self::Shares(shares) => Ok(shares),
        }
    }

    /// The backend.
    pub(crate) const fn backend(&self) -> Backend {
        match self {
            Self::Own => Backend::Memory,
            Self::Shares(shares) => shares.backend,
        }
    }

    /// Whether a root key waits for the proof of Bootstrap.
    pub(crate) fn awaits_proof(&self) -> bool {
        match self {
            Self::Own => false,
            Self::Shares(shares) => shares.adopter.awaits_proof(),
        }
    }

    /// Whether the backend has a store: lite keeps neither secrets nor policies (wire-api 3.2).
    pub(crate) const fn has_store(&self) -> bool {
        match self {
            Self::Shares(shares) => !matches!(shares.backend, Backend::Lite),
            Self::Own => true,
        }
    }

    /// The Keepers, if there are any.
    pub(crate) const fn keepers(&self) -> Option<&Arc<Keepers>> {
        match self {
            Self::Own => None,
            Self::Shares(shares) => Some(&shares.keepers),
        }
    }

    /// The parts that get the key from shares, if it comes from shares.
    pub(crate) const fn shares_of_keepers(&self) -> Option<&Shares> {
        match self {
            Self::Own => None,
            Self::Shares(shares) => Some(shares),
        }
    }
}
