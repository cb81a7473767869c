//! The errors of reading and making rows.

use spike_crypto::RandomError;

/// Why a row cannot be read or made.
#[derive(Debug, thiserror::Error)]
pub(in crate::store) enum FormatError {
    /// The row was altered: moved, changed, swapped, taken from elsewhere, or removed.
    #[error("row {path:?} of table {table} was tampered with")]
    Tampered {
        /// The table.
        table: &'static str,
        /// The secret path or policy name; empty for tables without one.
        path: String,
        /// The version or number of the row, if it has one.
        version: Option<i64>,
    },
    /// The operating system gave no random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The data to be written is contradictory.
    #[error("the row contradicts itself")]
    Bug,
}
