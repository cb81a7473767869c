//! Which key comes into use where there is no data to check it: on lite, and for a new store that the operator permits.
//!
//! There, the Keepers are all the evidence. Nexus hears every one of them before it takes a key, or waits for a bounded time, and
//! takes none that a share speaks against.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use spike_crypto::{Fingerprint, Quorum, RootKey, Share, ShareIndex};
use tokio::{sync::watch, time::Instant};

use super::{
    Candidates, Keepers, ShareState,
    collect::{WholeKey, of_another_threshold},
    held::Failed,
    keeper::Keeper,
};
use crate::keys::seal::Hindrance;

/// How long Nexus waits for Keepers that do not answer. One that hangs is given up twice in this time.
const HEARD_WITHIN: Duration = Duration::from_secs(10);

/// How often Nexus looks whether the Keepers have changed while it waits for them.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// What one Keeper shows of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    /// Its index.
    index: ShareIndex,
    /// What it holds.
    shown: Shown,
    /// The index of the first Keeper of the list that is the same process: its own, unless it is listed twice.
    process: ShareIndex,
}

/// What a Keeper holds, as far as it shows that.
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
fn judge(shares: &[Share], found: Candidates, seen: &[Seen], quorum: Quorum) -> Evidence {
    let whole = found.whole_keys(shares, quorum.threshold());
    let is_lowered = quorum.threshold() == 1 && of_another_threshold(shares, quorum).is_some();
    // Between two whole keys a person decides by restarting Keepers. Of one whose Keepers are all away nobody knows that they were not.
    let shows =
        |one: &Seen, whole: &WholeKey| one.shown == Shown::Holds && whole.of.contains(&one.index);
    let stands = |key: &&WholeKey| {
        against(shares, seen, |share| key.of.contains(&share.index)) == 0
            && (whole.len() == 1 || seen.iter().any(|one| shows(one, key)))
    };
    let mut standing = whole.iter().filter(stands).map(|whole| whole.key);
    let (Some(key), None, false) = (standing.next(), standing.next(), is_lowered) else {
        return Evidence::Contradicted(contradiction(shares, &whole, seen, quorum));
    };
    let was_heard = |index: ShareIndex| shares.iter().any(|share| share.index == index);
    let unheard = seen.iter().filter(|one| one.shown == Shown::Silent && !was_heard(one.index));
    Evidence::Agreed(found.only(key), unheard.map(|one| one.index).collect())
}

/// How many of the shares speak against a key, of which are those that `is_of` names. The share of a Keeper that is empty does not.
/// Nor does one whose process has a share of the key under another address: it holds one share, and was asked under several indexes.
pub(super) fn against(shares: &[Share], seen: &[Seen], is_of: impl Fn(&Share) -> bool) -> usize {
    let process_of = |share: &Share| {
        let one = seen.iter().find(|one| one.index == share.index);
        one.map_or(share.index, |one| one.process)
    };
    let processes: Vec<ShareIndex> =
        shares.iter().filter(|share| is_of(share)).map(process_of).collect();
    let contradicts =
        |share: &&Share| may_hold(seen, share.index) && !processes.contains(&process_of(share));
    shares.iter().filter(contradicts).count()
}

/// The shares that Keepers may still hold.
pub(super) fn still_held(shares: &[Share], seen: &[Seen]) -> Vec<Share> {
    let held = shares.iter().filter(|share| may_hold(seen, share.index));
    held.map(Share::duplicate).collect()
}

fn may_hold(seen: &[Seen], index: ShareIndex) -> bool {
    !seen.iter().any(|one| one.index == index && one.shown == Shown::Empty)
}

/// Which Keepers hold which key, and what a person can do.
fn contradiction(shares: &[Share], whole: &[WholeKey], seen: &[Seen], quorum: Quorum) -> String {
    if quorum.threshold() == 1 {
        let lowered = of_another_threshold(shares, quorum).map(|(told, _)| told);
        return format!(
            "with a threshold of 1 each share is a whole key, and the shares of Keepers {} do not belong together{} There is no data that \
             shows which is right, so Nexus takes none",
            listed(shares.iter().map(|share| share.index)),
            lowered.unwrap_or_else(|| LOWERED.to_owned())
        );
    }
    let mut groups: Vec<String> = whole.iter().map(|whole| group(whole, seen)).collect();
    groups.sort_unstable();
    let is_stray = |index: &ShareIndex| {
        may_hold(seen, *index) && !whole.iter().any(|whole| whole.of.contains(index))
    };
    let stray = listed(shares.iter().map(|share| share.index).filter(is_stray));
    if !stray.is_empty() {
        groups.push(format!("the share of Keeper {stray} belongs to none of these"));
    }
    let decide = if shares.iter().all(|share| !may_hold(seen, share.index)) {
        "since no Keeper holds a share any more, nothing else decides".to_owned()
    } else if whole.len() > 1 {
        "if one of the keys is needed nowhere, restart all Keepers that hold it: they come back empty".to_owned()
    } else {
        format!(
            "if what Keeper {stray} holds is needed nowhere, restart it: it comes back empty, and Nexus takes the key of the others. These get \
             their shares back if they are restarted"
        )
    };
    format!(
        "the Keepers hold shares of several keys, and there is no data that shows which is right, so Nexus takes none: {}. If some of them \
         belong to another deployment, correct SPIKE_NEXUS_KEEPER_PEERS, and restart Nexus; or feed recovery shares of the right key; or, \
         {decide}",
        groups.join("; ")
    )
}

/// Which Keepers hold shares of a key, and which have come back without theirs.
fn group(WholeKey { key, of, .. }: &WholeKey, seen: &[Seen]) -> String {
    let (held, lost): (Vec<_>, Vec<_>) = of.iter().copied().partition(|it| may_hold(seen, *it));
    match (held.is_empty(), lost.is_empty()) {
        (_, true) => format!("Keepers {} hold key {key}", listed(held.into_iter())),
        (true, false) => {
            format!("Keepers {} had key {key}, and are empty", listed(lost.into_iter()))
        }
        (false, false) => format!(
            "Keepers {} hold key {key}, and Keepers {}, which had shares of it, are empty",
            listed(held.into_iter()),
            listed(lost.into_iter())
        ),
    }
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

/// Shares that put no key to use yet, by what the Keepers showed.
#[derive(Debug, Default)]
pub(super) struct Unproved {
    /// What the Keepers showed when the shares were judged; `None` if the judgement does not depend on it.
    judged: watch::Sender<Option<Vec<Seen>>>,
    /// The key, and since when Nexus waits for Keepers that were not heard.
    waits: Mutex<Option<(Fingerprint, Instant)>>,
}

impl Unproved {
    /// The shares are judged again once the Keepers show something else than this.
    pub(super) fn watch(&self, seen: Option<Vec<Seen>>) {
        self.judged.send_replace(seen);
    }

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
    /// The candidates that may come into use without data to check them, with what is left of the whole keys `held`; or why none may
    /// yet.
    pub(super) async fn heard(
        &self,
        shares: Vec<Share>,
        found: Candidates,
        mut held: Vec<WholeKey>,
        seen: Vec<Seen>,
    ) -> Result<(Candidates, Vec<WholeKey>), Failed> {
        let (judged, quorum) = (seen.clone(), self.quorum);
        let evidence =
            tokio::task::spawn_blocking(move || judge(&shares, found, &judged, quorum)).await;
        let (candidates, unheard) = match evidence {
            Ok(Evidence::Agreed(candidates, unheard)) => (candidates, unheard),
            Ok(Evidence::Contradicted(reason)) => {
                self.unproved.watch(Some(seen));
                if self.is_news(&reason) {
                    tracing::error!(reason, "the Keepers' shares are not of one key");
                }
                // A Keeper whose share speaks against another whole key gets nothing back: a person decides by restarting it.
                let is_given_back = held.len() == 1;
                let failed = Failed::holding(held, Hindrance::Mismatch, reason);
                return Err(Failed { is_given_back, ..failed });
            }
            Err(_) => {
                let reason = "the shares were not judged: a bug".to_owned();
                return Err(Failed::holding(held, Hindrance::Shares, reason));
            }
        };
        let Some(key) = candidates.first().map(RootKey::fingerprint) else {
            return Ok((candidates, held));
        };
        self.decide(&held, key);
        held.retain(|whole| whole.key == key);
        if unheard.is_empty() {
            return Ok((candidates, held));
        }
        let since = self.unproved.since(key);
        let silent = self.named(&unheard);
        if since.elapsed() >= HEARD_WITHIN {
            tracing::warn!(
                %key, silent,
                "there is no data to check the root key, and these Keepers did not answer: it is taken without them"
            );
            return Ok((candidates, held));
        }
        self.unproved.watch(Some(seen));
        let reason = format!(
            "the shares make key {key}, and there is no data to check it: Nexus waits for {silent}, at most {} s",
            HEARD_WITHIN.as_secs()
        );
        Err(Failed::holding(held, Hindrance::Shares, reason))
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
    pub(super) fn seen(&self) -> Vec<Seen> {
        let seen = |keeper: &Keeper| Seen {
            index: keeper.index,
            shown: Shown::from(&keeper.state().share),
            process: self.repeats(keeper).map_or(keeper.index, |same| same.index),
        };
        self.each.iter().map(seen).collect()
    }

    /// The same for a key from elsewhere: a share of a whole key that only Nexus may have counts as if its Keeper held it.
    pub(super) fn seen_or_held(&self) -> Vec<Seen> {
        let mut seen = self.seen();
        for one in seen.iter_mut().filter(|one| self.is_held(one.index)) {
            one.shown = Shown::Holds;
        }
        seen
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
