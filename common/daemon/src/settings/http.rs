//! Limits of a listener (wire-api 2.4).

use std::time::Duration;

use crate::{
    http::{BodyLimits, RequestLimits},
    limit::Rate,
    serve::Limits,
};
use spike_config::{Reader, table};
use spike_mtls::budget::Bounds;

/// Bounds on the callers of a listener.
#[derive(Clone, Copy, Debug)]
pub struct HttpServerSettings {
    /// Bounds on connections.
    pub limits: Limits,
    /// Bounds on requests.
    pub requests: RequestLimits,
    /// How long requests in flight may take to finish after SIGTERM.
    pub drain_timeout: Duration,
}

impl HttpServerSettings {
    /// Reads the group, of a daemon in which so many connections may be in their handshakes.
    pub fn read(reader: &mut Reader<'_>, handshakes: usize) -> Self {
        let body = BodyLimits {
            bytes: reader.count(&table::SPIKE_HTTP_SERVER_MAX_BODY_SIZE),
            time: reader.duration(&table::SPIKE_HTTP_SERVER_READ_BODY_TIMEOUT),
        };
        // One body of the largest size must fit, whatever is configured.
        let largest = u64::try_from(body.bytes).unwrap_or(u64::MAX);
        let each = reader.count::<u64>(&table::SPIKE_HTTP_SERVER_MAX_MEMORY_PER_ID).max(largest);
        let memory = reader.count::<u64>(&table::SPIKE_HTTP_SERVER_MAX_MEMORY);
        let requests = RequestLimits {
            body,
            in_flight: with_reserve(
                reader.count(&table::SPIKE_HTTP_SERVER_MAX_REQUESTS),
                reader.count(&table::SPIKE_HTTP_SERVER_MAX_REQUESTS_PER_ID),
            ),
            memory: with_reserve(memory.max(largest.saturating_mul(2)), each),
            denials: Rate {
                per_second: reader.count(&table::SPIKE_HTTP_SERVER_DENIALS_PER_SECOND),
                burst: reader.count(&table::SPIKE_HTTP_SERVER_DENIALS_BURST),
            },
        };
        Self {
            requests,
            limits: Limits {
                header_timeout: reader.duration(&table::SPIKE_HTTP_SERVER_READ_HEADER_TIMEOUT),
                idle_timeout: reader.duration(&table::SPIKE_HTTP_SERVER_IDLE_TIMEOUT),
                stall_timeout: reader.duration(&table::SPIKE_HTTP_SERVER_STALL_TIMEOUT),
                connections: reader.count(&table::SPIKE_HTTP_SERVER_MAX_CONNECTIONS),
                connections_per_id: reader.count(&table::SPIKE_HTTP_SERVER_MAX_CONNECTIONS_PER_ID),
                handshakes,
            },
            drain_timeout: reader.duration(&table::SPIKE_HTTP_SERVER_DRAIN_TIMEOUT),
        }
    }
}

/// Bounds with a reserve of an eighth.
const fn with_reserve(all: u64, each: u64) -> Bounds {
    Bounds { all, each, reserve: all / 8 }
}
