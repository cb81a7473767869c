//! The root key between Nexus and its Keepers: shares in until there is a key, shares out for ever after.
//!
//! `collect` is pure: which shares belong together, and what is wrong when none do. `adopt` is the one way by which a
//! key comes into use, wherever its shares came from. `keepers` talks to the Keepers: one task each, which asks for the
//! share while Nexus is sealed (`gather`) and keeps the Keeper filled once it is not (`contribute`). `restore` takes shares
//! from an operator.
//!
//! Two rules hold everywhere: a key is checked before it is used, and nothing is ever sent to a Keeper but a share of a
//! key that is in use (F1, F2, Q-27).

mod adopt;
mod collect;
mod contribute;
mod error;
mod gather;
mod health;
mod keeper;
mod keepers;
mod lapse;
mod record;
mod restore;
mod told;

pub(crate) use self::keepers::{ANSWER_LIMIT, Connection, Tending, Timing};
pub use self::{
    adopt::Adopter,
    collect::{Candidates, CollectError},
    error::{AdoptError, RestoreError},
    health::{KeeperMetrics, quorum_check},
    keeper::KeeperState,
    keepers::Keepers,
    lapse::Lapse,
    record::ShareState,
    restore::{Restoration, Restored},
};
