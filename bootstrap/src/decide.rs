//! What to do, given what is known. Pure.

use crate::{error::Error, marker::Completion};

/// What Nexus says of the root key, without having to prove anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NexusState {
    /// It has none, and waits for shares.
    Sealed,
    /// It has one.
    HoldsKey,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Make a root key.
    MakeKey,
    /// A root key is in use: there is nothing to do but to remember it.
    KeyIsLive,
}

/// Decides. `completed` is what an earlier run has left behind.
///
/// # Errors
/// [`Error::KeyWasLost`] where a key was made before and Nexus has none: another would not open what is stored. The error
/// of `nexus`, where it did not answer: nobody knows whether a key is in use.
pub(crate) fn decide(
    forced: bool,
    completed: Option<&Completion>,
    nexus: Result<NexusState, Error>,
) -> Result<Decision, Error> {
    if forced {
        return Ok(Decision::MakeKey);
    }
    match (nexus?, completed) {
        (NexusState::HoldsKey, _) => Ok(Decision::KeyIsLive),
        (NexusState::Sealed, None) => Ok(Decision::MakeKey),
        (NexusState::Sealed, Some(completion)) => Err(Error::KeyWasLost(completion.clone())),
    }
}

#[cfg(test)]
mod tests {
    use NexusState::{HoldsKey, Sealed};

    use super::*;
    use crate::exit::Exit;

    fn silent() -> Result<NexusState, Error> {
        Err(Error::NotRecognised { url: "https://nexus".to_owned() })
    }

    #[test]
    fn a_key_is_made_only_where_nexus_says_that_it_has_none_and_none_was_made_before() {
        let before = Completion::now(None);
        for (completed, nexus, expected) in [
            (None, Ok(Sealed), Ok(Decision::MakeKey)),
            (None, Ok(HoldsKey), Ok(Decision::KeyIsLive)),
            (None, silent(), Err(Exit::Failed)),
            (Some(&before), Ok(Sealed), Err(Exit::KeyExists)),
            (Some(&before), Ok(HoldsKey), Ok(Decision::KeyIsLive)),
            (Some(&before), silent(), Err(Exit::Failed)),
        ] {
            let told = format!("{completed:?} {nexus:?}");
            assert_eq!(
                decide(false, completed, nexus).map_err(|error| error.exit()),
                expected,
                "{told}"
            );
        }
    }

    #[test]
    fn force_makes_a_key_whatever_is_known() {
        let before = Completion::now(None);
        for completed in [None, Some(&before)] {
            for nexus in [Ok(Sealed), Ok(HoldsKey), silent()] {
                assert_eq!(decide(true, completed, nexus).unwrap(), Decision::MakeKey);
            }
        }
    }
}
