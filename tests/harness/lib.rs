//! The tools of the specifications: a fresh cluster with real daemons, and clients of every kind.
//!
//! [`Scenario`] describes a cluster and starts it as [`Running`]. [`Credential`] is an identity, valid or defective. [`raw`] is
//! a client that sends exactly the bytes of the test. [`load`] keeps a cluster busy and counts failures. [`logs`] reads the logs
//! of the daemons. [`pilot`] runs the `spike` command.
//!
//! [`crew`] is a cluster of Keepers and Nexus that a test can kill one by one. [`fake_keeper`] is a Keeper whose answers the test
//! chooses. [`kube_api`] answers like the API server of Kubernetes. [`ledger`] records acknowledged writes. [`power`] simulates
//! power loss. [`hostile`] is a client that breaks the protocol on purpose.
//!
//! The rules themselves are in `specs/`. Nothing here waits for a duration: [`eventually`] waits for a condition with a deadline.

mod credential;
pub mod crew;
pub mod fake_keeper;
mod go_program;
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
pub mod terminal;
pub mod text;
mod wait;

pub use credential::Credential;
pub use go_program::build_go;
pub use scenario::{Running, SUPERUSER, Scenario};
pub use skip::skipped;
pub use wait::{PATIENCE, complete_lines, eventually};
