//! While Nexus has a key: gives every Keeper its share if the Keeper lacks it, and periodically. A Keeper counts as holding its
//! share once the share was read back. What a Keeper holds is read before it is given anything: a share of another key is never
//! replaced.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};
use spike_crypto::{Derivation, RootKey, Share, ShareValue, derivation_of, split};
use spike_daemon::process::chain;
use spike_mtls::client::CallError;
use spike_wire::{ContributeRequest, Shard};

use super::{
    Keepers, ShareState, foreign,
    keeper::{Answer, Keeper},
};

/// Counts the shares that were given to Keepers, by outcome.
#[derive(Clone, Debug)]
pub(super) struct Contributions(pub(super) Family<Outcome, Counter>);

const OUTCOMES: [&str; 4] = ["kept", "forgotten", "refused", "unreachable"];

/// The outcome of giving a share.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Outcome {
    outcome: &'static str,
}

/// Every outcome starts at 0: Prometheus does not see the first increase of a counter that appears with it.
impl Default for Contributions {
    fn default() -> Self {
        let counts = Family::default();
        for outcome in OUTCOMES {
            drop(counts.get_or_create(&Outcome { outcome }));
        }
        Self(counts)
    }
}

impl Contributions {
    fn count(&self, outcome: &'static str) {
        self.0.get_or_create(&Outcome { outcome }).inc();
    }
}

impl Keepers {
    /// Judges the answer by the key, and gives the Keeper its share if the Keeper lacks it or an update is due.
    pub(super) async fn refill(
        &self,
        keeper: &Keeper,
        answer: Answer,
        root_key: &RootKey,
        update: bool,
    ) {
        let (state, news) = self.judge(keeper, answer, root_key);
        if state.reachable() && !state.helps() {
            // Another Keeper of the list may have taken its place, or be it.
            keeper.identify_again().await;
        }
        // A second share would take the place of the first.
        let repeats = self.repeats(keeper);
        let (lacks, is_well) = (state.lacks(), state.helps());
        if news {
            self.find_other_key().await;
        }
        if let Some(same) = repeats {
            let told = format!("it is Keeper {} at {} too", same.index, same.url);
            warn(keeper, &told, "a Keeper is listed under two addresses, and gets one share");
            keeper.note(state);
            return;
        }
        match &state {
            ShareState::Foreign => {
                let advice = foreign::advice(&keeper.url.to_string(), self.other_key.known());
                warn(keeper, &advice, "a share of another root key is left to its Keeper");
            }
            ShareState::Unusable(_) | ShareState::Misplaced | ShareState::Untold(_) => {
                let what = "a Keeper does not hold its share of the key in use";
                warn(keeper, &state.to_string(), what);
            }
            ShareState::Unknown
            | ShareState::Unreachable(_)
            | ShareState::Empty
            | ShareState::Unjudged
            | ShareState::Good
            | ShareState::Repeated { .. }
            | ShareState::Forgetful(_) => {}
        }
        keeper.note(state);
        self.settle();
        if lacks || (is_well && update) {
            self.contribute(keeper, root_key).await;
        }
    }

    /// The meaning of an answer under the key in use, and whether it changes what is known of shares of other keys.
    fn judge(&self, keeper: &Keeper, answer: Answer, root_key: &RootKey) -> (ShareState, bool) {
        let value = match answer {
            Answer::Share(value) => value,
            Answer::Other(
                state @ (ShareState::Unreachable(_) | ShareState::Untold(_) | ShareState::Unknown),
            ) => return (state, false),
            Answer::Other(state) => return (state, keeper.foreign.clear()),
        };
        let share = Share { index: keeper.index, value };
        match derivation_of(root_key, self.quorum.threshold(), &share) {
            Some(Derivation::Reject | Derivation::Xmd) => {
                (ShareState::Good, keeper.foreign.clear())
            }
            None if foreign::is_of_key(root_key, self.quorum, &share.value) => {
                (ShareState::Misplaced, keeper.foreign.clear())
            }
            None => {
                keeper.note_sent(share.value.duplicate());
                (ShareState::Foreign, keeper.foreign.keep(share.value))
            }
        }
    }

    /// Gives the Keeper this share, and asks for it again. `None`: the Keeper did not take it, which is logged.
    pub(super) async fn contribute_value(
        &self,
        keeper: &Keeper,
        value: &ShareValue,
    ) -> Option<Answer> {
        let shard = Shard::new(value.expose_bytes());
        if let Err(error) = keeper.client.contribute(&ContributeRequest { shard }).await {
            self.contributions.count(match error {
                CallError::Transport(_) => "unreachable",
                CallError::Refused(_) | CallError::Reply(_) => "refused",
            });
            warn(keeper, &chain(&error), "cannot give a Keeper its share");
            return None;
        }
        Some(keeper.ask().await)
    }

    async fn contribute(&self, keeper: &Keeper, root_key: &RootKey) {
        let shares = split(root_key, self.quorum, Derivation::Reject);
        let own = shares.into_iter().find(|share| share.index == keeper.index);
        let Some(own) = own else { return };
        let Some(answer) = self.contribute_value(keeper, &own.value).await else { return };
        let (state, news) = self.judge(keeper, answer, root_key);
        if news {
            self.find_other_key().await;
        }
        match state {
            away @ (ShareState::Unreachable(_) | ShareState::Untold(_) | ShareState::Unknown) => {
                self.contributions.count("unreachable");
                keeper.note(away);
            }
            kept @ (ShareState::Good | ShareState::Unjudged) => {
                self.contributions.count("kept");
                tracing::info!(keeper = %keeper.index, url = %keeper.url, "gave a Keeper its share");
                keeper.note_given(&kept);
            }
            instead => {
                self.contributions.count("forgotten");
                keeper.note_given(&instead);
                let what = "a Keeper said that it took its share, and does not give it back";
                warn(keeper, &instead.to_string(), what);
            }
        }
    }
}

fn warn(keeper: &Keeper, reason: &str, what: &'static str) {
    if keeper.is_news(&format!("{what}: {reason}")) {
        tracing::warn!(keeper = %keeper.index, url = %keeper.url, reason, "{what}");
    }
}
