//! Parsers of data from disk, for fuzz targets.

use rusqlite::types::ValueRef;
use spike_domain::{UnixNanos, Version};

use super::format::listed::Listed;

/// The list of versions in the row of a path, and the same list encoded again.
pub fn versions(bytes: &[u8]) -> Option<(Vec<Version>, Vec<u8>)> {
    let listed = Listed::decode(bytes)?;
    let versions = listed.versions.iter().map(|(version, _)| *version).collect();
    Some((versions, listed.encode()?))
}

/// The time in a cell of upstream's database.
pub fn imported_time(cell: ValueRef<'_>) -> Option<UnixNanos> {
    spike_import::fuzzing::time(cell)
}

/// The name of a row that is named by this cell of upstream's database.
pub fn imported_name(cell: ValueRef<'_>) -> String {
    spike_import::fuzzing::name(cell)
}

/// How long the head of a backup is, if these bytes begin with one that has its checksum.
pub fn backup_head(bytes: &[u8]) -> Option<u64> {
    super::backup::fuzzing::head(bytes)
}
