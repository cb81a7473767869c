//! What can keep a run from its end, the exit status of each, and what to do next.

use std::time::Duration;

use spike_crypto::RandomError;
use spike_daemon::process::StartError;

use crate::{
    deliver::{Keeper, Unreached},
    exit::Exit,
    marker::MarkerError,
    patience::GaveUp,
};

/// Why a run ended without a proved root key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No usable identity, or another's.
    #[error(transparent)]
    Identity(StartError),
    /// The TLS library cannot be configured.
    #[error("cannot make mTLS clients")]
    Client(#[source] StartError),
    /// It is not known whether the work is done already.
    #[error("cannot tell whether this was done before")]
    Marker(#[source] MarkerError),
    /// Nexus does not answer.
    #[error("Nexus at {url} does not say whether it has a root key: {reason}")]
    NexusSilent {
        /// Where it should be.
        url: String,
        /// What came instead of an answer.
        reason: GaveUp,
    },
    /// Nexus does not take this process for Bootstrap.
    #[error("Nexus at {url} does not accept this process as Bootstrap (401)")]
    NotRecognised {
        /// Where it is.
        url: String,
    },
    /// Not every Keeper is there; nothing was changed.
    #[error("nothing was changed, because not every Keeper answers:{}", lines(.0))]
    KeepersSilent(Vec<Unreached>),
    /// Some Keepers have their share and some do not.
    #[error("not every Keeper took its share:{}", lines(.0))]
    Undelivered(Vec<Unreached>),
    /// No key.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// No random text to prove it with.
    #[error("the operating system's random source failed")]
    NoText(#[source] getrandom::Error),
    /// Nexus answers the question, wrongly.
    #[error("Nexus at {url} gave a wrong proof: {reason}")]
    WrongProof {
        /// Where it is.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nexus did not come up in time.
    #[error("Nexus at {url} has not proved that it can use the root key: {reason}")]
    Unproved {
        /// Where it is.
        url: String,
        /// What it said last.
        reason: GaveUp,
    },
    /// Nexus came up with a key that this run did not make.
    #[error("Nexus at {url} holds an earlier root key, not the one that was just made")]
    OtherKey {
        /// Where it is.
        url: String,
    },
    /// A new key would take the place of something.
    #[error(
        "no root key was made, because it might take the place of another key, or of data. What was found:{}",
        lines(found)
    )]
    WouldReplace {
        /// What was found, a line each.
        found: Vec<String>,
        /// What to do about it.
        next: String,
    },
    /// Somebody else gave these Keepers a share meanwhile.
    #[error("these Keepers hold a share of another key, and keep it:{}", lines(.0))]
    HoldAnother(Vec<Keeper>),
    /// Another Bootstrap is at work.
    #[error("another Bootstrap is at work here, so that this one made no root key")]
    Claimed,
    /// Another Bootstrap took the claim over.
    #[error("another Bootstrap took over, so that this one delivered nothing")]
    ClaimLost,
    /// All is well but for the marker.
    #[error("the root key is in use, but that cannot be remembered")]
    Unremembered(#[source] MarkerError),
    /// The limit for the whole run is over.
    #[error("not done within {0:?} (SPIKE_BOOTSTRAP_TIMEOUT)")]
    TimedOut(Duration),
    /// Somebody asked the process to end.
    #[error("interrupted")]
    Interrupted,
    /// No runtime, no signals.
    #[error("cannot start")]
    Start(#[source] std::io::Error),
}

impl Error {
    /// The exit status.
    pub(crate) const fn exit(&self) -> Exit {
        match self {
            Self::OtherKey { .. } | Self::WouldReplace { .. } | Self::HoldAnother(_) => {
                Exit::KeyExists
            }
            Self::Identity(_)
            | Self::Client(_)
            | Self::Marker(_)
            | Self::NexusSilent { .. }
            | Self::NotRecognised { .. }
            | Self::KeepersSilent(_)
            | Self::Undelivered(_)
            | Self::Random(_)
            | Self::NoText(_)
            | Self::WrongProof { .. }
            | Self::Unproved { .. }
            | Self::Unremembered(_)
            | Self::Claimed
            | Self::ClaimLost
            | Self::TimedOut(_)
            | Self::Interrupted
            | Self::Start(_) => Exit::Failed,
        }
    }

    /// The next step, where there is a particular one.
    pub(crate) fn hint(&self) -> Option<&str> {
        Some(match self {
            Self::WouldReplace { next, .. } => next,
            Self::Identity(_) => {
                "see that the SPIFFE agent runs, and check SPIFFE_ENDPOINT_SOCKET, the registration entry of this program, and \
                 SPIKE_TRUST_ROOT_BOOTSTRAP; then run this again"
            }
            Self::Marker(_) => {
                "see that it can be read and written (in Kubernetes: the Role of Bootstrap's service account, and the API server), \
                 and run this again: without it a second root key might be made where one is in use"
            }
            Self::NexusSilent { .. } => {
                "start Nexus and check SPIKE_NEXUS_API_URL and SPIKE_TRUST_ROOT_NEXUS; then run this again"
            }
            Self::NotRecognised { .. } => {
                "check SPIKE_TRUST_ROOT_BOOTSTRAP in the environment of Nexus"
            }
            Self::KeepersSilent(_) => {
                "start the Keepers and check SPIKE_NEXUS_KEEPER_PEERS and SPIKE_TRUST_ROOT_KEEPER; then run this again"
            }
            Self::Undelivered(_) => {
                "run this again: where enough Keepers took their share, Nexus takes up the key and gives the others theirs. \
                 Where it stays sealed, nothing was written under the key: restart the Keepers that took a share first"
            }
            Self::HoldAnother(_) => {
                "nothing was lost. Another Bootstrap, or an operator's restore, was quicker: run this again to see"
            }
            Self::Claimed | Self::ClaimLost => "run this again when the other one has ended",
            Self::WrongProof { .. } => "is SPIKE_NEXUS_API_URL the Nexus of these Keepers?",
            Self::Unproved { .. } => {
                "look at the log of Nexus: does it know the same Keepers, in the same order, and the same threshold? Then \
                 run this again"
            }
            Self::OtherKey { .. } => {
                "do not restart Nexus before it has given the Keepers their shares back, which it does within \
                 SPIKE_NEXUS_KEEPER_UPDATE_INTERVAL; there is nothing else to do"
            }
            Self::Unremembered(_) => "mend that and run this again: it will change nothing else",
            Self::Client(_)
            | Self::Random(_)
            | Self::NoText(_)
            | Self::TimedOut(_)
            | Self::Interrupted
            | Self::Start(_) => return None,
        })
    }
}

fn lines(each: &[impl ToString]) -> String {
    let words: Vec<String> = each.iter().map(ToString::to_string).collect();
    format!("\n  {}", words.join("\n  "))
}
