//! Parsers of what a disk holds, for the fuzz targets that put any bytes to them.

use rusqlite::types::ValueRef;
use spike_domain::{UnixNanos, Version};

use super::{head, import};

/// The list of versions in the row of a path, and the same list as it would be written.
pub fn versions(bytes: &[u8]) -> Option<(Vec<Version>, Vec<u8>)> {
    let entries = head::decode(bytes)?;
    let versions: Vec<Version> = entries.iter().map(|(version, _)| *version).collect();
    let nonces: Vec<_> =
        entries.into_iter().map(|(version, nonce)| (version.number, nonce)).collect();
    let written = head::encode(&versions, &nonces)?;
    Some((versions, written))
}

/// A time in a cell of upstream's.
pub fn imported_time(cell: ValueRef<'_>) -> Option<UnixNanos> {
    import::fuzzing::time(cell)
}

/// What a row is called whose name is this cell of upstream's.
pub fn imported_name(cell: ValueRef<'_>) -> String {
    import::fuzzing::name(cell)
}
