//! What every SPIKE process shares.
//!
//! A daemon is built from the outside in: [`config`] reads its settings, `spike-domain` says who it and its peers may
//! be, [`svid`] keeps its X.509-SVID fresh, [`mtls`] gives connections that know who is on the other end, `spike-wire` holds
//! the JSON bodies, [`client`] the typed calls, [`http`] what all routes have in common, [`limit`] how often somebody may
//! be denied, [`audit`] the line that each request leaves behind, and [`daemon`] the frame around it all: logs, telemetry, readiness, drain and exit.
//!
//! Keys and encryption are in the crate `spike-crypto`; domain rules are in the daemons.

pub mod audit;
pub mod budget;
pub mod client;
pub mod clock;
pub mod config;
pub mod console;
pub mod daemon;
pub mod http;
pub mod limit;
mod lines;
pub mod logging;
pub mod mtls;
pub mod net;
pub mod once;
pub mod retry;
pub mod svid;
pub mod telemetry;
mod text;

/// The version of every SPIKE program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
