//! Limits of a client (wire-api 2.4).

use std::time::Duration;

use spike_config::{Reader, table};

use crate::ClientTimeouts;

/// Time limits of the calls of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpClientSettings {
    /// The time limits; zero means none.
    pub timeouts: ClientTimeouts,
}

impl HttpClientSettings {
    /// Reads the group, including variables without effect, so that bad values are reported.
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
