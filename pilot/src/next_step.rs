//! What a person does about a SPIKE Nexus that is sealed, by its status. Pure. Every command that tells it takes it from here, so
//! that no two of them differ.

use spike_wire::{DataKind, KeeperStatus, KeeperStatusKind, SealedBy, StatusResponse};

/// What a person has to do now, because nothing goes on by itself.
pub(crate) fn next_step(status: &StatusResponse) -> Option<&'static str> {
    if is_new(status) {
        return Some(
            "in a new deployment, run Bootstrap once (`bootstrap -init`). If SPIKE was in use before, feed recovery shares instead \
             (`spike operator restore`): Bootstrap would make another key, which decrypts nothing of before",
        );
    }
    if status.sealed {
        return next_step_of_sealed(status);
    }
    if status.last_copy {
        return Some(KEY_BESIDE);
    }
    if count_of(status, KeeperStatusKind::Repeated) > 0 {
        return Some(LISTED_TWICE);
    }
    (count_of(status, KeeperStatusKind::Foreign) > 0).then_some(
        "a Keeper holds a share of another root key, and SPIKE Nexus leaves it there: the line of that Keeper says what to do",
    )
}

/// What to do where two addresses lead to one Keeper.
pub(crate) const LISTED_TWICE: &str = "list each Keeper once in SPIKE_NEXUS_KEEPER_PEERS, start the one that is missing, and restart \
    SPIKE Nexus: the lines of the Keepers say which two addresses are one process";

/// How many Keepers are in this state.
pub(crate) fn count_of(status: &StatusResponse, state: KeeperStatusKind) -> usize {
    status.keepers.iter().filter(|keeper| keeper.state == state).count()
}

/// Whether a database lies in the data directory that this backend does not open.
pub(crate) fn has_unused_data(status: &StatusResponse) -> bool {
    status.backend == "lite" && status.data.is_some_and(|data| data != DataKind::None)
}

/// As [`next_step`]. Recovery shares help only where shares are missing, or where those of the Keepers are of no use.
fn next_step_of_sealed(status: &StatusResponse) -> Option<&'static str> {
    if is_last_copy_at_nexus(status) {
        return Some(match status.sealed_by {
            Some(SealedBy::Mismatch) => DO_NOT_RESTART_BETWEEN_KEYS,
            _ => DO_NOT_RESTART,
        });
    }
    Some(match status.sealed_by {
        Some(SealedBy::Store) => {
            "mend what the state says of the store: SPIKE Nexus tries again by itself, and no share is missing. To put back a backup of a \
             store that is damaged, stop SPIKE Nexus first (`nexus restore-backup`). Neither Bootstrap nor recovery shares help"
        }
        Some(SealedBy::NoData) => NO_DATA,
        Some(SealedBy::OtherKey) => {
            "correct SPIKE_NEXUS_DATA_DIR or SPIKE_NEXUS_KEEPER_PEERS, so that data and Keepers are of one deployment (stop SPIKE Nexus \
             before the data is put elsewhere). If both are right, feed recovery shares of the data (`spike operator restore`): Keepers keep the other key until they are restarted"
        }
        Some(SealedBy::Mismatch) if count_of(status, KeeperStatusKind::Repeated) > 0 => {
            LISTED_TWICE
        }
        Some(SealedBy::Mismatch) => {
            "the shares of the Keepers are not of one key: give SPIKE_NEXUS_KEEPER_PEERS its order and SPIKE_NEXUS_SHAMIR_THRESHOLD its \
             number of before again, as far as the state names them, and restart SPIKE Nexus. If they are right, feed recovery shares of \
             the right key (`spike operator restore`), or do what else the state says"
        }
        Some(SealedBy::Shares) | None if has_unused_data(status) => {
            "there is a database in the data directory of SPIKE Nexus, which its lite backend does not use. If it is the data of this \
             deployment, set SPIKE_NEXUS_BACKEND_STORE=sqlite and restart SPIKE Nexus. If not, move it away. Bootstrap would make \
             another key, which decrypts nothing of it"
        }
        Some(SealedBy::Shares) | None
            if status.backend == "lite" && needs_restore(status) && status.fed == 0 =>
        {
            "a Keeper holds a share, so there was a root key: feed recovery shares (`spike operator restore`). If that Keeper is of another \
             deployment, correct SPIKE_NEXUS_KEEPER_PEERS. If Bootstrap did not come to its end, restart that Keeper, and run Bootstrap \
             again"
        }
        Some(SealedBy::Shares) | None
            if needs_restore(status) && status.data == Some(DataKind::None) && status.fed == 0 =>
        {
            "a Keeper holds a share, and there is no data. If SPIKE was in use before: put its data where SPIKE Nexus looks for it, and \
             feed recovery shares (`spike operator restore`). If that Keeper is of another deployment, correct \
             SPIKE_NEXUS_KEEPER_PEERS. If Bootstrap did not come to its end, restart that Keeper, and run Bootstrap again"
        }
        Some(SealedBy::Shares) | None => {
            return needs_restore(status).then_some(
                "feed recovery shares (`spike operator restore`): too few Keepers hold a share. Bootstrap would make another key, which \
                 decrypts nothing that is stored",
            );
        }
    })
}

/// For a SPIKE Nexus that has a key and no data for it.
const NO_DATA: &str = "the key is there, and its data is not: stop SPIKE Nexus, put all files of the data where it looks for them, or \
    restore a backup, and start it. Recovery shares do not help. If there is no data: docs/operations/store.md, \"No data, and a key\"";

/// For a SPIKE Nexus that would not find its key again.
const DO_NOT_RESTART: &str = "do not restart SPIKE Nexus: it alone has the whole key. Start the Keepers that are away, and it gives each \
    its share back. Once enough Keepers hold a share, this line says how to go on";

/// As [`DO_NOT_RESTART`], where the shares are not of one key by the settings.
const DO_NOT_RESTART_BETWEEN_KEYS: &str = "do not restart SPIKE Nexus: it alone has a whole key. The state names that key, says whether its \
    Keepers get their shares back, and what decides. Once nothing would be lost by a restart, this line says how to go on";

/// For a SPIKE Nexus that has the last copy of a key beside the one in use.
const KEY_BESIDE: &str = "do not restart SPIKE Nexus before you know that the other root key is not needed, or safe elsewhere: it has the last \
    copy of it that it knows of. The trouble that names that key says what to do";

/// Whether SPIKE Nexus has got a whole key from the Keepers, cannot use it, and would not get it from them again. It says so itself;
/// one of an earlier release does not, and there it shows in the rest of the status.
pub(crate) fn is_last_copy_at_nexus(status: &StatusResponse) -> bool {
    let has_key =
        matches!(status.sealed_by, Some(SealedBy::Store | SealedBy::NoData | SealedBy::OtherKey));
    let shows = has_key
        && status.fed == 0
        && !status.keepers.is_empty()
        && holding(status) < usize::from(status.threshold);
    status.sealed && (status.last_copy || shows)
}

/// How many Keepers hold a share, as far as it is known.
pub(crate) fn holding(status: &StatusResponse) -> usize {
    status.keepers.iter().filter(|keeper| keeper.state.holds_share() == Some(true)).count()
}

/// Whether every Keeper has answered, and too few hold a share. One that is only away may bring its share back.
fn needs_restore(status: &StatusResponse) -> bool {
    let has_answered = |keeper: &KeeperStatus| keeper.state.holds_share().is_some();
    status.sealed
        && !status.keepers.is_empty()
        && status.keepers.iter().all(has_answered)
        && holding(status) < usize::from(status.threshold)
}

/// Whether no root key was ever made here, as far as anybody knows: SPIKE Nexus is sealed and has no data, and every Keeper says
/// that it holds no share. Nobody restores one either.
pub(crate) fn is_new(status: &StatusResponse) -> bool {
    let is_empty = |keeper: &KeeperStatus| keeper.state == KeeperStatusKind::Empty;
    status.sealed
        && status.sealed_by.unwrap_or_default() == SealedBy::Shares
        && status.fed == 0
        && !status.last_copy
        && status.data == Some(DataKind::None)
        && !status.keepers.is_empty()
        && status.keepers.iter().all(is_empty)
}
