//! Bounds on what peers do to a listener.

use std::time::Duration;

use spike_mtls::budget::Bounds;

use super::activity::TimeLimits;
use crate::process::fit_connections;

/// Bounds on everything that a peer controls. All are per listener.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From accept to the end of the TLS handshake, and from the first byte of a request to the end of its headers.
    pub header_timeout: Duration,
    /// How long a connection may stay open between two requests.
    pub idle_timeout: Duration,
    /// How long a peer may take nothing of an answer that is there for it.
    pub stall_timeout: Duration,
    /// Open connections in all. A sixteenth of them is kept back for operators, Nexus and Bootstrap.
    pub connections: usize,
    /// Open connections of one SPIFFE ID.
    pub connections_per_id: usize,
}

impl Limits {
    /// The places for connections, as a budget.
    pub(super) fn places(&self) -> Bounds {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let reserve = if self.connections > 1 { (self.connections / 16).max(1) } else { 0 };
        Bounds {
            all: count(self.connections),
            each: count(self.connections_per_id),
            reserve: count(reserve),
        }
    }

    /// As many connections, with those in their handshakes, as the process has file descriptors for.
    pub(super) fn fitted(self) -> Self {
        let fitted = fit_connections(self.connections.saturating_add(self.handshakes()));
        Self { connections: self.connections.min(fitted.saturating_mul(8) / 9).max(1), ..self }
    }

    /// How many connections may be in their handshakes.
    pub(super) fn handshakes(&self) -> usize {
        (self.connections / 8).clamp(16, 512)
    }

    pub(super) const fn times(&self) -> TimeLimits {
        TimeLimits { head: self.header_timeout, idle: self.idle_timeout, stall: self.stall_timeout }
    }
}

/// The largest request head that is taken, in bytes; more is answered 431.
pub const MAX_HEAD: usize = 64 * 1024;
