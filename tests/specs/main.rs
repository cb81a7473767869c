//! The end-to-end specification: real daemons, real mTLS, identities from a real Workload API.
//!
//! One module per concern. Section numbers such as "wire-api 4.1", row numbers such as "row 12" and quirks such as
//! "Q-37" are those of the reference of upstream's behaviour; "design" is the page that says where we decided otherwise.

mod attestation;
mod audit;
mod backup;
mod bootstrap;
mod bundles;
mod charts;
mod cipher;
mod cli;
mod completion;
mod config;
mod deleting;
mod doctor;
mod documents;
mod drill;
mod federation;
mod first_hour;
mod forbidden;
mod health;
mod hostile;
mod identity;
mod import;
mod interop;
mod keepers;
mod limits;
mod lite;
mod log_level;
mod metrics;
mod migrating;
mod mixed;
mod orders;
mod pages;
mod policies;
mod progress;
mod prometheus;
mod readme;
mod recovery;
mod repository;
mod rotation;
mod runbooks;
mod scrape;
mod sdk;
mod seal;
mod secrets;
mod shutdown;
mod soak;
mod status;
mod store;
mod streams;
mod structure;
mod telemetry;
mod terminal;
mod threads;
mod tour;
mod troubleshooting;
mod wire;
mod workload;

use spike_tests::{Scenario, crew::CrewPlan};

/// The path of a SPIFFE ID without any role.
const WORKLOAD: &str = "/workload/app1";

/// A fresh cluster with the programs that were built with these tests.
fn scenario() -> Scenario {
    Scenario::new(env!("CARGO_BIN_EXE_spike-programs"), env!("CARGO_TARGET_TMPDIR"))
}

/// A fresh crew, as [`scenario`], with Keepers and a store on disk.
fn crew() -> CrewPlan {
    CrewPlan::new(env!("CARGO_BIN_EXE_spike-programs"), env!("CARGO_TARGET_TMPDIR"))
}
