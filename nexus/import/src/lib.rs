//! Reads a database of upstream's Nexus (crypto-and-storage 0.1, 7): of 0.8.2, of 0.8.0, of what was between them, and of
//! what came before. Hands over plain rows; who keeps them implements [`Sink`].
//!
//! Owned here: which file it is, that nobody writes to it meanwhile, that the root key is the right one, and what becomes of
//! each row. Left to others: when a database is taken in, and how its rows are kept.
//!
//! * The key is checked first, on every encrypted row: more of them must decrypt than not. A row
//!   that was tampered with is then left out by name, and a key under which only some rows were
//!   written (F1) does not pass.
//! * What would have to be left out stops the import, with a list, unless losses are allowed ([`Rules::with_losses`]).
//! * Upstream never erases a version, so that more may be there than its limit (F8). All of them come in.
//! * A path knows the highest number that upstream ever used (F6), also when that row was left out. Current and oldest
//!   version follow from the versions (F10).
//! * Policies whose patterns are in clear, as before 0.5.0, stay out: else whoever can write the
//!   file could hand out permissions without any key.

mod cell;
mod error;
mod files;
mod opened;
mod policies;
mod recognise;
mod report;
mod rows;
mod secrets;
mod source;
pub mod untrusted;

pub use self::error::ImportError;
pub use self::files::{COPY, FILE, FileRecord, Upstream, exists, sweep};
pub use self::recognise::Generation;
pub use self::report::{Finding, ImportReport, NONCES_WERE_REUSED, Reason};
pub use self::rows::{Policy, Rules, Secret, Sink};
pub use self::source::Source;

/// Parsers of single cells, for the fuzz targets that put any bytes to them.
#[cfg(feature = "fuzzing")]
pub mod fuzzing {
    use rusqlite::types::ValueRef;

    use spike_domain::UnixNanos;

    use crate::cell;

    /// A time in a cell.
    pub fn time(cell: ValueRef<'_>) -> Option<UnixNanos> {
        cell::time(cell)
    }

    /// What a row is called whose name is this cell.
    pub fn name(cell: ValueRef<'_>) -> String {
        cell::name(cell)
    }
}
