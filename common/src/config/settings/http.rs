//! Limits of servers and clients (wire-api 2.4, design §5).

use std::time::Duration;

use crate::{
    config::{Reader, table},
    limit::Rate,
    mtls::{ClientTimeouts, Limits},
};

/// Bounds on what callers may do to a listener.
#[derive(Clone, Copy, Debug)]
pub struct HttpServerSettings {
    /// Bounds on connections.
    pub limits: Limits,
    /// How long the body of a request may take.
    pub read_body_timeout: Duration,
    /// The largest body of a request, in bytes.
    pub max_body_size: usize,
    /// How often one SPIFFE ID may be denied.
    pub denials: Rate,
    /// How long requests in flight may take to finish after SIGTERM.
    pub drain_timeout: Duration,
}

impl HttpServerSettings {
    /// Reads the group.
    pub fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            limits: Limits {
                header_timeout: reader.duration(&table::SPIKE_HTTP_SERVER_READ_HEADER_TIMEOUT),
                idle_timeout: reader.duration(&table::SPIKE_HTTP_SERVER_IDLE_TIMEOUT),
                connections: reader.count(&table::SPIKE_HTTP_SERVER_MAX_CONNECTIONS),
                connections_per_id: reader.count(&table::SPIKE_HTTP_SERVER_MAX_CONNECTIONS_PER_ID),
            },
            read_body_timeout: reader.duration(&table::SPIKE_HTTP_SERVER_READ_BODY_TIMEOUT),
            max_body_size: reader.count(&table::SPIKE_HTTP_SERVER_MAX_BODY_SIZE),
            denials: Rate {
                per_second: reader.count(&table::SPIKE_HTTP_SERVER_DENIALS_PER_SECOND),
                burst: reader.count(&table::SPIKE_HTTP_SERVER_DENIALS_BURST),
            },
            drain_timeout: reader.duration(&table::SPIKE_HTTP_SERVER_DRAIN_TIMEOUT),
        }
    }
}

/// Time limits of the calls that a process makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpClientSettings {
    /// The limits, as the client takes them: zero where there is none.
    pub timeouts: ClientTimeouts,
}

impl HttpClientSettings {
    /// Reads the group. Variables without effect are read too, so that a bad value is found.
    pub fn read(reader: &mut Reader<'_>) -> Self {
        let mut limit = |variable| reader.time_limit(variable).unwrap_or(Duration::ZERO);
        let timeouts = ClientTimeouts {
            whole: limit(&table::SPIKE_HTTP_CLIENT_TIMEOUT),
            dial: limit(&table::SPIKE_HTTP_CLIENT_DIALER_TIMEOUT),
            handshake: limit(&table::SPIKE_HTTP_CLIENT_TLS_HANDSHAKE_TIMEOUT),
            response_header: limit(&table::SPIKE_HTTP_CLIENT_RESPONSE_HEADER_TIMEOUT),
            idle: reader.duration(&table::SPIKE_HTTP_CLIENT_IDLE_CONN_TIMEOUT),
            idle_per_host: reader.count(&table::SPIKE_HTTP_CLIENT_MAX_IDLE_CONNS_PER_HOST),
        };
        reader.signed_duration(&table::SPIKE_HTTP_CLIENT_DIALER_KEEP_ALIVE);
        reader.signed_duration(&table::SPIKE_HTTP_CLIENT_EXPECT_CONTINUE_TIMEOUT);
        reader.count::<i64>(&table::SPIKE_HTTP_CLIENT_MAX_IDLE_CONNS);
        reader.count::<i64>(&table::SPIKE_HTTP_CLIENT_MAX_CONNS_PER_HOST);
        Self { timeouts }
    }
}
