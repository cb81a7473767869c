//! What exists before a root key is made: everything that a new key would replace. Pure.

use spike_wire::{DataKind, SurveyResponse};

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
    /// It has one, made from shares.
    HoldsKey,
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
        self.found_data() || self.filled().next().is_some()
    }

    /// Whether a Nexus without a key may still get one from the Keepers.
    pub(crate) fn may_come_up(&self) -> bool {
        let may_help = |(_, slot): &(Keeper, Slot)| *slot != Slot::Empty;
        matches!(self.nexus, NexusState::Sealed(_)) && self.keepers.iter().any(may_help)
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

    /// What was found, a line each.
    pub(crate) fn findings(&self) -> Vec<String> {
        let mut lines = vec![self.about_nexus()];
        lines.extend(self.response().and_then(about_data));
        lines.extend(self.keepers.iter().filter_map(|(keeper, slot)| match slot {
            Slot::Filled => Some(format!("{keeper} holds a share of a root key")),
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
            NexusState::HoldsKey | NexusState::NeedsNone => {
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
            NexusState::Sealed(told) => told.as_deref(),
            NexusState::HoldsKey | NexusState::NeedsNone | NexusState::Stopped(_) => None,
        }
    }
}

fn about_data(told: &SurveyResponse) -> Option<String> {
    let what = match told.data {
        DataKind::None => return None,
        DataKind::Ours => "holds a database",
        DataKind::Upstream => "holds a database of upstream's SPIKE",
        DataKind::Unreadable => "cannot be read, and may hold a database",
    };
    let directory = told.directory.as_deref().map(printable).unwrap_or_default();
    Some(format!("its data directory {directory} {what}"))
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

/// A text from the network, safe to show on a terminal: at most 500 characters, and `?` for each control character.
pub(crate) fn printable(text: &str) -> String {
    text.chars().take(500).map(|c| if c.is_control() { '?' } else { c }).collect()
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
            detail: None,
        });
        NexusState::Sealed(Some(Box::new(SurveyResponse {
            sealed: true,
            reason: Some("the store is locked\u{1b}[2J".to_owned()),
            awaits_proof: false,
            backend: "sqlite".to_owned(),
            data,
            directory: Some("/var/lib/spike".to_owned()),
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
