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
/// [`Error::WouldReplace`] with everything that was found and what to do about it; [`Error::OtherDeployment`] if Nexus has a key
/// and other Keepers; [`Error::OtherBackend`] if it needs none of the Keepers that answer; [`Error::NexusSilent`] if a key may be in
/// use and Nexus does not answer.
pub(crate) fn decide(
    forced: bool,
    completed: Option<&Completion>,
    survey: &Survey,
    threshold: u16,
) -> Result<Decision, Error> {
    let completed = completed.filter(|_| !forced);
    let each = survey.keepers_of_another();
    if !each.is_empty() {
        return Err(Error::OtherDeployment { url: survey.url.clone(), each });
    }
    match &survey.nexus {
        NexusState::NeedsNone(_) if survey.keepers.is_empty() => return Ok(Decision::NotNeeded),
        NexusState::NeedsNone(_) => {
            let each = survey.keepers.iter();
            let each = each.map(|(keeper, slot)| format!("{keeper}{}", slot.in_words()));
            let each = each.chain(survey.unused_data()).collect();
            return Err(Error::OtherBackend { url: survey.url.clone(), each });
        }
        NexusState::HoldsKey(_) if !forced => return Ok(Decision::KeyIsLive),
        NexusState::HoldsKey(_) => {}
        NexusState::Sealed(_) => {
            if completed.is_none() && !survey.found_something() {
                return agreed(survey, threshold);
            }
        }
        NexusState::Stopped(reason) => {
            let is_lost = completed.is_some() && !survey.may_rebuild(threshold);
            if !forced && !is_lost {
                return Err(Error::NexusSilent {
                    url: survey.url.clone(),
                    reason: reason.clone(),
                    shares: survey.shares().collect(),
                });
            }
        }
    }
    let mut found = survey.findings();
    found.extend(survey.disagreements(threshold));
    found.extend(completed.map(ToString::to_string));
    let next =
        if forced { steps_before_force(survey) } else { advice(survey, completed, threshold) };
    Err(Error::WouldReplace { found, next })
}

/// A key is made only if Nexus and this run are of one mind on how it is split.
fn agreed(survey: &Survey, threshold: u16) -> Result<Decision, Error> {
    if !survey.repeated.is_empty() {
        return Err(Error::Repeated(survey.repeated.clone()));
    }
    let each = survey.disagreements(threshold);
    if each.is_empty() {
        Ok(Decision::MakeKey)
    } else {
        Err(Error::Disagrees { url: survey.url.clone(), each })
    }
}

/// What a person who wants another key must do first, in order.
fn steps_before_force(survey: &Survey) -> String {
    let is_live = survey.is_live();
    let mut steps = Vec::new();
    if is_live {
        steps.push(
            "run `spike operator recover` while Nexus has its key, and keep the files: without them nothing that is stored is \
             ever read again"
                .to_owned(),
        );
    }
    let directory = survey.directory().unwrap_or_else(|| "its data directory".to_owned());
    let filled: Vec<String> = survey.filled().map(ToString::to_string).collect();
    let erases = match filled.len() {
        1 => "its share, perhaps the last copy",
        _ => "their shares, perhaps the last copies",
    };
    let only = "which only its own root key can decrypt";
    let before = steps.len();
    if survey.found_data() {
        steps.push(format!("stop Nexus and move {directory} away, with the data in it, {only}"));
    } else if is_live {
        steps.push(format!("stop Nexus and move {directory} away, if it has data, {only}"));
    } else if survey.is_stopped() && !filled.is_empty() {
        steps.push(format!("move the data directory of Nexus away, if it has data, {only}"));
    }
    if steps.len() == before && survey.holds_key_unused() {
        steps.push(format!(
            "stop Nexus at {}, which would give the Keepers their shares back",
            survey.url
        ));
    }
    let is_to_stop = steps.len() > before;
    if survey.fed() > 0 && !is_to_stop {
        steps.push(format!(
            "restart Nexus at {}, which forgets the shares that were fed",
            survey.url
        ));
    }
    let is_down = is_to_stop || survey.is_stopped();
    if !filled.is_empty() {
        let filled = filled.join(", ");
        steps.push(format!("restart {filled}, which erases {erases}"));
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
    if survey.is_last_copy_at_nexus(threshold) {
        return last_copy(survey, completed.is_some());
    }
    if survey.fed() > 0 {
        return "finish the restore with `spike operator restore`: nobody needs Bootstrap then. Only if nothing is to be kept \
                that was written under that key: restart Nexus, which forgets the shares that were fed, and run this again"
            .to_owned();
    }
    if survey.shares_elsewhere().next().is_some() {
        return "Nexus takes its key from Keepers that are not those of this run, perhaps from those of another deployment. Correct \
                SPIKE_NEXUS_KEEPER_PEERS of Nexus or of Bootstrap, so that both name the same Keepers in the same order, or \
                SPIKE_NEXUS_API_URL if that is another Nexus; restart Nexus if you changed its settings, and run this again"
            .to_owned();
    }
    if survey.found_unused_data() {
        return of_another_backend(survey, threshold);
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

/// What a person does where a Nexus that stores nothing was started beside a database.
fn of_another_backend(survey: &Survey, threshold: u16) -> String {
    let directory = survey.directory().unwrap_or_else(|| "the data directory".to_owned());
    let restore = if survey.may_rebuild(threshold) {
        "it takes its key from the Keepers by itself"
    } else {
        "then `spike operator restore` brings its key back, with the recovery files"
    };
    format!(
        "another root key would make the database in {directory} unreadable. If it is the data of this Nexus, set \
         SPIKE_NEXUS_BACKEND_STORE=sqlite for Nexus and Bootstrap, and restart Nexus: {restore}. If this deployment is to have no \
         data, move {directory} away, or name another SPIKE_NEXUS_DATA_DIR for Nexus, restart Nexus, and run this again"
    )
}

/// What a person does where a restart of Nexus would lose the key.
fn last_copy(survey: &Survey, was_done: bool) -> String {
    let mut words = "do not restart Nexus: it alone has a whole root key, and the Keepers hold too few shares of it. Start every Keeper, and \
                     look again in a few seconds: Nexus gives each Keeper back the share that it had (`spike operator status` shows \
                     that). Then run this again, which says how to go on"
        .to_owned();
    if !was_done && !survey.found_data() {
        words.push_str(
            ". Only if an earlier Bootstrap was ended before its end, so that nothing was written under that key: stop Nexus, \
             restart every Keeper, start Nexus and run this again, which makes another key",
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
         is elsewhere, stop Nexus, put all files there, and start Nexus. "
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
             stop Nexus, restart ",
        );
        for part in
            [&filled, ", start Nexus and run this again, which makes another key, or ", accept]
        {
            words.push_str(part);
        }
    }
    words
}

#[cfg(test)]
mod tests;
