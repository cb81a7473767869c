//! Decides what to do after the survey. Pure.

use crate::{
    error::Error,
    marker::Completion,
    survey::{NexusState, Survey},
};

/// The next step of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Make a root key.
    MakeKey,
    /// A root key is in use. It only has to be remembered.
    KeyIsLive,
    /// Nexus makes its own key. Nothing is remembered, because another backend would need a key from here.
    NotNeeded,
}

/// Decides. `completed` is the marker of an earlier run; `threshold` shares rebuild a key.
///
/// A key is made only if it replaces nothing: no key, no data, no share. Only Nexus can say that there is no data, so it must
/// run. A forced run ignores the marker. It, too, replaces no share and makes no data unreadable: a person has to move those
/// away first.
///
/// # Errors
/// [`Error::WouldReplace`] with everything that was found and what to do about it; [`Error::NexusSilent`] if a key may be in
/// use and Nexus does not answer.
pub(crate) fn decide(
    forced: bool,
    completed: Option<&Completion>,
    survey: &Survey,
    threshold: u16,
) -> Result<Decision, Error> {
    let completed = completed.filter(|_| !forced);
    match &survey.nexus {
        NexusState::NeedsNone => return Ok(Decision::NotNeeded),
        NexusState::HoldsKey if !forced => return Ok(Decision::KeyIsLive),
        NexusState::HoldsKey => {}
        NexusState::Sealed(_) => {
            if completed.is_none() && !survey.found_something() {
                return agreed(survey, threshold);
            }
        }
        NexusState::Stopped(reason) => {
            let is_lost = completed.is_some() && !survey.may_rebuild(threshold);
            if !forced && !is_lost {
                return Err(Error::NexusSilent { url: survey.url.clone(), reason: reason.clone() });
            }
        }
    }
    let mut found = survey.findings();
    found.extend(completed.map(ToString::to_string));
    let next =
        if forced { steps_before_force(survey) } else { advice(survey, completed, threshold) };
    Err(Error::WouldReplace { found, next })
}

/// A key is made only if Nexus and this run are of one mind on how it is split.
fn agreed(survey: &Survey, threshold: u16) -> Result<Decision, Error> {
    let each = survey.disagreements(threshold);
    if each.is_empty() {
        Ok(Decision::MakeKey)
    } else {
        Err(Error::Disagrees { url: survey.url.clone(), each })
    }
}

/// What a person who wants another key must do first, in order.
fn steps_before_force(survey: &Survey) -> String {
    let is_live = survey.nexus == NexusState::HoldsKey;
    let mut steps = Vec::new();
    let directory = survey.directory().unwrap_or_else(|| "its data directory".to_owned());
    let filled: Vec<String> = survey.filled().map(ToString::to_string).collect();
    let only = "which only its own root key can decrypt";
    if survey.found_data() {
        steps.push(format!("stop Nexus and move {directory} away, with the data in it, {only}"));
    } else if is_live {
        steps.push(format!("stop Nexus and move {directory} away, if it has data, {only}"));
    } else if survey.is_stopped() && !filled.is_empty() {
        steps.push(format!("move the data directory of Nexus away, if it has data, {only}"));
    }
    let is_to_stop = !steps.is_empty();
    if survey.fed() > 0 && !is_to_stop {
        steps.push(format!(
            "restart Nexus at {}, which forgets the shares that were fed",
            survey.url
        ));
    }
    let is_down = is_to_stop || survey.is_stopped();
    if !filled.is_empty() {
        let filled = filled.join(", ");
        steps.push(format!("restart {filled}, which erases its share, perhaps the last copy"));
    } else if is_live {
        steps.push("restart every Keeper that holds a share".to_owned());
    }
    if is_down {
        steps.push(
            "start Nexus, which stays sealed while no Keeper holds a share, and says what lies in its data directory"
                .to_owned(),
        );
    }
    steps.push("run this again".to_owned());
    let steps: Vec<String> =
        (1..).zip(steps).map(|(number, step)| format!("\n  {number}. {step}")).collect();
    format!(
        "SPIKE_BOOTSTRAP_FORCE makes another key once nothing is left that the new key would replace:{}",
        steps.concat()
    )
}

/// What a person does who expected that there is no key.
fn advice(survey: &Survey, completed: Option<&Completion>, threshold: u16) -> String {
    if survey.fed() > 0 {
        return "finish the restore with `spike operator restore`: nobody needs Bootstrap then. Only if nothing is to be kept \
                that was written under that key: restart Nexus, which forgets the shares that were fed, and run this again"
            .to_owned();
    }
    let mut words = String::new();
    if survey.is_stopped() {
        words.push_str("start Nexus. ");
    }
    if survey.awaits_proof() && !survey.found_data() {
        return without_data(survey, completed.is_some());
    }
    if survey.may_rebuild(threshold) {
        words.push_str(
            "find out why Nexus is sealed (its log, /readyz, `spike operator status`) and mend that: it takes its key from \
             the Keepers by itself. If the Keepers have lost their shares, `spike operator restore` brings the key back",
        );
    } else {
        words.push_str(
            "The Keepers do not hold enough shares to rebuild the key (they hold them in memory only, and lose them with a \
             restart): `spike operator restore` brings the key back, with the recovery files",
        );
    }
    if !survey.found_data() && completed.is_none() {
        words.push_str(
            ". Is the data directory of Nexus the right one, and mounted? With data elsewhere these shares are its key. \
             Only if they are left from a Bootstrap that did not finish, so that nothing was written under their \
             key: restart those Keepers and run this again",
        );
    } else if !survey.found_something() {
        if let Some(place) = completed.filter(|it| it.is_unreadable()).and_then(Completion::place) {
            words.push_str(". Only if no root key was ever made here: remove ");
            words.push_str(place);
            words.push_str(" and run this again");
            return words;
        }
        words.push_str(
            ". Only if nothing is to be kept, for example after a new installation: SPIKE_BOOTSTRAP_FORCE=true makes another key",
        );
    }
    words
}

/// What a person does where the shares of the Keepers make a key, and Nexus has no data for it. A run that is ended after it
/// gave out the shares leaves that; a volume that is not mounted looks the same.
fn without_data(survey: &Survey, was_done: bool) -> String {
    let directory = survey.directory().unwrap_or_else(|| "its data directory".to_owned());
    let mut words = format!(
        "the Keepers hold a whole key, and Nexus has no data for it. Is {directory} the right directory, and mounted? If the data \
         is elsewhere, put it there: Nexus goes on by itself. "
    );
    let accept = "start Nexus once with SPIKE_NEXUS_ACCEPT_NEW_STORE=true, which makes a new store under this key";
    if was_done {
        words.push_str("Only if the data is lost for good: ");
        words.push_str(accept);
    } else {
        let filled: Vec<String> = survey.filled().map(ToString::to_string).collect();
        let filled = filled.join(", ");
        words.push_str(
            "Only if an earlier Bootstrap was ended before Nexus had proved the key, so that nothing was written under it: either \
             restart ",
        );
        for part in [&filled, " and run this again, which makes another key, or ", accept] {
            words.push_str(part);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use spike_wire::{DataKind, SurveyResponse};

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
            (false, None, HoldsKey, [Empty, Empty], live),
            (false, None, NeedsNone, [Empty, Empty], Ok(Decision::NotNeeded)),
            (false, None, stopped(), [Empty, Empty], Err(Exit::Failed)),
            (false, Some(&before), sealed(Nothing), [Empty, Empty], refused),
            (false, Some(&before), Sealed(None), [Unknown, Unknown], refused),
            (false, Some(&before), HoldsKey, [Filled, Filled], live),
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
            (true, None, HoldsKey, [Filled, Filled], refused),
            (false, None, restoring(), [Empty, Empty], refused),
            (true, Some(&before), restoring(), [Empty, Empty], refused),
            (true, None, NeedsNone, [Empty, Empty], Ok(Decision::NotNeeded)),
        ] {
            let told = format!("{forced} {completed:?} {nexus:?} {slots:?}");
            let decided = decide(forced, completed, &survey(nexus, &slots), 2);
            assert_eq!(decided.map_err(|error| error.exit()), expected, "{told}");
        }
    }

    #[test]
    fn who_forces_it_is_told_what_to_stop_what_to_move_away_and_what_to_restart() {
        let told = |nexus, slots: &[Slot]| {
            let error = decide(true, None, &survey(nexus, slots), 2).unwrap_err();
            error.hint().unwrap().to_owned()
        };
        let live = told(NexusState::HoldsKey, &[Slot::Filled, Slot::Empty]);
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

    /// The hint named neither the first step, to move the data away, nor the start of Nexus.
    #[test]
    fn who_forces_it_on_a_live_nexus_is_told_every_step_in_its_order() {
        let found = survey(NexusState::HoldsKey, &[Slot::Filled, Slot::Filled]);
        let error = decide(true, None, &found, 2).unwrap_err();
        let hint = error.hint().unwrap();
        let steps = [
            "1. stop Nexus and move its data directory away",
            "2. restart Keeper 1 at https://keeper-1, Keeper 2 at",
            "3. start Nexus, which stays sealed",
            "4. run this again",
        ];
        let places: Vec<_> = steps.iter().map(|step| hint.find(step)).collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{hint}");
        // Sealed and without data it runs already.
        let found = survey(sealed(DataKind::None), &[Slot::Filled, Slot::Empty]);
        let error = decide(true, None, &found, 2).unwrap_err();
        assert!(!error.hint().unwrap().contains("start Nexus"), "{error:?}");
    }

    /// The run ended without having asked anybody, and named no step.
    #[test]
    fn a_marker_that_cannot_be_read_is_decided_by_what_nexus_and_the_keepers_say() {
        let unreadable = Completion::unreadable("it is no marker".to_owned());
        let decided = |nexus, slot| decide(false, Some(&unreadable), &survey(nexus, &[slot]), 1);
        assert_eq!(decided(NexusState::HoldsKey, Slot::Filled).unwrap(), Decision::KeyIsLive);
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
            let nexus = SurveyResponse {
                sealed: true,
                awaits_proof: true,
                data,
                ..SurveyResponse::default()
            };
            let nexus = NexusState::Sealed(Some(Box::new(nexus)));
            let found = survey(nexus, &[Slot::Filled, Slot::Filled]);
            decide(false, completed, &found, 2).unwrap_err().hint().unwrap().to_owned()
        };
        let hint = told(None, data);
        for part in [
            "restart Keeper 1 at https://keeper-1, Keeper 2 at https://keeper-2 and run this again",
            "SPIKE_NEXUS_ACCEPT_NEW_STORE=true",
        ] {
            assert!(hint.contains(part), "{part}: {hint}");
        }
        // Where it was done before, the Keepers hold the key of the data that is missing.
        let before = Completion::now(None);
        let hint = told(Some(&before), data);
        assert!(!hint.contains("restart") && hint.contains("lost for good"), "{hint}");
        assert!(!told(None, DataKind::Unreadable).contains("ACCEPT_NEW_STORE"));
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
}
