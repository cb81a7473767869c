//! Connections with a verified peer.
//!
//! Every listener and every client takes a [`PeerRule`]; there is no default. A connection exists only after
//! `peer::verify` has accepted the peer's certificate: one SPIFFE ID, not a CA, a chain to the bundle of the ID's own
//! trust domain, and the rule. Each request checks the identity again ([`Peer::check`]). There are no session tickets,
//! because a resumed session would skip all of this.
//!
//! [`svid`] renews the X.509-SVID of this process. [`client`] has a typed call for every route. [`settings`] reads the
//! settings of a client. [`budget`] counts what a peer uses, [`timings`] how long something took. The listener is in `spike-daemon`.

mod bounded;
pub mod budget;
mod busy;
mod call_limits;
pub mod client;
pub mod clock;
mod connector;
mod counted;
mod dial;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod handshake_fault;
mod handshake_stream;
mod pause;
mod peer;
mod peer_error;
pub mod retry;
pub mod settings;
pub mod svid;
pub mod timings;
mod tls;
pub mod tls_error;
mod transport;

pub use bounded::bounded_connector;
pub use busy::RequestInFlight;
pub use call_limits::{ClientTimeouts, TransportError};
pub use handshake_fault::HandshakeFault;
pub use handshake_stream::{HandshakeStream, poll_read_part};
pub use pause::{Pause, Paused};
pub use peer::{IdentityEnded, MAX_SPIFFE_ID, Peer, PeerCertificate, PeerRule};
pub use peer_error::PeerError;
pub use tls::server_config;
pub use transport::MtlsClient;
