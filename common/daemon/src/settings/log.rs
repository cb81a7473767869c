//! Settings of the log and of telemetry.

use std::sync::Arc;

use spike_config::{ListenAddress, Reader, Variable, table};
use spike_domain::CoveredIds;

/// The severity of a log message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Everything.
    Debug,
    /// Normal operation.
    Info,
    /// Messages that may need attention: the default.
    Warn,
    /// Failures only.
    Error,
}

impl Level {
    fn parse(text: &str) -> Option<Self> {
        match text.to_uppercase().as_str() {
            "DEBUG" => Some(Self::Debug),
            "INFO" => Some(Self::Info),
            "WARN" => Some(Self::Warn),
            "ERROR" => Some(Self::Error),
            _ => None,
        }
    }
}

impl From<Level> for tracing::Level {
    fn from(level: Level) -> Self {
        match level {
            Level::Debug => Self::DEBUG,
            Level::Info => Self::INFO,
            Level::Warn => Self::WARN,
            Level::Error => Self::ERROR,
        }
    }
}

/// Settings of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// The lowest severity that is logged.
    pub level: Level,
    /// Whether plain text precedes the first log line. Daemons only.
    pub banner: bool,
}

impl LogSettings {
    /// Reads the group.
    pub fn read(reader: &mut Reader<'_>) -> Self {
        // Checked, but without effect.
        reader.flag(&table::SPIKE_PILOT_SHOW_MEMORY_WARNING);
        reader.flag(&table::SPIKE_STACK_TRACES_ON_LOG_FATAL);
        Self {
            level: reader.word(&table::SPIKE_SYSTEM_LOG_LEVEL, Level::parse),
            banner: reader.flag(&table::SPIKE_BANNER_ENABLED),
        }
    }
}

/// Where health and metrics are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelemetrySettings {
    /// The plain HTTP listener; `None` if it is turned off.
    pub listen: Option<ListenAddress>,
    /// Whether the address is configured: then it must work. The default one may be in use by another daemon.
    pub chosen: bool,
    /// Who may read the metrics over mTLS, too.
    pub scrapers: Arc<CoveredIds>,
}

impl TelemetrySettings {
    /// The distance of the default port from the TLS port.
    const DISTANCE: u16 = 1000;

    /// Reads the group. `variable` is the daemon's setting, `tls` the address of its API.
    pub fn read(reader: &mut Reader<'_>, variable: &'static Variable, tls: &ListenAddress) -> Self {
        let port = match tls.port {
            // Port 0 stays 0.
            0 => 0,
            port => port.checked_add(Self::DISTANCE).unwrap_or_else(|| port - Self::DISTANCE),
        };
        let listen = reader.listen_or_off(variable, ListenAddress::loopback(port));
        Self {
            listen,
            chosen: reader.is_set(variable),
            scrapers: Arc::new(reader.spiffe_ids(&table::SPIKE_METRICS_SPIFFE_IDS)),
        }
    }
}
