//! Connections that know who is on the other end.
//!
//! Every listener and every client takes a [`PeerRule`]; none has a default. A connection exists only after the peer's
//! certificate has passed `peer::verify`: one SPIFFE ID, not a CA, a chain to the bundle of the ID's own trust
//! domain, and the rule. Each request asks whether the identity still stands ([`Peer::check`]). Session tickets are never issued: a resumed session would skip all of this.

mod activity;
mod ahead;
mod app;
mod client;
mod connection;
mod dial;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod heads;
mod pause;
mod peer;
mod roster;
mod server;
mod signal;
mod tls;
mod untaken;
mod words;

pub use app::{Answer, Answers, App, Refused, RefusedWhat};
pub use client::{ClientTimeouts, MtlsClient, TransportError};
pub use pause::Pause;
pub use peer::{IdentityEnded, Peer, PeerError, PeerRule};
pub use server::{ConnectionMetrics, Limits, Listener, MAX_HEAD, Serving};
