//! Connections that know who is on the other end.
//!
//! Every listener and every client takes a [`PeerRule`]; none has a default. A connection exists only after the peer's
//! certificate has passed `peer::verify`: one SPIFFE ID, not a CA, a chain to the bundle of the ID's own trust
//! domain, and the rule. Each request asks whether the identity still stands ([`Peer::check`]). Session tickets are never
//! issued: a resumed session would skip all of this.
//!
//! [`svid`] keeps the X.509-SVID of this process fresh, [`client`] has a typed call for every route, [`settings`] reads what a
//! process that calls must be told, [`budget`] counts what a peer may use at the same time. The listener is in `spike-daemon`.

pub mod budget;
pub mod client;
pub mod clock;
mod dial;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod pause;
mod peer;
mod peer_error;
pub mod retry;
pub mod settings;
pub mod svid;
mod tls;
mod transport;
pub mod words;

pub use pause::{Pause, Paused};
pub use peer::{IdentityEnded, Peer, PeerRule};
pub use peer_error::PeerError;
pub use tls::server_config;
pub use transport::{ClientTimeouts, MtlsClient, TransportError};
