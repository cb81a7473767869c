//! The settings of a Keeper.

use std::path::PathBuf;

use super::{HttpServerSettings, LogSettings, TelemetrySettings};
use spike_config::{Environment, ListenAddress, Loaded, Process, Reader, load, table};
use spike_mtls::settings::IdentitySettings;

/// Everything that a Keeper is told by its environment.
#[derive(Clone, Debug)]
pub struct KeeperSettings {
    /// Who it is, and whom it believes.
    pub identity: IdentitySettings,
    /// Where it serves its API.
    pub listen: ListenAddress,
    /// Bounds on its callers.
    pub server: HttpServerSettings,
    /// Where it serves probes and metrics.
    pub telemetry: TelemetrySettings,
    /// How it logs.
    pub log: LogSettings,
    /// The file that says whether Bootstrap is done.
    pub bootstrap_note: Option<PathBuf>,
}

impl KeeperSettings {
    /// Reads everything, and collects what is wrong.
    pub fn read(reader: &mut Reader<'_>) -> Self {
        let listen = reader.listen(&table::SPIKE_KEEPER_TLS_PORT);
        Self {
            identity: IdentitySettings::read(reader),
            server: HttpServerSettings::read(reader),
            telemetry: TelemetrySettings::read(
                reader,
                &table::SPIKE_KEEPER_TELEMETRY_ADDR,
                &listen,
            ),
            log: LogSettings::read(reader),
            bootstrap_note: reader.any_text(&table::SPIKE_KEEPER_BOOTSTRAP_NOTE).map(PathBuf::from),
            listen,
        }
    }

    /// The settings, and the problems that do not keep the Keeper from starting.
    ///
    /// # Errors
    /// [`spike_config::ConfigError`] with all problems, where at least one is fatal.
    pub fn load(environment: &Environment) -> Loaded<Self> {
        load(environment, Process::Keeper, Self::read)
    }
}
