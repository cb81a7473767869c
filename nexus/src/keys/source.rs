//! Where the root key comes from, and so what the backend can do.

use std::sync::Arc;

use spike_crypto::Quorum;
use spike_daemon::settings::Backend;

use super::quorum::{Adopter, Keepers, Restoration};
use crate::{error::Error, store::Home};

/// Where the root key comes from.
#[derive(Debug)]
pub enum KeySource {
    /// Made at the start, for this process only: the memory backend.
    Own,
    /// From the Keepers, or from an operator.
    Shares(Shares),
}

/// What it takes to get a root key from shares and to give shares out.
#[derive(Debug)]
pub struct Shares {
    /// The backend: `sqlite` or `lite`.
    pub backend: Backend,
    /// How the key is split.
    pub quorum: Quorum,
    /// The highest index that an operator may feed.
    pub max_index: u16,
    /// Where the data is; `None` for the lite backend, which has none.
    pub home: Option<Home>,
    /// The Keepers.
    pub keepers: Arc<Keepers>,
    /// What puts a key to use.
    pub adopter: Arc<Adopter>,
    /// What operators have fed.
    pub restoration: Restoration,
}

impl KeySource {
    /// What it takes to get the key from shares.
    ///
    /// # Errors
    /// [`Error::NoShares`] on the memory backend.
    pub(crate) fn shares(&self) -> Result<&Shares, Error> {
        match self {
            Self::Own => Err(Error::NoShares),
            Self::Shares(shares) => Ok(shares),
        }
    }

    /// Whether a root key is here that Bootstrap has to prove before it is put to use.
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

    /// The Keepers, where there are any.
    pub(crate) const fn keepers(&self) -> Option<&Arc<Keepers>> {
        match self {
            Self::Own => None,
            Self::Shares(shares) => Some(&shares.keepers),
        }
    }

    /// What it takes to get the key from shares, where it comes from them.
    pub(crate) const fn shares_of_keepers(&self) -> Option<&Shares> {
        match self {
            Self::Own => None,
            Self::Shares(shares) => Some(shares),
        }
    }
}
