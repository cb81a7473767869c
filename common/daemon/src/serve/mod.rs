//! The listener: accepts connections, bounds them, answers their requests, drains them.
//!
//! Who the peer of a connection is, and whether it may connect, is decided in `spike-mtls`.

mod activity;
mod ahead;
mod app;
mod connection;
mod heads;
mod limits;
mod metrics;
mod roster;
mod server;
mod shared;
mod signal;
mod unread;

pub use app::{App, Handler, HandlerFuture, Refused, RefusedWhat};
pub use limits::{Limits, MAX_HEAD};
pub use metrics::ConnectionMetrics;
pub use server::{Listener, Serving};
