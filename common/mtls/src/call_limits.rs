//! The time limits of a call, and why one got no answer.

use std::{future::Future, io, sync::Arc, time::Duration};

use super::peer_error::PeerError;

/// Time limits of each part of a call: the `SPIKE_HTTP_CLIENT_*` settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientTimeouts {
    /// The whole call. Zero means no limit, as in Go.
    pub whole: Duration,
    /// The TCP connection. Zero means no limit.
    pub dial: Duration,
    /// The TLS handshake. Zero means no limit.
    pub handshake: Duration,
    /// From the request to the head of the answer. Zero means no limit.
    pub response_header: Duration,
    /// How long an unused connection is kept.
    pub idle: Duration,
    /// The most unused connections to one server.
    pub idle_per_host: usize,
}

impl Default for ClientTimeouts {
    fn default() -> Self {
        Self {
            whole: Duration::from_mins(1),
            dial: Duration::from_secs(30),
            handshake: Duration::from_secs(10),
            response_header: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            idle_per_host: 10,
        }
    }
}

/// Why a call got no answer. An error that the server answered is not one of these.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TransportError {
    /// No connection: wrong address, nothing listening, a firewall.
    #[error("cannot connect to {host}: {source}")]
    Connect {
        /// Host and port that were dialled.
        host: String,
        /// What the operating system said.
        source: Arc<io::Error>,
    },
    /// The server has another identity, or does not speak TLS correctly.
    #[error("the TLS handshake with {host} failed: {source}")]
    Handshake {
        /// Host and port that were dialled.
        host: String,
        /// What was wrong with the server's certificate, or with the protocol.
        source: Arc<io::Error>,
    },
    /// A time limit was reached.
    #[error("{what} took longer than {limit:?}")]
    Timeout {
        /// The part of the call.
        what: &'static str,
        /// The time limit.
        limit: Duration,
    },
    /// The connection broke after the handshake. With TLS 1.3 this is also how a server refuses this SVID, and how it refuses one
    /// connection too many.
    #[error(
        "the server ended the connection without an answer (does it accept this SVID, or has it too many connections?): {0}"
    )]
    Broken(String),
    /// The server said that it does not accept this SVID.
    #[error("the server ended the connection without an answer: {0}")]
    Unaccepted(String),
    /// The address is invalid.
    #[error("{0:?} is not an https address with a host")]
    Address(String),
    /// The answer is too large.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// The largest answer that is read.
        limit: usize,
    },
    /// The server sends more than an answer and its heads can be: heads without end, for example.
    #[error("the server sent more than {limit} bytes, heads included, and no whole answer")]
    Endless {
        /// The most bytes that are read for one answer.
        limit: usize,
    },
}

pub(super) const CONNECTING: &str = "the TCP connection";
pub(super) const HANDSHAKE: &str = "the TLS handshake";

impl TransportError {
    /// Whether the call ended before there was a connection to send the request on.
    pub fn is_before_the_request(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Handshake { .. } | Self::Address(_) => true,
            Self::Timeout { what, .. } => [CONNECTING, HANDSHAKE].contains(what),
            Self::Broken(_)
            | Self::Unaccepted(_)
            | Self::TooLarge { .. }
            | Self::Endless { .. } => false,
        }
    }

    /// Why the server's certificate was refused, if that ended the handshake.
    pub fn peer_error(&self) -> Option<&PeerError> {
        match self {
            Self::Handshake { source, .. } => source.get_ref()?.downcast_ref(),
            Self::Connect { .. }
            | Self::Timeout { .. }
            | Self::Broken(_)
            | Self::Unaccepted(_)
            | Self::Address(_)
            | Self::TooLarge { .. }
            | Self::Endless { .. } => None,
        }
    }
}

/// Runs `work` within `limit`; zero means no limit.
pub(super) async fn within<T>(
    limit: Duration,
    what: &'static str,
    work: impl Future<Output = Result<T, TransportError>>,
) -> Result<T, TransportError> {
    if limit.is_zero() {
        return work.await;
    }
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done,
        Err(_) => Err(TransportError::Timeout { what, limit }),
    }
}
