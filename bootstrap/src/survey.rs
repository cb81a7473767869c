//! What exists before a root key is made: everything that a new key would replace. Pure.

use spike_domain::is_hidden;
use spike_wire::{DataKind, KeeperStatus, KeeperStatusKind, SealedBy, SurveyResponse};

use crate::{
    deliver::{Keeper, Slot},
    retry::GaveUp,
};

/// The answers of Nexus and of the Keepers.
#[derive(Clone, Debug)]
pub(crate) struct Survey {
    /// The address of Nexus.
    pub(crate) url: String,
    /// Its answer.
    pub(crate) nexus: NexusState,
    /// Every Keeper, and the content of its slot. Beside a Nexus that needs no Keepers only those that answer.
    pub(crate) keepers: Vec<(Keeper, Slot)>,
    /// The Keepers that are one process under two addresses, a line each.
    pub(crate) repeated: Vec<String>,
}

/// What Nexus says about the root key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NexusState {
    /// It has one, made from shares. `None` from upstream's Nexus, which says no more.
    HoldsKey(Option<Box<SurveyResponse>>),
    /// On the memory backend it makes its own and needs no other.
    NeedsNone(Option<Box<SurveyResponse>>),
    /// It has none and waits for shares. `None` from upstream's Nexus, which says no more.
    Sealed(Option<Box<SurveyResponse>>),
    /// Nothing listens at its address; with the attempts that were made.
    Stopped(GaveUp),
}

impl Survey {
    /// Joins the answer of each Keeper with what Nexus knows about it. Either may know about a share.
    pub(crate) fn new(url: &str, nexus: NexusState, own: Vec<(Keeper, Slot)>) -> Self {
        let keepers = own.into_iter().map(|(keeper, slot)| {
            let slot =
                if slot == Slot::Unknown { slot_seen_by_nexus(&nexus, &keeper) } else { slot };
            (keeper, slot)
        });
        let (url, repeated) = (url.to_owned(), Vec::new());
        Self { url, keepers: keepers.collect(), nexus, repeated }
    }

    /// Whether a key, a share or data was found, at Keepers of this run or at those of Nexus. A key that waits at Nexus for its
    /// proof may be the only copy, after its Keepers were restarted.
    pub(crate) fn found_something(&self) -> bool {
        self.found_data()
            || self.awaits_proof()
            || self.holds_key()
            || self.fed() > 0
            || self.filled().next().is_some()
            || self.shares_elsewhere().next().is_some()
    }

    /// The shares that Nexus sees at Keepers which are not those of this run, a line each.
    pub(crate) fn shares_elsewhere(&self) -> impl Iterator<Item = String> {
        let holds = |known: &&KeeperStatus| known.state.holds_share() == Some(true);
        let told = self.response().into_iter().flat_map(|told| &told.keepers);
        told.filter(holds).filter(|known| !self.knows(&known.url)).map(|known| {
            let url = printable(&known.url);
            format!("Keeper {} of Nexus, at {url}, holds a share of a root key", known.index)
        })
    }

    /// The Keepers of this run that Nexus, which has its key, does not have under their addresses, a line each: it is the Nexus of
    /// another deployment, or its key does not reach them. A Nexus that names no addresses is one of other Keepers if all of
    /// those of this run are empty.
    pub(crate) fn keepers_of_another(&self) -> Vec<String> {
        let unknown: Vec<String> = match &self.nexus {
            NexusState::NeedsNone(_) | NexusState::Sealed(_) | NexusState::Stopped(_) => {
                return Vec::new();
            }
            NexusState::HoldsKey(Some(told)) if !told.keepers.is_empty() => {
                let is_unknown =
                    |keeper: &Keeper| !told.keepers.iter().any(|it| keeper.is_at(&it.url));
                let unknown = self.keepers.iter().filter(|(keeper, _)| is_unknown(keeper));
                unknown.map(|(keeper, slot)| format!("{keeper}{}", slot.in_words())).collect()
            }
            NexusState::HoldsKey(_) => {
                let all_empty = self.keepers.iter().all(|(_, slot)| *slot == Slot::Empty);
                let each = self.keepers.iter().filter(|_| all_empty);
                return each.map(|(keeper, slot)| format!("{keeper}{}", slot.in_words())).collect();
            }
        };
        let at_nexus = |known: &KeeperStatus| {
            format!("Keeper {} of Nexus is at {}", known.index, printable(&known.url))
        };
        let told = self.response().into_iter().flat_map(|told| &told.keepers);
        let others =
            told.filter(|known| !unknown.is_empty() && !self.knows(&known.url)).map(at_nexus);
        unknown.iter().cloned().chain(others).collect()
    }

    /// Whether a Keeper of this run has this address.
    fn knows(&self, url: &str) -> bool {
        self.keepers.iter().any(|(keeper, _)| keeper.is_at(url))
    }

    /// Whether Nexus has a key without data: an earlier run was ended before Nexus proved it, or the data is missing.
    pub(crate) fn awaits_proof(&self) -> bool {
        self.response().is_some_and(|told| told.awaits_proof)
    }

    /// Whether Nexus has a whole key from Keepers that it cannot use, and the Keepers hold too few shares to rebuild it.
    pub(crate) fn is_last_copy_at_nexus(&self, threshold: u16) -> bool {
        match self.response() {
            Some(told) if told.holds_key => told.last_copy,
            _ => self.holds_key_unused() && self.filled().count() < usize::from(threshold),
        }
    }

    /// Whether Nexus has a whole key from Keepers that it cannot use. One of an earlier release does not say so, and there it shows
    /// in the rest of its answer.
    pub(crate) fn holds_key_unused(&self) -> bool {
        let by = self.response().and_then(|told| told.sealed_by);
        let has_key = matches!(by, Some(SealedBy::NoData | SealedBy::OtherKey | SealedBy::Store));
        self.holds_key() || (self.fed() == 0 && (has_key || self.awaits_proof()))
    }

    fn holds_key(&self) -> bool {
        self.response().is_some_and(|told| told.holds_key)
    }

    /// Recovery shares that operators have fed to Nexus, and that are not in use yet.
    pub(crate) fn fed(&self) -> u16 {
        self.response().map_or(0, |told| told.fed)
    }

    /// What Nexus and this process are configured with and do not agree about, a line each: a key that is split in one way and
    /// collected in another is never found again.
    pub(crate) fn disagreements(&self, threshold: u16) -> Vec<String> {
        let Some(told) = self.response() else { return Vec::new() };
        let mut lines = Vec::new();
        if told.threshold != 0 && told.threshold != threshold {
            lines.push(format!(
                "SPIKE_NEXUS_SHAMIR_THRESHOLD is {threshold} here, and {} at Nexus",
                told.threshold
            ));
        }
        let (own, other) = (self.keepers.len(), told.keepers.len());
        if other != 0 && own != other {
            lines.push(format!(
                "SPIKE_NEXUS_KEEPER_PEERS names {own} Keepers here, and {other} at Nexus"
            ));
        }
        lines.extend(self.keepers.iter().filter_map(|(keeper, _)| told_otherwise(keeper, told)));
        lines
    }

    /// Whether a Nexus without a key may still get one from the Keepers.
    pub(crate) fn may_come_up(&self) -> bool {
        let may_help = |(_, slot): &(Keeper, Slot)| *slot != Slot::Empty;
        matches!(self.nexus, NexusState::Sealed(_)) && self.keepers.iter().any(may_help)
    }

    /// Whether Nexus has a root key that was made from shares.
    pub(crate) const fn is_live(&self) -> bool {
        matches!(self.nexus, NexusState::HoldsKey(_))
    }

    /// Whether nothing listens at the address of Nexus.
    pub(crate) const fn is_stopped(&self) -> bool {
        matches!(self.nexus, NexusState::Stopped(_))
    }

    /// Whether the Keepers may hold enough shares to rebuild a key.
    pub(crate) fn may_rebuild(&self, threshold: u16) -> bool {
        let held = self.keepers.iter().filter(|(_, slot)| *slot != Slot::Empty).count();
        held >= usize::from(threshold)
    }

    /// Whether there is data, or may be.
    pub(crate) fn found_data(&self) -> bool {
        self.response().is_some_and(|told| told.data != DataKind::None)
    }

    /// The Keepers that hold a share.
    pub(crate) fn filled(&self) -> impl Iterator<Item = &Keeper> {
        self.keepers.iter().filter(|(_, slot)| *slot == Slot::Filled).map(|(keeper, _)| keeper)
    }

    /// The shares that were found at Keepers, a line each.
    pub(crate) fn shares(&self) -> impl Iterator<Item = String> {
        self.filled().map(share_at)
    }

    /// What was found, a line each.
    pub(crate) fn findings(&self) -> Vec<String> {
        let mut lines = vec![self.about_nexus()];
        lines.extend(self.response().and_then(about_data));
        lines.extend(self.response().and_then(about_fed));
        lines.extend(self.keepers.iter().filter_map(|(keeper, slot)| match slot {
            Slot::Filled => Some(share_at(keeper)),
            Slot::Empty => Some(format!("{keeper} holds no share")),
            Slot::Unknown => None,
        }));
        lines.extend(self.shares_elsewhere());
        lines.extend(self.repeated.iter().cloned());
        lines
    }

    /// Whether a database was found that Nexus does not use, because its backend stores nothing.
    pub(crate) fn found_unused_data(&self) -> bool {
        self.found_data() && self.response().is_some_and(uses_no_data)
    }

    /// The same in words.
    pub(crate) fn unused_data(&self) -> Option<String> {
        self.response().filter(|told| uses_no_data(told)).and_then(about_data)
    }

    /// What is unknown, a line each.
    pub(crate) fn gaps(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if matches!(self.nexus, NexusState::Sealed(None)) {
            lines.push(format!(
                "Nexus at {} does not say what lies in its data directory: it is upstream's, or an earlier release",
                self.url
            ));
        }
        let silent = self.keepers.iter().filter(|(_, slot)| *slot == Slot::Unknown);
        lines.extend(silent.map(|(keeper, _)| {
            format!("{keeper} does not say whether it holds a share; upstream's Keepers never do")
        }));
        lines
    }

    /// The data directory, if Nexus named one.
    pub(crate) fn directory(&self) -> Option<String> {
        self.response().and_then(|told| told.directory.as_deref()).map(printable)
    }

    fn about_nexus(&self) -> String {
        let url = &self.url;
        match &self.nexus {
            NexusState::HoldsKey(_) | NexusState::NeedsNone(_) => {
                format!("Nexus at {url} runs and has a root key")
            }
            NexusState::Stopped(gave_up) => format!(
                "Nexus at {url} does not run, or cannot be reached, so nobody says what lies in its data directory: {gave_up}"
            ),
            NexusState::Sealed(told) => {
                let reason = told.as_ref().and_then(|told| told.reason.as_deref());
                let reason = reason.map(|reason| format!(": {}", printable(reason)));
                format!("Nexus at {url} is sealed{}", reason.unwrap_or_default())
            }
        }
    }

    fn response(&self) -> Option<&SurveyResponse> {
        match &self.nexus {
            NexusState::Sealed(told) | NexusState::HoldsKey(told) | NexusState::NeedsNone(told) => {
                told.as_deref()
            }
            NexusState::Stopped(_) => None,
        }
    }
}

/// Whether the backend opens no database.
fn uses_no_data(told: &SurveyResponse) -> bool {
    matches!(told.backend.as_str(), "lite" | "memory")
}

fn share_at(keeper: &Keeper) -> String {
    format!("{keeper} holds a share of a root key")
}

fn about_data(told: &SurveyResponse) -> Option<String> {
    let what = match told.data {
        DataKind::None => return None,
        DataKind::Ours => "holds a database",
        DataKind::Upstream => "holds a database of upstream's SPIKE",
        DataKind::Unreadable => "may hold a database",
    };
    let directory = told.directory.as_deref().map(printable).unwrap_or_default();
    let doubt = told.doubt.as_deref().map(|why| format!(": {}", printable(why)));
    let unused = if uses_no_data(told) {
        format!(", which its {} backend does not use", told.backend)
    } else {
        String::new()
    };
    Some(format!("its data directory {directory} {what}{unused}{}", doubt.unwrap_or_default()))
}

fn about_fed(told: &SurveyResponse) -> Option<String> {
    let words = match told.fed {
        0 => return None,
        1 => "one recovery share that an operator has fed".to_owned(),
        many => format!("{many} recovery shares that an operator has fed"),
    };
    Some(format!("it holds {words}: a restore of another key is under way"))
}

/// How Nexus knows this Keeper in another way: under another index, or it has another address in its place. That may be a
/// second name of the same Keeper, or a Keeper of another deployment; nobody can tell.
fn told_otherwise(keeper: &Keeper, told: &SurveyResponse) -> Option<String> {
    let elsewhere = told.keepers.iter().find(|known| keeper.is_at(&known.url));
    match elsewhere {
        Some(known) if keeper.index() == known.index => None,
        Some(known) => Some(format!(
            "{keeper} is the one that Nexus has as Keeper {}: SPIKE_NEXUS_KEEPER_PEERS must be in the same order at both",
            known.index
        )),
        None => {
            let known = told.keepers.iter().find(|known| known.index == keeper.index())?;
            let away = [KeeperStatusKind::Unreachable, KeeperStatusKind::Unusable];
            let cannot = if away.contains(&known.state) { ", which cannot use it" } else { "" };
            let detail = known.detail.as_deref().filter(|_| !cannot.is_empty());
            let detail = detail.map(|detail| format!(": {}", printable(detail)));
            Some(format!(
                "{keeper} has the address {} at Nexus{cannot}{}",
                printable(&known.url),
                detail.unwrap_or_default()
            ))
        }
    }
}

/// What Nexus knows about the slot of the Keeper, since it asked for the share.
fn slot_seen_by_nexus(nexus: &NexusState, keeper: &Keeper) -> Slot {
    let NexusState::Sealed(Some(told)) = nexus else { return Slot::Unknown };
    let known = told.keepers.iter().find(|known| keeper.is(known.index, &known.url));
    match known.and_then(|known| known.state.holds_share()) {
        Some(true) => Slot::Filled,
        Some(false) => Slot::Empty,
        None => Slot::Unknown,
    }
}

/// No reason of Nexus is longer.
const LONGEST_REASON: usize = 1500;

/// A text from the network, safe to show on a terminal: at most [`LONGEST_REASON`] characters, and `?` for each control or hidden character.
pub(crate) fn printable(text: &str) -> String {
    let shown = |c: char| if c.is_control() || is_hidden(c) { '?' } else { c };
    let mut clipped: String = text.chars().take(LONGEST_REASON).map(shown).collect();
    if text.chars().nth(LONGEST_REASON).is_some() {
        clipped.push('\u{2026}');
    }
    clipped
}

#[cfg(test)]
mod tests;
