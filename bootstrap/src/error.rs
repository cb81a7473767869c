//! Why a run can fail, the exit status of each failure, and what to do next.

use std::time::Duration;

use spike_crypto::RandomError;
use spike_daemon::process::StartError;
use spike_mtls::{clock::second, svid::SvidError};
use time::OffsetDateTime;

use crate::{
    deliver::{Keeper, Unreached},
    exit::Exit,
    marker::MarkerError,
    retry::GaveUp,
};

/// Why a run ended without a proved root key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No usable SVID.
    #[error(transparent)]
    Identity(StartError),
    /// This process's own SVID is not valid at the time of this machine.
    #[error(
        "the SVID of this process is valid from {} until {}, and it is {} here", second(*not_before), second(*not_after), second(*now)
    )]
    OwnTimes {
        /// When it begins to be valid.
        not_before: OffsetDateTime,
        /// When it ends.
        not_after: OffsetDateTime,
        /// The time of this machine.
        now: OffsetDateTime,
    },
    /// The SVID of another role.
    #[error(transparent)]
    Role(StartError),
    /// The TLS library cannot be configured.
    #[error("cannot make mTLS clients")]
    Client(#[source] StartError),
    /// The marker does not say whether the work is done.
    #[error("cannot tell whether this was done before")]
    Marker(#[source] MarkerError),
    /// Nexus does not answer.
    #[error(
        "Nexus at {url} does not say whether it has a root key: {reason}{}",
        if shares.is_empty() { String::new() } else { lines(shares) }
    )]
    NexusSilent {
        /// Its address.
        url: String,
        /// What happened instead of an answer.
        reason: GaveUp,
        /// The shares that were found at Keepers, a line each.
        shares: Vec<String>,
    },
    /// Nexus does not accept this process as Bootstrap.
    #[error("Nexus at {url} does not accept this process as Bootstrap (401)")]
    NotRecognised {
        /// Its address.
        url: String,
    },
    /// Not every Keeper answers. Nothing was changed.
    #[error("nothing was changed, because not every Keeper answers:{}", lines(.0))]
    KeepersSilent(Vec<Unreached>),
    /// Some Keepers have their share and some do not.
    #[error("not every Keeper took its share:{}", lines(.0))]
    Undelivered(Vec<Unreached>),
    /// No random bytes for the key.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// No random bytes for the text of the proof.
    #[error("the operating system's random source failed")]
    NoText(#[source] getrandom::Error),
    /// Nexus gave a wrong proof.
    #[error("Nexus at {url} gave a wrong proof: {reason}")]
    WrongProof {
        /// Its address.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nexus did not prove the key in time.
    #[error("Nexus at {url} has not proved that it can use the root key: {reason}")]
    Unproved {
        /// Its address.
        url: String,
        /// Its last answer.
        reason: GaveUp,
        /// Whether it has the key, and cannot make its store.
        is_of_store: bool,
    },
    /// Nexus uses a key that this run did not make.
    #[error("Nexus at {url} holds an earlier root key, not the one that was just made")]
    OtherKey {
        /// Its address.
        url: String,
    },
    /// A new key might replace another, or make data unreadable.
    #[error(
        "no root key was made, because it might replace another key, or make data unreadable. What was found:{}",
        lines(found)
    )]
    WouldReplace {
        /// What was found, a line each.
        found: Vec<String>,
        /// What to do about it.
        next: String,
    },
    /// Nexus would not find the key again that is made with these settings.
    #[error(
        "no root key was made, because Nexus at {url} is configured in another way:{}",
        lines(each)
    )]
    Disagrees {
        /// Its address.
        url: String,
        /// What differs, a line each, with both values.
        each: Vec<String>,
    },
    /// Nexus has a key, and other Keepers than those of this run.
    #[error(
        "Nexus at {url} has a root key, and seems to have other Keepers than those that are named here, so nothing is remembered:{}",
        lines(each)
    )]
    OtherDeployment {
        /// Its address.
        url: String,
        /// The Keepers that it does not know, and those that it has instead, a line each.
        each: Vec<String>,
    },
    /// Nexus needs no key from here, and Keepers answer that hold one or wait for one.
    #[error(
        "no root key was made, because Nexus at {url} is on the memory backend, and the settings here name another one, and Keepers that \
         answer:{}",
        lines(each)
    )]
    OtherBackend {
        /// Its address.
        url: String,
        /// The Keepers that answer, a line each.
        each: Vec<String>,
    },
    /// Another run, or a restore, was at the Keepers at the same time.
    #[error(
        "{}, so that the key of this run can never be proved:{}{}",
        if *is_live { "Nexus has another root key, and some Keepers took a share of that of this run" }
        else { "the Keepers hold shares of two root keys that were made at the same time" },
        lines(&with_words(took, "took a share of the key of this run")),
        lines(&with_words(kept, "holds a share of another key, and keeps it"))
    )]
    TwoKeys {
        /// The Keepers that took a share of this run.
        took: Vec<Keeper>,
        /// The Keepers that hold another.
        kept: Vec<Keeper>,
        /// Whether Nexus has a key.
        is_live: bool,
    },
    /// Addresses of this list lead to one Keeper, which holds one share.
    #[error(
        "no root key was made, because the list of Keepers names one of them twice:{}",
        lines(.0)
    )]
    Repeated(Vec<String>),
    /// These Keepers got a share from somebody else in the meantime.
    #[error("these Keepers hold a share of another key, and keep it:{}", lines(.0))]
    HoldAnother(Vec<Keeper>),
    /// Another Bootstrap is running.
    #[error("another Bootstrap is running here, so this one made no root key")]
    Claimed,
    /// Another Bootstrap took the claim over.
    #[error("another Bootstrap took over, so this one gave no share to any Keeper")]
    ClaimLost,
    /// The root key is in use, and the marker could not be written.
    #[error("the root key is in use, but that cannot be remembered")]
    Unremembered(#[source] MarkerError),
    /// The time limit of the whole run is over.
    #[error("not done within {0:?} (SPIKE_BOOTSTRAP_TIMEOUT)")]
    TimedOut(Duration),
    /// The process got SIGTERM or SIGINT.
    #[error("interrupted")]
    Interrupted,
    /// No async runtime, or no signal handlers.
    #[error("cannot start")]
    Start(#[source] std::io::Error),
}

impl Error {
    /// The exit status.
    pub(crate) const fn exit(&self) -> Exit {
        match self {
            Self::OtherKey { .. }
            | Self::OtherDeployment { .. }
            | Self::OtherBackend { .. }
            | Self::WouldReplace { .. }
            | Self::Repeated(_)
            | Self::TwoKeys { .. }
            | Self::HoldAnother(_) => Exit::KeyExists,
            Self::Identity(_)
            | Self::OwnTimes { .. }
            | Self::Role(_)
            | Self::Client(_)
            | Self::Marker(_)
            | Self::NexusSilent { .. }
            | Self::NotRecognised { .. }
            | Self::Disagrees { .. }
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

    /// The next step, if there is a particular one.
    pub(crate) fn hint(&self) -> Option<&str> {
        Some(match self {
            Self::WouldReplace { next, .. } => next,
            Self::Identity(error) if is_forbidden(error) => {
                "give this user the right to reach the socket (the directories above it need x, the socket needs w), or run this as a user \
                 that has it"
            }
            Self::Identity(_) => {
                "see that the SPIFFE agent runs, and check SPIFFE_ENDPOINT_SOCKET and the registration entry of this program; then run this \
                 again"
            }
            Self::OwnTimes { .. } => {
                "compare the clock of this machine with that of the SPIRE server; if both are right, look into the log of the SPIFFE agent. \
                 Then run this again"
            }
            Self::Role(_) => {
                "give this program that SPIFFE ID in its registration entry (in Kubernetes: its ClusterSPIFFEID), and run this again; \
                 beside spike-dev, `spike-dev as /spike/bootstrap -- bootstrap -init` runs it"
            }
            Self::Marker(_) => {
                "make it readable and writable (in Kubernetes: check the Role of Bootstrap's service account, and the API server), \
                 and run this again: without it, a second root key might be made although one is in use"
            }
            Self::NexusSilent { shares, .. } if !shares.is_empty() => {
                "a root key was made before, so this would make none: start Nexus, which takes its key from the Keepers by itself"
            }
            Self::NexusSilent { .. } => {
                "start Nexus and check SPIKE_NEXUS_API_URL and SPIKE_TRUST_ROOT_NEXUS; if it ends the connection, its audit log says why. Then run this again"
            }
            Self::NotRecognised { .. } => {
                "check SPIKE_TRUST_ROOT_BOOTSTRAP in the environment of Nexus"
            }
            Self::Disagrees { .. } => {
                "give Nexus and Bootstrap the same SPIKE_NEXUS_KEEPER_PEERS, in the same order, and the same \
                 SPIKE_NEXUS_SHAMIR_THRESHOLD; restart Nexus if you changed its settings, and run this again"
            }
            Self::OtherDeployment { .. } => {
                "is that the Nexus of another deployment? Correct SPIKE_NEXUS_API_URL, and run this again. If it is the right one, give it \
                 and Bootstrap the same SPIKE_NEXUS_KEEPER_PEERS, in the same order: a Keeper that Nexus does not know gets no share"
            }
            Self::OtherBackend { .. } => {
                "is that the Nexus of another deployment? Correct SPIKE_NEXUS_API_URL, and run this again. If it is the right one, set \
                 SPIKE_NEXUS_BACKEND_STORE to one value for Nexus and Bootstrap: with memory nobody needs Bootstrap, and everything is lost \
                 when Nexus ends"
            }
            Self::KeepersSilent(_) => {
                "start the Keepers and check SPIKE_NEXUS_KEEPER_PEERS and SPIKE_TRUST_ROOT_KEEPER; if one ends the connection, its audit log says why. Then \
                 run this again"
            }
            Self::Undelivered(_) => {
                "run this again: if enough Keepers took their share, Nexus gets the key and gives the others theirs. If it \
                 stays sealed, nothing was written under the key: first stop Nexus, restart the Keepers that took a share, and start Nexus"
            }
            Self::Repeated(_) => {
                "nothing was changed: list each Keeper once in SPIKE_NEXUS_KEEPER_PEERS, of Nexus and of Bootstrap alike, start as many \
                 Keepers as SPIKE_NEXUS_SHAMIR_SHARES says, restart Nexus, and run this again"
            }
            Self::HoldAnother(_) => {
                "nothing was lost: another Bootstrap, or an operator's restore, was faster, and has given every Keeper a share. Run this again \
                 once that has ended"
            }
            Self::TwoKeys { is_live: true, .. } => {
                "nothing was lost: restart the Keepers that took a share of this run. They come back empty, and Nexus fills them. Then run \
                 this again"
            }
            Self::TwoKeys { is_live: false, .. } => {
                "another Bootstrap ran at the same time, with a claim of its own (another SPIKE_BOOTSTRAP_STATE_DIR or machine). Wait until it \
                 has ended. Nothing was stored under either key, so nothing is lost: stop Nexus, restart all these Keepers, which then hold \
                 nothing, start Nexus, and run one Bootstrap"
            }
            Self::Claimed | Self::ClaimLost => "run this again after the other one has ended",
            Self::WrongProof { .. } => {
                "check that SPIKE_NEXUS_API_URL is the Nexus of these Keepers"
            }
            Self::Unproved { is_of_store: true, .. } => {
                "mend what Nexus says of its store, such as a full disk, and run this again after a minute. If Nexus had made its \
                 database before it failed, it has taken the key by then, and this ends well. If it says instead that there is a key \
                 and no data, nothing is stored under the key, and nobody can prove it any more: only then stop Nexus, restart the \
                 Keepers, which hold nothing after it, start Nexus, and run this again"
            }
            Self::Unproved { is_of_store: false, .. } => {
                "look into the log of Nexus, check that it has the same Keepers in the same order and the same threshold, \
                 and run this again"
            }
            Self::OtherKey { .. } => {
                "do not restart Nexus for SPIKE_NEXUS_KEEPER_UPDATE_INTERVAL: in that time it gives the Keepers their shares \
                 back. There is nothing else to do"
            }
            Self::Unremembered(_) => "mend that and run this again: nothing else will change",
            Self::Client(_)
            | Self::Random(_)
            | Self::NoText(_)
            | Self::TimedOut(_)
            | Self::Interrupted
            | Self::Start(_) => return None,
        })
    }
}

fn is_forbidden(error: &StartError) -> bool {
    matches!(error.downcast_ref(), Some(SvidError::Forbidden { .. }))
}

fn with_words(keepers: &[Keeper], words: &str) -> Vec<String> {
    keepers.iter().map(|keeper| format!("{keeper} {words}")).collect()
}

fn lines(each: &[impl ToString]) -> String {
    let words: Vec<String> = each.iter().map(ToString::to_string).collect();
    format!("\n  {}", words.join("\n  "))
}
