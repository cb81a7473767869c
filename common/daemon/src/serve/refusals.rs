//! What a connection received that no handler saw, and why the connection ended, for the audit log.

use std::{error::Error, net::SocketAddr, sync::Arc};

use spike_mtls::Peer;

use super::{
    activity::Activity,
    app::{Refused, RefusedWhat},
    metrics::Reason,
    requests::Excess,
    shared::Shared,
};

/// The audit reason of a head that became no request. The library does not say which of these it was.
const BROKEN_HEAD: &str = "refused by the HTTP/2 layer: the head breaks its rules or is too large, there are too many \
     streams, or the connection ends";
/// The audit reason of an incomplete head, and the status it would have been answered with.
const LATE_HEAD: (u16, &str) =
    (408, "the head of the request did not arrive in time, and its connection was cut");
const TOO_MANY_MALFORMED: &str =
    "too many malformed requests of this SPIFFE ID, and the connection was cut";
const ENDED_BEFORE: &str = "the connection ended before the request was looked at";
/// A fault of ours. The limits of a head may not have held for what the peer has sent.
const OUT_OF_STEP: &str = "the HTTP library has read other requests than were counted here, which is a fault of SPIKE, and the \
     connection was cut";
/// A part of the HTTP/1.1 library's words for the preface of HTTP/2.
const HTTP2_PREFACE: &str = "HTTP2 preface";
const ENDED_WITHIN_HEAD: &str = "the connection ended before the head of the request was complete";

/// Requests of one connection that no handler received.
pub(super) struct Refusals<'a> {
    shared: &'a Shared,
    address: SocketAddr,
    peer: Peer,
    activity: Arc<Activity>,
    /// Heads without a request that were reported.
    reported: u64,
    /// There were too many of them, and the connection ends.
    is_over_limit: bool,
}

impl<'a> Refusals<'a> {
    pub(super) const fn new(
        shared: &'a Shared,
        address: SocketAddr,
        peer: Peer,
        activity: Arc<Activity>,
    ) -> Self {
        Self { shared, address, peer, activity, reported: 0, is_over_limit: false }
    }

    /// Reports the heads that the HTTP/2 library has refused since the last call. `false`: there are too many.
    pub(super) fn may_continue(&mut self) -> bool {
        // Otherwise some of them may still become requests.
        self.is_over_limit |= self.activity.is_drained() && !self.report_heads(BROKEN_HEAD);
        !self.is_over_limit
    }

    /// Reports what had no line yet when the connection ended, with its error if there was one.
    pub(super) fn connection_ended(&mut self, error: Option<&hyper::Error>) {
        // Usually the peer has gone, and the error matters only to it. A malformed request is recorded.
        let excess = self.activity.excess();
        if let Some((status, reason)) = error.and_then(|error| malformed(error, excess)) {
            self.report(Reason::Malformed, status, &reason);
            // Usually a head has broken the connection: then this is its line.
            self.reported += 1;
        } else if self.activity.is_out_of_step() {
            self.report(Reason::Malformed, 0, OUT_OF_STEP);
        } else if self.activity.has_late_head() {
            self.report(Reason::HeadTimeout, LATE_HEAD.0, LATE_HEAD.1);
        } else if let Some(reason) = self.flood() {
            let class = self.peer.class();
            self.report_as(Reason::Cut, RefusedWhat::Cut { class }, reason);
        } else if self.activity.is_within_head() {
            self.report(Reason::Malformed, 400, ENDED_WITHIN_HEAD);
        }
        self.report_heads(ENDED_BEFORE);
    }

    /// Why the connection was cut for what its peer sends.
    fn flood(&self) -> Option<&'static str> {
        self.activity.flood().or(self.is_over_limit.then_some(TOO_MANY_MALFORMED))
    }

    fn report_heads(&mut self, reason: &str) -> bool {
        let mut may_continue = true;
        while self.reported < self.activity.heads_without_request() {
            self.reported += 1;
            may_continue &= self.report(Reason::RefusedRequest, 400, reason);
        }
        may_continue
    }

    fn report(&self, counted: Reason, status: u16, reason: &str) -> bool {
        let what = RefusedWhat::Request { status, class: self.peer.class() };
        self.report_as(counted, what, reason)
    }

    fn report_as(&self, counted: Reason, what: RefusedWhat, reason: &str) -> bool {
        let refused = Refused { address: self.address, id: Some(self.peer.id()), what, reason };
        self.shared.refuse(counted, &refused)
    }
}

/// The error in what the peer sent, and the status of the answer, 0 if there was none; `None` if the peer just left.
fn malformed(error: &hyper::Error, excess: Excess) -> Option<(u16, String)> {
    let reason =
        || error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
    if error.is_parse_too_large() {
        // The library has a limit for the target alone, too.
        let is_target = error.to_string().contains("URI");
        return Some(if is_target { (414, reason()) } else { (431, excess.reason()) });
    }
    if error.is_parse() {
        // HTTP/2 over a connection that has agreed on HTTP/1.1 gets no answer.
        let is_answered = !error.to_string().contains(HTTP2_PREFACE);
        return Some((if is_answered { 400 } else { 0 }, reason()));
    }
    // A peer that breaks the rules of HTTP/2 receives a frame, not a status.
    let http2 = error.source()?.downcast_ref::<h2::Error>()?;
    (http2.is_go_away() && http2.is_library() && http2.reason() != Some(h2::Reason::NO_ERROR))
        .then(|| (400, reason()))
}
