//! The level of the log of a running daemon.
//!
//! It is changed without a restart, and a restart brings back that of the setting. It is that of SPIKE's own crates alone: what
//! libraries see of a connection is logged at no level.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use tracing::{Level, level_filters::LevelFilter};
use tracing_subscriber::{Registry, filter::Targets, reload};

/// The crates that log at the configured level.
const OURS: &str = "spike";

/// Libraries that warn of what a peer does, a line for each of its frames. The audit log has a bounded number of lines about it.
const DRIVEN_BY_PEERS: [&str; 2] = ["h2", "hyper"];

/// A handle on the level; clones share it.
#[derive(Clone)]
pub struct LogLevel {
    handle: reload::Handle<Targets, Registry>,
    configured: Level,
    current: Arc<Mutex<Level>>,
}

/// The level cannot be changed any more: the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the log has ended")]
pub struct LogEnded;

impl LogLevel {
    /// The level of the setting, until it is changed.
    pub(crate) fn new(handle: reload::Handle<Targets, Registry>, configured: Level) -> Self {
        Self { handle, configured, current: Arc::new(Mutex::new(configured)) }
    }

    /// A level that no log has, for tests of a listener.
    #[cfg(test)]
    pub(crate) fn of_no_log() -> Self {
        let (_, handle) = reload::Layer::new(filter(Level::WARN));
        Self::new(handle, Level::WARN)
    }

    /// The level by its name, in upper or lower case.
    pub(crate) fn parse(name: &str) -> Option<Level> {
        match name.trim().to_ascii_uppercase().as_str() {
            "ERROR" => Some(Level::ERROR),
            "WARN" => Some(Level::WARN),
            "INFO" => Some(Level::INFO),
            "DEBUG" => Some(Level::DEBUG),
            "TRACE" => Some(Level::TRACE),
            _ => None,
        }
    }

    /// The level in force.
    pub(crate) fn current(&self) -> Level {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The level of the setting.
    pub(crate) const fn configured(&self) -> Level {
        self.configured
    }

    /// Changes the level, and logs that once: under the old or the new level, whichever shows it.
    ///
    /// # Errors
    /// [`LogEnded`].
    pub(crate) fn set(&self, level: Level, by: impl fmt::Display) -> Result<(), LogEnded> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *current, level);
        let log = || {
            let (from, to) = (before.as_str(), level.as_str());
            tracing::warn!(from, to, by = %by, "the log level was changed");
        };
        // The later levels show more.
        if before > level {
            log();
        }
        self.handle.reload(filter(level)).map_err(|_ended| LogEnded)?;
        if before < level {
            log();
        }
        Ok(())
    }
}

/// Which lines are written.
pub(crate) fn filter(level: Level) -> Targets {
    let level = LevelFilter::from_level(level);
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_targets(DRIVEN_BY_PEERS.map(|library| (library, level.min(LevelFilter::ERROR))))
        .with_target(OURS, level)
}

impl fmt::Debug for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LogLevel").field(&self.current()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_known_by_its_name_alone() {
        for (name, level) in [
            ("debug", Some(Level::DEBUG)),
            (" WARN\n", Some(Level::WARN)),
            ("Trace", Some(Level::TRACE)),
            ("", None),
            ("1", None),
            ("spike_nexus=debug", None),
            ("off", None),
        ] {
            assert_eq!(LogLevel::parse(name), level, "{name:?}");
        }
    }
}
