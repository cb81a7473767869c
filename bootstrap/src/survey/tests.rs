use super::*;

fn keeper(index: u16) -> Keeper {
    Keeper::at(index, &format!("https://keeper-{index}:8443"))
}

fn told(data: DataKind, states: &[KeeperStatusKind]) -> NexusState {
    let keepers = (1..).zip(states).map(|(index, state)| KeeperStatus {
        index,
        url: format!("https://keeper-{index}:8443"),
        state: *state,
        ..KeeperStatus::default()
    });
    NexusState::Sealed(Some(Box::new(SurveyResponse {
        sealed: true,
        reason: Some("the store is locked\u{1b}[2J".to_owned()),
        sealed_by: None,
        holds_key: false,
        last_copy: false,
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
    // Another Keeper that Nexus can use was taken for the same one under another name.
    let other = differs(&[Empty, Empty, Empty], &[1, 2, 9], 2);
    assert_eq!(
        other,
        "Keeper 3 at https://keeper-9:8443 has the address https://keeper-3:8443 at Nexus"
    );
    let lost = differs(&[Empty, Empty, Unreachable], &[1, 2, 9], 2);
    assert!(lost.contains("https://keeper-3:8443 at Nexus, which cannot use it"), "{lost}");
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

/// They were looked for at the Keepers of this run alone.
#[test]
fn shares_at_keepers_that_nexus_alone_knows_are_found() {
    use KeeperStatusKind::{Empty, Unjudged};
    let own = || {
        vec![
            (keeper(1), Slot::Empty),
            (keeper(2), Slot::Empty),
            (Keeper::at(3, "https://other:8443"), Slot::Empty),
        ]
    };
    let survey = |states: &[KeeperStatusKind]| {
        Survey::new("https://nexus", told(DataKind::None, states), own())
    };
    assert!(!survey(&[Empty, Empty, Empty]).found_something());
    let found = survey(&[Empty, Empty, Unjudged]);
    assert!(found.found_something());
    let elsewhere = "Keeper 3 of Nexus, at https://keeper-3:8443, holds a share of a root key";
    assert!(found.findings().contains(&elsewhere.to_owned()), "{:?}", found.findings());
}

/// Bootstrap remembered that it was done, at the Nexus of another deployment.
#[test]
fn a_nexus_with_a_key_and_other_keepers_is_of_another_deployment() {
    use KeeperStatusKind::Good;
    let live = |states: &[KeeperStatusKind]| match told(DataKind::Ours, states) {
        NexusState::Sealed(told) => NexusState::HoldsKey(told),
        other => other,
    };
    let others = |nexus, own: &[(u16, &str, Slot)]| {
        let own = own.iter().map(|(index, host, slot)| {
            (Keeper::at(*index, &format!("https://{host}:8443")), *slot)
        });
        Survey::new("https://nexus", nexus, own.collect()).keepers_of_another()
    };
    let (full, empty) = (Slot::Filled, Slot::Empty);
    // The order, and a Keeper that is missing here, are warnings.
    assert_eq!(others(live(&[Good, Good]), &[(1, "keeper-2", empty)]), [""; 0]);
    assert_eq!(
        others(live(&[Good, Good]), &[(1, "keeper-1", full), (2, "other", empty)]),
        [
            "Keeper 2 at https://other:8443 holds no share",
            "Keeper 2 of Nexus is at https://keeper-2:8443"
        ]
    );
    // Upstream's Nexus names no Keepers.
    let silent = || NexusState::HoldsKey(None);
    assert_eq!(others(silent(), &[(1, "keeper-1", empty), (2, "keeper-2", empty)]).len(), 2);
    assert_eq!(others(silent(), &[(1, "keeper-1", empty), (2, "keeper-2", full)]), [""; 0]);
    assert_eq!(others(silent(), &[(1, "keeper-1", Slot::Unknown)]), [""; 0]);
}
