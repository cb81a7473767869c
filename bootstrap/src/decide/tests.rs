use spike_wire::{DataKind, SealedBy, SurveyResponse};

use super::*;
use crate::{
    deliver::{Keeper, Slot},
    exit::Exit,
    retry::GaveUp,
};

fn stopped() -> NexusState {
    NexusState::Stopped(GaveUp { attempts: 1, reason: "nothing listens".to_owned() })
}

fn sealed(data: DataKind) -> NexusState {
    let directory = Some("/var/lib/spike".to_owned());
    let told = SurveyResponse { sealed: true, data, directory, ..SurveyResponse::default() };
    NexusState::Sealed(Some(Box::new(told)))
}

fn restoring() -> NexusState {
    let data = DataKind::None;
    let told = SurveyResponse { sealed: true, data, fed: 1, ..SurveyResponse::default() };
    NexusState::Sealed(Some(Box::new(told)))
}

fn survey(nexus: NexusState, slots: &[Slot]) -> Survey {
    let keeper = |index: u16| Keeper::at(index, &format!("https://keeper-{index}"));
    let own = (1..).zip(slots).map(|(index, slot)| (keeper(index), *slot)).collect();
    Survey::new("https://nexus", nexus, own)
}

#[test]
fn a_key_is_made_only_where_there_is_nothing_anywhere() {
    use DataKind::{None as Nothing, Ours, Unreadable, Upstream};
    use NexusState::{HoldsKey, NeedsNone, Sealed};
    use Slot::{Empty, Filled, Unknown};
    let before = Completion::now(None);
    let (make, live, refused) =
        (Ok(Decision::MakeKey), Ok(Decision::KeyIsLive), Err(Exit::KeyExists));
    for (forced, completed, nexus, slots, expected) in [
        (false, None, sealed(Nothing), [Empty, Empty], make),
        (false, None, sealed(Nothing), [Empty, Unknown], make),
        (false, None, Sealed(None), [Empty, Unknown], make),
        (false, None, sealed(Nothing), [Empty, Filled], refused),
        (false, None, Sealed(None), [Filled, Unknown], refused),
        (false, None, sealed(Ours), [Empty, Empty], refused),
        (false, None, sealed(Upstream), [Empty, Empty], refused),
        (false, None, sealed(Unreadable), [Empty, Empty], refused),
        (false, None, HoldsKey(None), [Empty, Filled], live),
        // Of another deployment, as far as anybody knows.
        (false, None, HoldsKey(None), [Empty, Empty], refused),
        // Two settings contradict each other.
        (false, None, NeedsNone(None), [Empty, Empty], refused),
        (false, None, stopped(), [Empty, Empty], Err(Exit::Failed)),
        (false, Some(&before), sealed(Nothing), [Empty, Empty], refused),
        (false, Some(&before), Sealed(None), [Unknown, Unknown], refused),
        (false, Some(&before), HoldsKey(None), [Filled, Filled], live),
        (false, Some(&before), stopped(), [Filled, Filled], Err(Exit::Failed)),
        (true, Some(&before), sealed(Nothing), [Empty, Empty], make),
        (false, Some(&before), stopped(), [Filled, Unknown], Err(Exit::Failed)),
        (false, Some(&before), stopped(), [Filled, Empty], refused),
        (false, Some(&before), stopped(), [Empty, Empty], refused),
        (true, Some(&before), stopped(), [Empty, Empty], refused),
        (true, None, stopped(), [Unknown, Unknown], refused),
        (true, None, stopped(), [Filled, Empty], refused),
        (true, None, sealed(Nothing), [Filled, Empty], refused),
        (true, None, sealed(Ours), [Empty, Empty], refused),
        (true, None, HoldsKey(None), [Filled, Filled], refused),
        (false, None, restoring(), [Empty, Empty], refused),
        (true, Some(&before), restoring(), [Empty, Empty], refused),
        (true, None, NeedsNone(None), [Empty, Empty], refused),
    ] {
        let told = format!("{forced} {completed:?} {nexus:?} {slots:?}");
        let decided = decide(forced, completed, &survey(nexus, &slots), 2);
        assert_eq!(decided.map_err(|error| error.exit()), expected, "{told}");
    }
}

#[test]
fn beside_a_nexus_that_makes_its_own_key_silent_keepers_need_none() {
    for forced in [false, true] {
        let decided = decide(forced, None, &survey(NexusState::NeedsNone(None), &[]), 2);
        assert_eq!(decided.map_err(|error| error.exit()), Ok(Decision::NotNeeded), "{forced}");
    }
}

#[test]
fn who_forces_it_is_told_what_to_stop_what_to_move_away_and_what_to_restart() {
    let told = |nexus, slots: &[Slot]| {
        let error = decide(true, None, &survey(nexus, slots), 2).unwrap_err();
        error.hint().unwrap().to_owned()
    };
    let live = told(NexusState::HoldsKey(None), &[Slot::Filled, Slot::Empty]);
    assert!(live.contains("stop Nexus"), "{live}");
    assert!(live.contains("restart Keeper 1 at https://keeper-1, which"), "{live}");
    let data = told(sealed(DataKind::Ours), &[Slot::Empty]);
    assert!(data.contains("move /var/lib/spike away"), "{data}");
    assert!(!data.contains("restart"), "{data}");
}

/// A new key was made between two shares of a restore.
#[test]
fn in_the_middle_of_a_restore_the_next_step_is_to_finish_it() {
    let told = |forced| {
        let error = decide(forced, None, &survey(restoring(), &[Slot::Empty]), 2).unwrap_err();
        format!("{error}; {}", error.hint().unwrap())
    };
    for part in ["recovery share", "finish the restore", "restart Nexus, which forgets"] {
        assert!(told(false).contains(part), "{part}: {}", told(false));
    }
    assert!(told(true).contains("1. restart Nexus at https://nexus"), "{}", told(true));
    assert!(told(true).contains("2. run this again"), "{}", told(true));
}

/// The hint named neither the first step, to move the data away, nor the start of Nexus; and not that the key in use can be
/// kept for what is moved away.
#[test]
fn who_forces_it_on_a_live_nexus_is_told_every_step_in_its_order() {
    let found = survey(NexusState::HoldsKey(None), &[Slot::Filled, Slot::Filled]);
    let error = decide(true, None, &found, 2).unwrap_err();
    let hint = error.hint().unwrap();
    let steps = [
        "1. run `spike operator recover` while Nexus has its key",
        "2. stop Nexus and move its data directory away",
        "3. restart Keeper 1 at https://keeper-1, Keeper 2 at",
        "which erases their shares, perhaps the last copies",
        "4. start Nexus, which stays sealed",
        "5. run this again",
    ];
    let places: Vec<_> = steps.iter().map(|step| hint.find(step)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{hint}");
    // Sealed and without data it runs already.
    let found = survey(sealed(DataKind::None), &[Slot::Filled, Slot::Empty]);
    let error = decide(true, None, &found, 2).unwrap_err();
    let hint = error.hint().unwrap();
    assert!(!hint.contains("start Nexus") && !hint.contains("spike operator recover"), "{error:?}");
    assert!(hint.contains("which erases its share, perhaps the last copy"), "{hint}");
}

/// It only said that Nexus is to be started, and named no share.
#[test]
fn shares_that_were_found_while_nexus_is_down_are_named_at_the_end_of_the_wait() {
    let told = |slots: &[Slot]| {
        let error = decide(false, None, &survey(stopped(), slots), 2).unwrap_err();
        assert_eq!(error.exit(), Exit::Failed);
        format!("{error}; {}", error.hint().unwrap())
    };
    let found = told(&[Slot::Filled, Slot::Unknown]);
    for part in ["Keeper 1 at https://keeper-1 holds a share", "a root key was made before"] {
        assert!(found.contains(part), "{part}: {found}");
    }
    assert!(!told(&[Slot::Empty, Slot::Unknown]).contains("made before"));
}

/// The run ended without having asked anybody, and named no step.
#[test]
fn a_marker_that_cannot_be_read_is_decided_by_what_nexus_and_the_keepers_say() {
    let unreadable = Completion::unreadable("it is no marker".to_owned());
    let decided = |nexus, slot| decide(false, Some(&unreadable), &survey(nexus, &[slot]), 1);
    assert_eq!(decided(NexusState::HoldsKey(None), Slot::Filled).unwrap(), Decision::KeyIsLive);
    for (nexus, slot) in [
        (sealed(DataKind::None), Slot::Empty),
        (sealed(DataKind::Ours), Slot::Empty),
        (sealed(DataKind::None), Slot::Filled),
    ] {
        let error = decided(nexus, slot).unwrap_err();
        assert_eq!(error.exit(), Exit::KeyExists);
        assert!(error.to_string().contains("it is no marker"), "{error}");
        assert!(error.hint().unwrap().contains("spike operator restore"), "{error:?}");
    }
}

/// Bootstrap made a key that could not be proved, because the data was of another key.
#[test]
fn who_forces_it_while_nexus_is_stopped_is_told_to_start_it() {
    let error = decide(true, None, &survey(stopped(), &[Slot::Empty]), 1).unwrap_err();
    let hint = error.hint().unwrap();
    assert!(hint.contains("start Nexus, which stays sealed"), "{hint}");
}

/// The run waited for Nexus, or reported the marker and not what was lost.
#[test]
fn keepers_that_lost_their_shares_are_named_with_what_brings_the_key_back() {
    let before = Completion::now(None);
    for nexus in [stopped(), sealed(DataKind::None)] {
        let found = survey(nexus, &[Slot::Empty, Slot::Empty]);
        let error = decide(false, Some(&before), &found, 2).unwrap_err();
        let text = format!("{error}; {}", error.hint().unwrap());
        for part in [
            "Keeper 1 at https://keeper-1 holds no share",
            "Keeper 2 at https://keeper-2 holds no share",
            "this was done before",
            "do not hold enough shares",
            "spike operator restore",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}

/// The hint was to see why Nexus is sealed and to mend that. There is nothing to mend.
#[test]
fn after_a_bootstrap_that_was_ended_before_the_proof_both_ways_to_go_on_are_told() {
    let data = DataKind::None;
    let told = |completed, data| {
        let nexus =
            SurveyResponse { sealed: true, awaits_proof: true, data, ..SurveyResponse::default() };
        let nexus = NexusState::Sealed(Some(Box::new(nexus)));
        let found = survey(nexus, &[Slot::Filled, Slot::Filled]);
        decide(false, completed, &found, 2).unwrap_err().hint().unwrap().to_owned()
    };
    let hint = told(None, data);
    for part in [
        "stop Nexus, restart Keeper 1 at https://keeper-1, Keeper 2 at https://keeper-2, start Nexus and run this again",
        "SPIKE_NEXUS_ACCEPT_NEW_STORE=true",
    ] {
        assert!(hint.contains(part), "{part}: {hint}");
    }
    // Where it was done before, the Keepers hold the key of the data that is missing.
    let before = Completion::now(None);
    let hint = told(Some(&before), data);
    assert!(!hint.contains("restart") && hint.contains("lost for good"), "{hint}");
    assert!(hint.contains("stop Nexus, put all files there, and start Nexus"), "{hint}");
    assert!(!told(None, DataKind::Unreadable).contains("ACCEPT_NEW_STORE"));
}

/// The hint was that the Keepers hold a whole key, and to restart Nexus with a setting; the key was lost by that.
#[test]
fn a_key_that_nexus_alone_has_is_not_lost_by_what_the_hint_says() {
    for (sealed_by, data, awaits_proof, fed) in [
        (SealedBy::NoData, DataKind::None, true, 0),
        (SealedBy::Store, DataKind::Ours, false, 0),
        (SealedBy::OtherKey, DataKind::Ours, false, 2),
        // Another key was made, and this one was gone.
        (SealedBy::Mismatch, DataKind::None, false, 0),
        (SealedBy::Shares, DataKind::None, false, 0),
    ] {
        for slots in [[Slot::Filled, Slot::Empty], [Slot::Empty, Slot::Empty]] {
            let nexus = SurveyResponse {
                sealed: true,
                sealed_by: Some(sealed_by),
                holds_key: true,
                last_copy: true,
                awaits_proof,
                data,
                fed,
                ..SurveyResponse::default()
            };
            let nexus = NexusState::Sealed(Some(Box::new(nexus)));
            let before = Completion::now(None);
            for completed in [None, Some(&before)] {
                let error = decide(false, completed, &survey(nexus.clone(), &slots), 2);
                let error = error.expect_err("a key was made in place of the only copy");
                let hint = error.hint().unwrap();
                assert!(hint.starts_with("do not restart Nexus"), "{sealed_by:?}: {hint}");
                assert!(!hint.contains("ACCEPT_NEW_STORE"), "{sealed_by:?}: {hint}");
                assert!(!hint.contains("spike operator restore"), "{sealed_by:?}: {hint}");
            }
            let error = decide(true, None, &survey(nexus, &slots), 2).unwrap_err();
            let steps = error.hint().unwrap();
            assert!(steps.contains("1. stop Nexus"), "{sealed_by:?}: {steps}");
        }
    }
}

#[test]
fn force_is_named_only_where_nothing_is_left_to_lose() {
    let before = Completion::now(None);
    let told = |completed, nexus, slots: &[Slot]| {
        let error = decide(false, completed, &survey(nexus, slots), 1).unwrap_err();
        error.hint().unwrap().to_owned()
    };
    let force = "SPIKE_BOOTSTRAP_FORCE";
    let empty = [Slot::Empty];
    assert!(told(Some(&before), sealed(DataKind::None), &empty).contains(force));
    assert!(!told(Some(&before), sealed(DataKind::Ours), &empty).contains(force));
    assert!(!told(None, sealed(DataKind::Ours), &empty).contains(force));
    assert!(!told(None, sealed(DataKind::None), &[Slot::Filled]).contains(force));
}
