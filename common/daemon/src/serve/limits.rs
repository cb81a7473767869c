//! Bounds on the peers of a listener.

use std::time::Duration;

use spike_mtls::budget::Bounds;

use crate::process::fit_connections;

/// Bounds on everything that a peer controls. All are per listener.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From accept to the end of the TLS handshake, and from the first byte of a request to the end of its head.
    pub header_timeout: Duration,
    /// How long a connection may stay open between two requests.
    pub idle_timeout: Duration,
    /// How long a peer may read nothing of a waiting answer.
    pub stall_timeout: Duration,
    /// Open connections in all. A sixteenth of them is reserved for operators, Nexus and Bootstrap.
    pub connections: usize,
    /// Open connections of one SPIFFE ID.
    pub connections_per_id: usize,
    /// The most connections in their handshakes. It is an eighth of all connections, and at least 16, if that is less.
    pub handshakes: usize,
}

impl Limits {
    /// The budget of connections.
    pub(super) fn connection_budget(&self) -> Bounds {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let reserve = if self.connections > 1 { (self.connections / 16).max(1) } else { 0 };
        Bounds {
            all: count(self.connections),
            each: count(self.connections_per_id),
            reserve: count(reserve),
        }
    }

    /// Reduces the number of connections, including handshakes, to the file descriptors of the process.
    pub(super) fn fitted(self) -> Self {
        let fitted = fit_connections(self.connections.saturating_add(self.handshakes()));
        Self { connections: self.connections.min(fitted.saturating_mul(8) / 9).max(1), ..self }
    }

    /// The most connections in their handshakes.
    pub(super) fn handshakes(&self) -> usize {
        (self.connections / 8).max(16).min(self.handshakes)
    }

    pub(super) const fn times(&self) -> TimeLimits {
        TimeLimits { head: self.header_timeout, idle: self.idle_timeout, stall: self.stall_timeout }
    }
}

/// How long a connection may take for each kind of activity.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeLimits {
    /// Receiving the head of a request.
    pub(super) head: Duration,
    /// Idle between two requests.
    pub(super) idle: Duration,
    /// Reading the next part of an answer.
    pub(super) stall: Duration,
}

/// The largest request head, in bytes; a larger one is answered 431.
pub const MAX_HEAD: usize = 64 * 1024;

/// The most header fields of a request, also the limit of the HTTP/1.1 library; one with more is answered 431. Each takes
/// far more memory than its text.
pub const MAX_FIELDS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_eighth_of_the_connections_may_be_in_the_handshake_within_bounds() {
        for (connections, handshakes, expected) in [
            (4096, 512, 512),
            (4096, 128, 128),
            (512, 128, 64),
            (8, 512, 16),
            (1_000_000, 512, 512),
        ] {
            let limits = Limits {
                header_timeout: Duration::ZERO,
                idle_timeout: Duration::ZERO,
                stall_timeout: Duration::ZERO,
                connections,
                connections_per_id: connections,
                handshakes,
            };
            assert_eq!(limits.handshakes(), expected, "of {connections}, at most {handshakes}");
        }
    }
}
