//! SPIKE Bootstrap: the first-run ceremony.
//!
//! Once in the life of a deployment it makes the root key, hands each Keeper its share, has Nexus prove that it can use
//! the key, and remembers that this is done. What it must not do is make a second key where one is in use, or was: so it
//! asks Nexus and the Keepers first, and changes nothing before it has their answers (crypto-and-storage F18).
//!
//! From the outside in: [`run()`] is the program, `cli` reads its arguments, `run` walks the steps, `survey` puts
//! together what there is and `decide` says what to do about it (pure), `ceremony` makes key, shares and proof (pure), `deliver` and `nexus` talk to the others with `patience`, and
//! `marker` remembers.

mod ceremony;
mod cli;
mod console;
mod decide;
mod deliver;
mod error;
mod exit;
mod marker;
mod nexus;
mod patience;
mod run;
mod survey;

pub use exit::Exit;
pub use run::run;
