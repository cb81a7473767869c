//! What an answer holds until it is sent.

use spike_mtls::{
    Peer, RequestInFlight,
    budget::{Over, Taken},
};

use super::allowance::Allowance;

/// What an answer holds until it is sent.
#[derive(Debug)]
#[expect(dead_code, reason = "dropping it returns what it holds")]
pub(super) enum Held {
    /// A slot among the requests in flight.
    InFlight(Taken, RequestInFlight),
    /// HTTP/2: a slot among the answers to refused requests.
    Refusal(Taken),
    /// A refused request over HTTP/1.1, where a connection has one answer at a time.
    OneAtATime,
    /// A refused request over HTTP/2 for which there was no slot. It is answered without a body: a head needs no window.
    Nothing,
}

impl Held {
    /// A slot among the requests in flight.
    ///
    /// # Errors
    /// [`Over`]: there is none.
    pub(super) fn in_flight(allowance: &Allowance, peer: &Peer) -> Result<Self, Over> {
        Ok(Self::InFlight(allowance.in_flight.take(1)?, peer.begin_request()))
    }

    /// What the answer to a refused request holds.
    pub(super) fn by_refusal(allowance: &Allowance, is_http2: bool) -> Self {
        if !is_http2 {
            return Self::OneAtATime;
        }
        allowance.refusals.take(1).map_or(Self::Nothing, Self::Refusal)
    }
}
