//! What a process says about itself: logs and telemetry.

use spike_config::{ListenAddress, Reader, Variable, table};

/// The least severe messages that are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Everything.
    Debug,
    /// The ordinary course of things.
    Info,
    /// What may need attention: the default.
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

/// How a process logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// The least severe messages that are logged.
    pub level: Level,
    /// Whether plain text comes before the first log line. Daemons only.
    pub banner: bool,
    /// Accepted, without effect: a daemon always says so when memory cannot be locked.
    pub memory_warning: bool,
    /// Whether a fatal error shows where in the program it arose.
    pub stack_traces: bool,
}

impl LogSettings {
    /// Reads the group.
    pub fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            level: reader.word(&table::SPIKE_SYSTEM_LOG_LEVEL, Level::parse),
            banner: reader.flag(&table::SPIKE_BANNER_ENABLED),
            memory_warning: reader.flag(&table::SPIKE_PILOT_SHOW_MEMORY_WARNING),
            stack_traces: reader.flag(&table::SPIKE_STACK_TRACES_ON_LOG_FATAL),
        }
    }
}

/// Where probes and metrics are served (design §6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelemetrySettings {
    /// The plain HTTP listener; `None` when it is turned off.
    pub listen: Option<ListenAddress>,
    /// Whether somebody chose the address: then it must work. The default one may be taken by another daemon.
    pub chosen: bool,
}

impl TelemetrySettings {
    /// How far the port of the default address is from the TLS port.
    const DISTANCE: u16 = 1000;

    /// Reads the group. `variable` is that of the daemon, `tls` the address of its API.
    pub fn read(reader: &mut Reader<'_>, variable: &'static Variable, tls: &ListenAddress) -> Self {
        let port = match tls.port {
            // Any port there, any port here.
            0 => 0,
            port => port.checked_add(Self::DISTANCE).unwrap_or_else(|| port - Self::DISTANCE),
        };
        let listen = reader.listen_or_off(variable, ListenAddress::loopback(port));
        Self { listen, chosen: reader.is_set(variable) }
    }
}
