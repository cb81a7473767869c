//! Why a key was not put to use, and why a share of an operator did not help. What follows from it is said elsewhere, so
//! that this file needs nothing that refuses requests.

use std::path::PathBuf;

use spike_crypto::Fingerprint;
use spike_daemon::process::chain;

use super::CollectError;
use crate::store::StoreError;

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
    /// There is no data for the key. That is right after Bootstrap only, which proves the key; otherwise the data is missing.
    #[error(
        "there is a key ({given}) and no data in {}{}: if the data is elsewhere, put it there (is the volume mounted, is \
         SPIKE_NEXUS_DATA_DIR right?); right after Bootstrap, its proof of the key is awaited, and makes the store. If Bootstrap \
         was ended before its proof, either restart the Keepers and run Bootstrap again, which makes another key, or start \
         Nexus once with SPIKE_NEXUS_ACCEPT_NEW_STORE=true, which makes a store under this one; do the latter too if the data \
         is lost for good", directory.display(), doubt.as_ref().map_or_else(String::new, |why| format!(" ({why})"))
    )]
    NoData {
        /// The key that was brought.
        given: Fingerprint,
        /// Where the data was looked for.
        directory: PathBuf,
        /// What was found there that a database may have left behind.
        doubt: Option<String>,
    },
    /// The store cannot be opened, whatever the key.
    #[error("the store cannot be opened: {}", chain(.0))]
    Store(#[source] StoreError),
    /// A task of ours broke.
    #[error("the store was not opened: a bug")]
    Bug,
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
    /// They are of one key, there is no data to check it against, and Keepers hold shares of another.
    #[error(
        "the shares make key {given}, of which none of the {held} shares is that Keepers hold, and there is no data that \
         would show which key is the right one; nothing was changed, and the shares that were fed were put aside. Feed \
         shares of the key that the Keepers hold; or, if these are the right ones, restart the Keepers, which then hold \
         nothing, and feed these again"
    )]
    NotOfTheKeepers {
        /// The key that was brought.
        given: Fingerprint,
        /// How many shares the Keepers have sent.
        held: usize,
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
