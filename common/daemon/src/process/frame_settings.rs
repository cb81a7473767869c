//! The settings that every daemon has.

use std::time::Duration;

use spike_mtls::settings::ForeignRoots;

use crate::settings::{AuditSettings, LogSettings, TelemetrySettings};

/// The settings that every daemon needs.
#[derive(Clone, Debug)]
pub struct FrameSettings {
    /// The log level and the banner.
    pub log: LogSettings,
    /// Where audit lines go.
    pub audit: AuditSettings,
    /// Where health and metrics are served.
    pub telemetry: TelemetrySettings,
    /// How long requests in flight may take to finish at the end.
    pub drain: Duration,
    /// The trust roots in foreign trust domains, as far as settings show them.
    pub foreign_roots: Vec<ForeignRoots>,
}
