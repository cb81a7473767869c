//! The whole system on one machine, and the harness of the end-to-end tests.
//!
//! [`ca`] is the certificate authority of a trust domain. [`workload_api`] is the SPIFFE Workload API that gives its SVIDs to
//! the processes of this machine. [`cluster`] starts, watches and stops every daemon. With [`programs`] one binary runs as any
//! of them. `cli` is the command `spike-dev`.

pub mod ca;
mod cli;
pub mod cluster;
mod control;
pub mod links;
mod private;
pub mod programs;
mod shell_word;
mod temporary;
pub mod workload_api;
