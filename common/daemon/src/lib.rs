//! The frame of a SPIKE daemon.
//!
//! A daemon is built from the outside in: [`settings`] reads what it is told, [`serve`] accepts connections and bounds them,
//! [`http`] is what all requests have in common, [`limit`] how often somebody may be denied, [`audit`] the line that each
//! request leaves behind, [`telemetry`] health and metrics, [`logging`] the log, and [`process`] the frame around it all:
//! start, readiness, drain and exit.
//!
//! Who is on the other end of a connection is decided in `spike-mtls`; domain rules are in `spike-domain` and the daemons.

pub mod audit;
pub mod console;
pub mod http;
pub mod limit;
mod lines;
pub mod logging;
pub mod net;
pub mod once;
pub mod process;
pub mod serve;
pub mod settings;
pub mod telemetry;
mod text;

/// The version of every SPIKE program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
