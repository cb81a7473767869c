//! The sender of the requests of one connection.

use std::sync::Arc;

use spike_mtls::Peer;

use super::{caller::Caller, frame::Frame};

/// The sender of the requests of one connection, and the frame that records them.
///
/// Each connection has its own. Its requests share it, and not the frame itself: every processor would write the
/// reference count of the frame for each request.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) frame: Arc<Frame>,
    pub(super) peer: Peer,
    pub(super) caller: Caller,
}
