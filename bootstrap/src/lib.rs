//! SPIKE Bootstrap: the first-run ceremony.
//!
//! Once in the life of a deployment it makes the root key, gives each Keeper its share, waits until Nexus proves that it can
//! use the key, and writes a marker. It must not make a second key if one is or was in use. So it asks Nexus and the Keepers
//! first, and changes nothing before they answer (crypto-and-storage F18).
//!
//! [`run()`] is the program. `cli` reads the arguments, `run` does the steps in order. `survey` collects the answers and
//! `decide` decides (both pure); `ceremony` makes key, shares and proof (pure). `deliver` calls the Keepers and `nexus` calls
//! Nexus, both with `retry`. `marker` remembers that the work is done.

mod ceremony;
mod cli;
mod console;
mod decide;
mod deliver;
mod deployment;
mod error;
mod exit;
mod marker;
mod nexus;
mod retry;
mod run;
mod survey;

pub use exit::Exit;
pub use run::run;
