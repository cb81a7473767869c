//! What exists before a root key is made: everything that a new key would replace. Pure.

use spike_domain::is_hidden;
use spike_wire::{DataKind, KeeperStatusKind, SurveyResponse};

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
    /// Every Keeper, and the content of its slot.
    pub(crate) keepers: Vec<(Keeper, Slot)>,
}

/// What Nexus says about the root key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NexusState {
    /// It has one, made from shares. `None` from upstream's Nexus, which says no more.
    HoldsKey(Option<Box<SurveyResponse>>),
    /// On the memory backend it makes its own and needs no other.
    NeedsNone,
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
        Self { url: url.to_owned(), keepers: keepers.collect(), nexus }
    }

    /// Whether a share or data was found.
    pub(crate) fn found_something(&self) -> bool {
        self.found_data() || self.fed() > 0 || self.filled().next().is_some()
    }

    /// Whether Nexus has a key without data: an earlier run was ended before Nexus proved it, or the data is missing.
    pub(crate) fn awaits_proof(&self) -> bool {
        self.response().is_some_and(|told| told.awaits_proof)
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
        lines
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
            NexusState::HoldsKey(_) | NexusState::NeedsNone => {
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
            NexusState::Sealed(told) | NexusState::HoldsKey(told) => told.as_deref(),
            NexusState::NeedsNone | NexusState::Stopped(_) => None,
        }
    }
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
    Some(format!("its data directory {directory} {what}{}", doubt.unwrap_or_default()))
}

fn about_fed(told: &SurveyResponse) -> Option<String> {
    let words = match told.fed {
        0 => return None,
        1 => "one recovery share that an operator has fed".to_owned(),
        many => format!("{many} recovery shares that an operator has fed"),
    };
    Some(format!("it holds {words}: a restore of another key is under way"))
}

/// How Nexus knows this Keeper in another way that cannot be right: under another index; or it has another address there,
/// at which nobody answers. One Keeper may have two names.
fn told_otherwise(keeper: &Keeper, told: &SurveyResponse) -> Option<String> {
    let elsewhere = told.keepers.iter().find(|known| keeper.is_at(&known.url));
    match elsewhere {
        Some(known) if keeper.index() == known.index => None,
        Some(known) => Some(format!(
            "{keeper} is the one that Nexus has as Keeper {}: is SPIKE_NEXUS_KEEPER_PEERS in the same order?",
            known.index
        )),
        None => {
            let known = told.keepers.iter().find(|known| known.index == keeper.index())?;
            let away = [KeeperStatusKind::Unreachable, KeeperStatusKind::Unusable];
            away.contains(&known.state).then(|| {
                let detail =
                    known.detail.as_deref().map(|detail| format!(": {}", printable(detail)));
                format!(
                    "{keeper} has the address {} at Nexus, which cannot use it{}",
                    printable(&known.url),
                    detail.unwrap_or_default()
                )
            })
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
mod tests {
    use spike_wire::{KeeperStatus, KeeperStatusKind};

    use super::*;

    fn keeper(index: u16) -> Keeper {
        Keeper::at(index, &format!("https://keeper-{index}:8443"))
    }

    fn told(data: DataKind, states: &[KeeperStatusKind]) -> NexusState {
        let keepers = (1..).zip(states).map(|(index, state)| KeeperStatus {
            index,
            url: format!("https://keeper-{index}:8443"),
            state: *state,
            since: String::new(),
            looked: None,
            failures: 0,
            version: None,
            started: None,
            detail: None,
        });
        NexusState::Sealed(Some(Box::new(SurveyResponse {
            sealed: true,
            reason: Some("the store is locked\u{1b}[2J".to_owned()),
            sealed_by: None,
            awaits_proof: false,
            backend: "sqlite".to_owned(),
            data,
            doubt: None,
            directory: Some("/var/lib/spike".to_owned()),
            fed: 0,
            threshold: 2,
            keepers: keepers.collect(),
        })))
    }

    #[test]
    fn nexus_tells_of_the_shares_of_keepers_that_do_not_tell_themselves() {
        use KeeperStatusKind::{Empty, Unjudged, Unreachable};
        let own = vec![
            (keeper(1), Slot::Unknown),
            (keeper(2), Slot::Unknown),
            (keeper(3), Slot::Unknown),
            (keeper(4), Slot::Filled),
        ];
        let nexus = told(DataKind::None, &[Unjudged, Empty, Unreachable, Empty]);
        let survey = Survey::new("https://nexus", nexus, own.clone());
        let slots: Vec<Slot> = survey.keepers.iter().map(|(_, slot)| *slot).collect();
        assert_eq!(slots, [Slot::Filled, Slot::Empty, Slot::Unknown, Slot::Filled]);
        assert!(survey.found_something() && survey.may_come_up() && !survey.found_data());
        assert_eq!(survey.gaps().len(), 1);

        let survey = Survey::new("https://nexus", NexusState::Sealed(None), own);
        assert_eq!(survey.filled().count(), 1);
        assert_eq!(survey.gaps().len(), 4);
    }

    #[test]
    fn every_finding_is_named_and_the_terminal_is_safe() {
        let own = vec![(keeper(1), Slot::Filled), (keeper(2), Slot::Empty)];
        let survey = Survey::new("https://nexus", told(DataKind::Upstream, &[]), own);
        assert_eq!(
            survey.findings(),
            [
                "Nexus at https://nexus is sealed: the store is locked?[2J",
                "its data directory /var/lib/spike holds a database of upstream's SPIKE",
                "Keeper 1 at https://keeper-1:8443 holds a share of a root key",
                "Keeper 2 at https://keeper-2:8443 holds no share",
            ]
        );
    }

    /// The shares that an operator had fed counted as nothing, and a new key was made in the middle of a restore.
    #[test]
    fn recovery_shares_that_were_fed_are_something_and_are_named() {
        let own = vec![(keeper(1), Slot::Empty), (keeper(2), Slot::Empty)];
        let nexus = br#"{"sealed":true,"data":"none","backend":"lite","fed":1}"#;
        let nexus = SurveyResponse::decode(nexus).unwrap();
        let nexus = NexusState::Sealed(Some(Box::new(nexus)));
        let survey = Survey::new("https://nexus", nexus, own);
        assert!(survey.found_something() && !survey.found_data() && !survey.may_come_up());
        let found = survey.findings().concat();
        assert!(found.contains("one recovery share that an operator has fed"), "{found}");
    }

    /// A key was made and given to the Keepers, and only then did Nexus find no key in their shares.
    #[test]
    fn settings_of_nexus_that_differ_are_named_with_both_values() {
        use KeeperStatusKind::{Empty, Unreachable};
        let own = |indexes: &[u16]| {
            let each = (1..).zip(indexes).map(|(index, at)| {
                (Keeper::at(index, &format!("https://keeper-{at}:8443")), Slot::Empty)
            });
            each.collect::<Vec<_>>()
        };
        let differs = |states: &[KeeperStatusKind], indexes: &[u16], threshold| {
            let nexus = told(DataKind::None, states);
            Survey::new("https://nexus", nexus, own(indexes)).disagreements(threshold).join("; ")
        };
        assert_eq!(differs(&[Empty, Empty, Empty], &[1, 2, 3], 2), "");
        let threshold = differs(&[Empty, Empty, Empty], &[1, 2, 3], 3);
        assert_eq!(threshold, "SPIKE_NEXUS_SHAMIR_THRESHOLD is 3 here, and 2 at Nexus");
        let count = differs(&[Empty, Empty, Empty], &[1, 2], 2);
        assert_eq!(count, "SPIKE_NEXUS_KEEPER_PEERS names 2 Keepers here, and 3 at Nexus");
        let order = differs(&[Empty, Empty, Empty], &[2, 1, 3], 2);
        assert!(
            order.contains("https://keeper-2:8443 is the one that Nexus has as Keeper 2"),
            "{order}"
        );
        // One Keeper may have two names, as long as Nexus can use the one that it has.
        assert_eq!(differs(&[Empty, Empty, Empty], &[1, 2, 9], 2), "");
        let lost = differs(&[Empty, Empty, Unreachable], &[1, 2, 9], 2);
        assert!(lost.contains("has the address https://keeper-3:8443 at Nexus"), "{lost}");
    }

    #[test]
    fn an_older_nexus_that_does_not_say_how_it_is_configured_disagrees_about_nothing() {
        let nexus = SurveyResponse::decode(br#"{"sealed":true,"data":"none"}"#).unwrap();
        let nexus = NexusState::Sealed(Some(Box::new(nexus)));
        let survey = Survey::new("https://nexus", nexus, vec![(keeper(1), Slot::Empty)]);
        assert_eq!((survey.disagreements(2), survey.fed()), (Vec::new(), 0));
    }

    #[test]
    fn an_answer_that_does_not_say_what_is_there_counts_as_data() {
        let nexus = SurveyResponse::decode(br#"{"sealed":true}"#).unwrap();
        let nexus = NexusState::Sealed(Some(Box::new(nexus)));
        assert!(Survey::new("https://nexus", nexus, Vec::new()).found_data());
    }

    #[test]
    fn empty_keepers_cannot_bring_nexus_up() {
        let own = vec![(keeper(1), Slot::Empty), (keeper(2), Slot::Empty)];
        let survey = Survey::new("https://nexus", told(DataKind::Ours, &[]), own);
        assert!(!survey.may_come_up() && survey.found_something());
    }
}
