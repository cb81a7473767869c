//! The root key between Nexus and its Keepers: Nexus collects shares until it has the key, and gives shares to Keepers from
//! then on.
//!
//! `collect` is pure: which shares are of one key, and what is wrong if none are. `adopt` puts a key to use, whatever the
//! source of its shares, and `open` opens the store with it. `keepers` calls the Keepers: each has a task, which asks for the share while Nexus is sealed
//! (`gather`, and `unproved` where no data checks the key) and keeps the Keeper filled once it is unsealed (`contribute`). `held` is
//! a whole key that cannot be used yet, `kept` its shares. `restore` takes shares from an operator.
//!
//! Three rules hold everywhere: a key is checked before it is used, a Keeper is sent nothing but a share of a key in use (F1, F2,
//! Q-27) or the one that it had, and a share of another key (`foreign`) is never replaced.

mod adopt;
mod collect;
mod contribute;
mod data;
mod error;
mod foreign;
mod gather;
mod health;
mod held;
mod keeper;
mod keepers;
mod kept;
mod lapse;
mod open;
mod orders;
mod recently_logged;
mod record;
mod restore;
mod tending;
mod unproved;

pub(crate) use self::keepers::{ANSWER_LIMIT, Connection, Timing};
pub(crate) use self::tending::Tending;
pub use self::{
    adopt::Adopter,
    collect::{Candidates, CollectError},
    data::DataDirectory,
    error::{AdoptError, RestoreError},
    health::{KeeperMetrics, quorum_check},
    keeper::{KeeperProgram, KeeperState},
    keepers::Keepers,
    lapse::Lapse,
    record::ShareState,
    restore::{Restoration, Restored},
};
