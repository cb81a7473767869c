//! The listener: accepts connections, bounds them, answers their requests, drains them.
//!
//! Who the peer of a connection is, and whether it may connect, is decided in `spike-mtls`.

mod activity;
mod answer_body;
mod app;
mod connection;
mod fields;
mod frame_budget;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod heads;
mod held_bytes;
mod limits;
mod metrics;
mod refusals;
mod refused_stream;
mod requests;
mod roster;
mod run_at_once;
mod server;
mod serving_threads;
mod shared;
mod signal;
mod unread;
mod watched_stream;

pub use app::{App, Handler, HandlerFuture, Refused, RefusedWhat};
pub use limits::{Limits, MAX_FIELDS, MAX_HEAD};
pub use metrics::ConnectionMetrics;
pub use server::{Listener, Serving};
