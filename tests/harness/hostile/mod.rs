//! A client that breaks the protocol on purpose: HTTP/2 frame by frame, and HTTP/1.1 left in the middle.
//!
//! [`Http2Peer`] sends the frames of the test and records the answers; [`PeerBehaviour`] is what it does by itself. [`attack`],
//! [`heads`] and [`handshake`] have the attacks that specifications and benches share. [`Leave`] lists ways to end a connection
//! early. `specs/hostile/` says how each attack must end.

pub mod attack;
pub mod flood;
pub mod frame;
pub mod handshake;
pub mod heads;
pub mod hpack;
mod http2;
mod large_body;
mod leave;
mod process;
mod seen;

pub use self::{
    http2::{Http2Peer, PeerBehaviour, post_in_frames},
    large_body::LargeBody,
    leave::Leave,
    process::{MIB, processor_time, resident, taken},
    seen::Reply,
};
