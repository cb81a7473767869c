//! The settings of a Keeper.

use std::path::PathBuf;

use super::{AuditSettings, HttpServerSettings, LogSettings, TelemetrySettings};
use spike_config::{Environment, ListenAddress, Loaded, Process, Reader, load, table};
use spike_mtls::settings::IdentitySettings;

/// The most connections in their handshakes: few call a Keeper, it has little memory, and a handshake takes up to 64 KiB of it.
const HANDSHAKES: usize = 128;

/// All settings of a Keeper.
#[derive(Clone, Debug)]
pub struct KeeperSettings {
    /// Its identity, and the trust roots of each role.
    pub identity: IdentitySettings,
    /// Where it serves its API.
    pub listen: ListenAddress,
    /// Bounds on its callers.
    pub server: HttpServerSettings,
    /// Where it serves probes and metrics.
    pub telemetry: TelemetrySettings,
    /// How it logs.
    pub log: LogSettings,
    /// Where its audit lines go.
    pub audit: AuditSettings,
    /// The file that says whether Bootstrap is done.
    pub bootstrap_note: Option<PathBuf>,
}

impl KeeperSettings {
    /// Reads all settings, and collects problems.
    pub fn read(reader: &mut Reader<'_>) -> Self {
        let listen = reader.listen(&table::SPIKE_KEEPER_TLS_PORT);
        Self {
            identity: IdentitySettings::read(reader),
            server: HttpServerSettings::read(reader, HANDSHAKES),
            telemetry: TelemetrySettings::read(
                reader,
                &table::SPIKE_KEEPER_TELEMETRY_ADDR,
                &listen,
            ),
            log: LogSettings::read(reader),
            audit: AuditSettings::read(reader),
            bootstrap_note: reader.any_text(&table::SPIKE_KEEPER_BOOTSTRAP_NOTE).map(PathBuf::from),
            listen,
        }
    }

    /// Loads the settings, with the problems that do not prevent a start.
    ///
    /// # Errors
    /// [`spike_config::ConfigError`] with all problems, if at least one is fatal.
    pub fn load(environment: &Environment) -> Loaded<Self> {
        load(environment, Process::Keeper, Self::read)
    }
}
