//! Reads a database of upstream's Nexus (crypto-and-storage 0.1, 7): of 0.8.2, of 0.8.0, of the versions between them, and of
//! earlier ones. Passes plain rows to a [`Sink`], which keeps them.
//!
//! Owned here: the recognition of the file, the exclusion of other writers, the check of the root key, and the decision about
//! each row. Left to others: when a database is imported, and how its rows are kept.
//!
//! * The key is checked first, on every encrypted row: more of them must decrypt than not. Then an altered row is left out by
//!   name, and a key under which only some rows were written (F1) is refused.
//! * Rows that would be left out stop the import, with a list, unless losses are allowed ([`Rules::with_losses`]).
//! * Upstream never erases a version, so a path may have more versions than its limit (F8). All of them are imported.
//! * A path keeps the highest number that upstream ever used (F6), even if that row was left out. Current and oldest version
//!   follow from the versions (F10).
//! * Policies whose patterns are in clear, as before 0.5.0, are not imported. Otherwise anybody who can write the file could
//!   grant permissions without any key.

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

/// Parsers of single cells, for fuzz targets.
#[cfg(feature = "fuzzing")]
pub mod fuzzing {
    use rusqlite::types::ValueRef;

    use spike_domain::UnixNanos;

    use crate::cell;

    /// A time in a cell.
    pub fn time(cell: ValueRef<'_>) -> Option<UnixNanos> {
        cell::time(cell)
    }

    /// The name of a row whose name is this cell.
    pub fn name(cell: ValueRef<'_>) -> String {
        cell::name(cell)
    }
}
