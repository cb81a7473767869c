//! The listener: accepts connections, bounds them, answers their requests, drains them.
//!
//! Who the peer of a connection is, and whether it may connect, is decided in `spike-mtls`.

mod activity;
mod ahead;
mod app;
mod connection;
mod heads;
mod roster;
mod server;
mod signal;
mod untaken;

pub use app::{Answer, Answers, App, Refused, RefusedWhat};
pub use server::{ConnectionMetrics, Limits, Listener, MAX_HEAD, Serving};
