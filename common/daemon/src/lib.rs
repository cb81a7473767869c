//! What all SPIKE daemons share.
//!
//! [`settings`] reads the environment. [`serve`] accepts connections and bounds them. [`http`] does what every request
//! needs, [`limit`] bounds the rate of denials, and [`audit`] writes one line for each request, which [`chain`] ties to the line
//! before. [`telemetry`] serves health and metrics, [`logging`] writes the log. [`process`] starts, drains and ends the daemon.
//! [`progress`] shows a person at a terminal how far work has come.
//!
//! `spike-mtls` verifies peers. The rules of secrets and policies are in `spike-domain` and in the daemons.

mod append;
pub mod audit;
pub mod chain;
pub mod console;
pub mod disk_work;
pub mod http;
pub mod limit;
mod lines;
pub mod log_level;
pub mod logging;
mod message_limit;
pub mod net;
pub mod process;
pub mod progress;
pub mod serve;
pub mod settings;
mod small_file;
pub mod telemetry;
mod text;
pub mod threads;
mod under_way;
mod unique;

pub use small_file::{open_regular, read_small};
pub use text::counted;
pub use under_way::UnderWay;
pub use unique::random_name;

/// The version of every SPIKE program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
