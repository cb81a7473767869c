//! Which key comes into use where there is no data to check it: on lite, and for a new store that the operator permits.
//!
//! There, the Keepers are all the evidence. Nexus hears every one of them before it takes a key, or waits for a bounded time, and
//! takes none that a share speaks against.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use spike_crypto::{Fingerprint, Quorum, RootKey, Share, ShareIndex, derivation_of};
use tokio::{sync::watch, time::Instant};

use super::{Candidates, Keepers, ShareState, collect::of_another_threshold, keeper::Keeper};
use crate::keys::seal::Hindrance;

/// How long Nexus waits for Keepers that do not answer. One that hangs is given up twice in this time.
const HEARD_WITHIN: Duration = Duration::from_secs(10);

/// How often Nexus looks whether the Keepers have changed while it waits for them.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// What a Keeper shows of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// It holds a share.
    Holds,
    /// It answers, and holds nothing.
    Empty,
    /// It does not show what it holds.
    Silent,
}

impl From<&ShareState> for Shown {
    fn from(state: &ShareState) -> Self {
        match state {
            ShareState::Unknown | ShareState::Unreachable(_) | ShareState::Untold(_) => {
                Self::Silent
            }
            ShareState::Empty | ShareState::Unusable(_) => Self::Empty,
            ShareState::Unjudged
            | ShareState::Good
            | ShareState::Misplaced
            | ShareState::Foreign
            | ShareState::Forgetful(_)
            | ShareState::Repeated { .. } => Self::Holds,
        }
    }
}

/// What the Keepers together say of the keys that their shares make.
#[derive(Debug)]
enum Evidence {
    /// Nothing speaks against this key. These Keepers were not heard.
    Agreed(Candidates, Vec<ShareIndex>),
    /// The shares are not of one key.
    Contradicted(String),
}

/// Judges the keys that `shares` make. A share counts against a key only while its Keeper may still hold it: whoever restarts a
/// Keeper has given its share up. It counts for a key all the same, because this process may hold the last copy.
fn judge(
    shares: &[Share],
    found: Candidates,
    seen: &[(ShareIndex, Shown)],
    quorum: Quorum,
) -> Evidence {
    let shown_by = |index: ShareIndex| seen.iter().find(|(of, _)| *of == index).map(|(_, it)| *it);
    let held: Vec<Share> = shares
        .iter()
        .filter(|share| shown_by(share.index) != Some(Shown::Empty))
        .map(Share::duplicate)
        .collect();
    let candidates = Candidates::find(&held, quorum).unwrap_or(found);
    if candidates.ambiguous() || !candidates.mismatched().is_empty() {
        return Evidence::Contradicted(contradiction(shares, candidates, quorum));
    }
    let was_heard = |index: ShareIndex| shares.iter().any(|share| share.index == index);
    let unheard = seen.iter().filter(|(of, shown)| *shown == Shown::Silent && !was_heard(*of));
    Evidence::Agreed(candidates, unheard.map(|(of, _)| *of).collect())
}

/// Which Keepers hold which key, and what a person can do.
fn contradiction(shares: &[Share], candidates: Candidates, quorum: Quorum) -> String {
    if quorum.threshold() == 1 {
        let lowered = of_another_threshold(shares, quorum).unwrap_or_else(|| LOWERED.to_owned());
        return format!(
            "with a threshold of 1 each share is a whole key, and the shares of Keepers {} do not belong together{lowered} There is no data that \
             shows which is right, so Nexus takes none",
            listed(shares.iter().map(|share| share.index))
        );
    }
    let keys: Vec<RootKey> = candidates.into_keys().collect();
    let is_of =
        |key: &RootKey, share: &Share| derivation_of(key, quorum.threshold(), share).is_some();
    let mut groups: Vec<String> = keys
        .iter()
        .map(|key| {
            let of = shares.iter().filter(|share| is_of(key, share)).map(|share| share.index);
            format!("Keepers {} hold key {}", listed(of), key.fingerprint())
        })
        .collect();
    groups.sort_unstable();
    let is_stray = |share: &&Share| !keys.iter().any(|key| is_of(key, share));
    let stray = listed(shares.iter().filter(is_stray).map(|share| share.index));
    if !stray.is_empty() {
        groups.push(format!("the share of Keeper {stray} belongs to none of these"));
    }
    format!(
        "the Keepers hold shares of several keys, and there is no data that shows which is right, so Nexus takes none: {}. If some of them \
         belong to another deployment, correct SPIKE_NEXUS_KEEPER_PEERS, and restart Nexus; or feed recovery shares of the right key; or, \
         if the other key is needed nowhere, restart the Keepers that hold it: they come back empty",
        groups.join("; ")
    )
}

/// In place of the threshold that would fit.
const LOWERED: &str =
    ". SPIKE_NEXUS_SHAMIR_THRESHOLD is probably lower than at bootstrap: set it to what it was.";

fn listed(indexes: impl Iterator<Item = ShareIndex>) -> String {
    let mut indexes: Vec<ShareIndex> = indexes.collect();
    indexes.sort_unstable();
    let indexes: Vec<String> = indexes.iter().map(ToString::to_string).collect();
    indexes.join(", ")
}

/// A key that is not in use yet although the shares make it.
#[derive(Debug, Default)]
pub(super) struct Unproved {
    /// What the Keepers showed when it was judged; `None` while none waits.
    judged: watch::Sender<Option<Vec<(ShareIndex, Shown)>>>,
    /// The key, and since when Nexus waits for Keepers that were not heard.
    waits: Mutex<Option<(Fingerprint, Instant)>>,
}

impl Unproved {
    /// When the wait of this key began.
    fn since(&self, key: Fingerprint) -> Instant {
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        let known = waits.filter(|(of, _)| *of == key);
        waits.insert(known.unwrap_or_else(|| (key, Instant::now()))).1
    }

    fn is_over(&self) -> bool {
        let waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        waits.is_some_and(|(_, since)| since.elapsed() >= HEARD_WITHIN)
    }
}

impl Keepers {
    /// The candidates that may come into use without data to check them, or why none may yet.
    pub(super) async fn heard(
        &self,
        shares: Vec<Share>,
        found: Candidates,
    ) -> Result<Candidates, (Hindrance, String)> {
        let (seen, quorum) = (self.seen(), self.quorum);
        let judged = seen.clone();
        let evidence =
            tokio::task::spawn_blocking(move || judge(&shares, found, &judged, quorum)).await;
        let (candidates, unheard) = match evidence {
            Ok(Evidence::Agreed(candidates, unheard)) => (candidates, unheard),
            Ok(Evidence::Contradicted(reason)) => {
                self.unproved.judged.send_replace(Some(seen));
                if self.is_news(&reason) {
                    tracing::error!(reason, "the Keepers' shares are not of one key");
                }
                return Err((Hindrance::Mismatch, reason));
            }
            Err(_) => {
                return Err((Hindrance::Shares, "the shares were not judged: a bug".to_owned()));
            }
        };
        let Some(key) = candidates.first().map(RootKey::fingerprint) else { return Ok(candidates) };
        if unheard.is_empty() {
            return Ok(candidates);
        }
        let since = self.unproved.since(key);
        let silent = self.named(&unheard);
        if since.elapsed() >= HEARD_WITHIN {
            tracing::warn!(
                %key, silent,
                "there is no data to check the root key, and these Keepers did not answer: it is taken without them"
            );
            return Ok(candidates);
        }
        self.unproved.judged.send_replace(Some(seen));
        Err((
            Hindrance::Shares,
            format!(
                "the shares make key {key}, and there is no data to check it: Nexus waits for {silent}, at most {} s",
                HEARD_WITHIN.as_secs()
            ),
        ))
    }

    /// Judges the shares again once a Keeper has changed, or once Nexus has waited long enough.
    pub(super) async fn judge_again(&self) {
        let mut judged = self.unproved.judged.subscribe();
        let mut was_over = false;
        while judged.wait_for(Option::is_some).await.is_ok() {
            tokio::time::sleep(LOOK_PAUSE).await;
            let has_changed = judged.borrow().as_ref().is_some_and(|seen| *seen != self.seen());
            let is_over = self.unproved.is_over();
            if has_changed || (is_over && !was_over) {
                self.unproved.judged.send_replace(None);
                self.attempt().await;
            }
            was_over = is_over;
        }
    }

    /// What every Keeper shows.
    fn seen(&self) -> Vec<(ShareIndex, Shown)> {
        let shown = |keeper: &Keeper| Shown::from(&keeper.state().share);
        self.each.iter().map(|keeper| (keeper.index, shown(keeper))).collect()
    }

    /// The Keepers that have not shown what they hold since `begun`.
    pub(super) fn silent_since(&self, begun: Instant) -> Vec<ShareIndex> {
        let is_silent = |keeper: &&Keeper| {
            keeper.looked_at().is_none_or(|at| at < begun)
                || Shown::from(&keeper.state().share) == Shown::Silent
        };
        self.each.iter().filter(is_silent).map(|keeper| keeper.index).collect()
    }

    /// These Keepers, with their addresses.
    pub(super) fn named(&self, indexes: &[ShareIndex]) -> String {
        let named = self.each.iter().filter(|keeper| indexes.contains(&keeper.index));
        let named: Vec<String> =
            named.map(|keeper| format!("Keeper {} at {}", keeper.index, keeper.url)).collect();
        named.join(", ")
    }
}

#[cfg(test)]
mod tests;
