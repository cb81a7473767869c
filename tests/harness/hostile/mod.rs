//! A client that breaks the protocol on purpose: HTTP/2 frame by frame, and HTTP/1.1 left in the middle.
//!
//! [`Http2Peer`] sends the frames that it is told to send and keeps what comes back; [`Manners`] say what it does by
//! itself. [`attack`] has the attacks that specifications and benches share, each a function with parameters.
//! [`Leave`] is how a client goes away. What the right end of an attack is stands in `specs/hostile/`.

pub mod attack;
pub mod flood;
pub mod frame;
pub mod hpack;
mod http2;
mod leave;
mod process;
mod seen;

pub use self::{
    http2::{Http2Peer, Manners, post_in_frames},
    leave::Leave,
    process::{MIB, processor_time, resident},
    seen::Reply,
};
