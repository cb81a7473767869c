//! Why a key was not put to use, and why an operator's share was not accepted. The consequences are decided elsewhere, so this
//! file does not depend on the errors of requests.

use std::path::{Path, PathBuf};

use spike_crypto::Fingerprint;
use spike_daemon::process::chain;

use super::CollectError;
use crate::store::{Change, NoAnswer, StoreError};

/// Why a key was not put to use. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// Nexus uses another key, and keeps it.
    #[error("the shares make key {given}, and key {live} is in use")]
    OtherKeyLive {
        /// The key in use.
        live: Fingerprint,
        /// The rejected key.
        given: Fingerprint,
    },
    /// The data was written under another key.
    #[error("the shares make key {given}, which is not that of the data: {}", chain(why))]
    WrongKey {
        /// The rejected key.
        given: Fingerprint,
        /// The error of the store.
        #[source]
        why: StoreError,
    },
    /// Two keys, and no data that shows which one is meant.
    #[error(
        "the shares make several keys, and nothing tells which is meant: was Bootstrap run twice?"
    )]
    Ambiguous,
    /// There is no data for the key. That is expected only right after Bootstrap, which proves the key. Otherwise the data is
    /// missing.
    #[error(
        "there is a key ({given}) and no data in {}{}: {WAYS_ON} {PAGE}", directory.display(),
        doubt.as_ref().map_or_else(String::new, |why| format!(" ({why})"))
    )]
    NoData {
        /// The key that waits.
        given: Fingerprint,
        /// The directory without data.
        directory: PathBuf,
        /// What was found there that a database may have left.
        doubt: Option<String>,
    },
    /// The data is not what this process found there at first. A copy may be under way.
    #[error(
        "{} while Nexus was running. Nexus does not open a copy that may still be under way: once all files are there, restart it \
         ({PAGE})", changed(directory, *change)
    )]
    Changed {
        /// The directory of the data.
        directory: PathBuf,
        /// What has happened.
        change: Change,
    },
    /// The disk of the data hangs.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    /// The store cannot be opened, with any key.
    #[error("the store cannot be opened: {}", chain(.0))]
    Store(#[source] StoreError),
    /// A task of this process panicked.
    #[error("the store was not opened: a bug")]
    Bug,
}

/// Where the ways on are described.
const PAGE: &str = "docs/operations/store.md, \"No data, and a key\"";

/// What a person can do where a key has no data, before the page.
const WAYS_ON: &str = "is the volume mounted, is SPIKE_NEXUS_DATA_DIR right? Stop Nexus, put all files of the data there, and start \
    it. While Bootstrap runs, wait for its end. If there is no data:";

fn changed(directory: &Path, change: Change) -> String {
    let directory = directory.display();
    match change {
        Change::Appeared => format!("data has appeared in {directory}"),
        Change::Replaced => {
            format!("the files of the data in {directory} were changed or replaced")
        }
    }
}

/// The end of the error for a person in the middle of a restore. A restart forgets what was fed.
const fn after_a_restore(error: &AdoptError) -> &'static str {
    match error {
        AdoptError::NoData { .. } | AdoptError::Changed { .. } => {
            "the shares are kept until Nexus is restarted: feed them again then"
        }
        _ => "the shares are kept, and tried again until that is mended",
    }
}

/// Why a share was not accepted. Shares that were fed before are kept unless the text says otherwise.
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
    /// Enough shares, but not of one key.
    #[error("{cause}; the shares fed are {fed}: feed the one that you doubt again, or one more")]
    NotTogether {
        /// The cause, as far as it was found.
        #[source]
        cause: CollectError,
        /// The indexes, as text.
        fed: String,
    },
    /// The shares are of one key, there is no data to check it against, and Keepers hold shares of another key.
    #[error(
        "the shares make key {given}, of which none of the {held} shares is that Keepers hold, and nothing else \
         shows which key is the right one; nothing was changed, and the shares that were fed were put aside. Feed \
         shares of the key that the Keepers hold; or, if these are the right ones, stop Nexus, restart the Keepers, which then hold \
         nothing, start Nexus, and feed these again"
    )]
    NotOfTheKeepers {
        /// The key of the shares that were fed.
        given: Fingerprint,
        /// How many shares the Keepers have sent.
        held: usize,
    },
    /// Nexus has another whole key from Keepers, and would forget it.
    #[error(
        "Nexus alone has {lost}, and forgets it once it has the key of these shares; nothing was changed, and the shares that were fed were put \
         aside. Start the Keepers that it is of: Nexus gives each its share back. Then feed the shares again. If that key is needed nowhere, \
         restart Nexus, which forgets it, and feed the shares again"
    )]
    WouldLose {
        /// The keys, in words.
        lost: String,
    },
    /// There is no data, and the Keepers that do not answer may hold another key whole.
    #[error(
        "the shares make key {given}, and there is nothing to compare it with: no data, no share of a Keeper, and no answer of {silent}, which \
         together may hold another key; nothing was changed, and the shares that were fed were put aside. Bring these Keepers back: Nexus \
         then takes the key that they hold, or compares these shares with it. If they are gone for good, start Nexus with \
         SPIKE_NEXUS_ACCEPT_NEW_STORE=true, feed the shares again, and take the setting away"
    )]
    NotCompared {
        /// The key of the shares that were fed.
        given: Fingerprint,
        /// The Keepers that do not answer.
        silent: String,
    },
    /// With a threshold of 1, any share of any key passes for a key.
    #[error(
        "SPIKE_NEXUS_SHAMIR_THRESHOLD is 1, so that any single share passes for a key (here {given}), and there is nothing to compare it with; \
         nothing was changed, and the share was put aside. Feed two shares in one command, which must be alike. If the threshold was higher \
         at bootstrap, set it to what it was, and restart Nexus. If this is the only share there is, start Nexus with \
         SPIKE_NEXUS_ACCEPT_NEW_STORE=true, feed it again, and take the setting away"
    )]
    OneAlone {
        /// The key that the share would be.
        given: Fingerprint,
    },
    /// With a threshold of 1 all shares of a key are alike, and these are not.
    #[error(
        "SPIKE_NEXUS_SHAMIR_THRESHOLD is 1, so that all shares of a key are alike, and those that were fed and those of the Keepers are not; \
         nothing was changed, and the shares that were fed were put aside. The threshold is probably lower than at bootstrap: set it to what \
         it was, restart Nexus, and feed the shares again"
    )]
    NotAlike,
    /// The shares are of one key, which is not the key of the data.
    #[error("{0}; these shares were put aside, begin again with those of the right key")]
    WrongKey(#[source] AdoptError),
    /// The key is correct, and the store cannot be opened. The shares are kept.
    #[error("{}; {}", .0, after_a_restore(.0))]
    Store(#[source] AdoptError),
    /// A task of this process panicked.
    #[error("the shares were not tried: a bug")]
    Bug,
}
