//! What every specification of the whole system needs: a fresh cluster with real daemons, and clients of every kind.
//!
//! [`Scenario`] describes a cluster and starts it as [`Running`]; [`Credential`] is an identity to hold in one's hands,
//! sound or odd; [`raw`] is a client that decides every byte itself; [`load`] keeps a cluster busy and counts what fails;
//! [`logs`] reads what the daemons wrote; [`pilot`] runs the `spike` command.
//!
//! [`crew`] is a cluster with Keepers and a root key, any of which can be lost; [`fake_keeper`] is a Keeper that obeys
//! the test; [`kube_api`] answers as the API server of Kubernetes; [`ledger`] knows what was acknowledged; [`power`]
//! imitates power loss; [`hostile`] is a client that breaks the protocol on purpose.
//!
//! What must hold is not said here but in `specs/`. Nothing here waits for a duration: [`eventually`] waits for a condition
//! with a deadline.

mod credential;
pub mod crew;
pub mod fake_keeper;
pub mod hostile;
pub mod kube_api;
pub mod ledger;
pub mod load;
pub mod logs;
pub mod pilot;
pub mod policies;
pub mod power;
pub mod raw;
mod scenario;
pub mod secrets;
mod skip;
pub mod text;
mod wait;

pub use credential::Credential;
pub use scenario::{Running, SUPERUSER, Scenario};
pub use skip::skipped;
pub use wait::{PATIENCE, eventually};
