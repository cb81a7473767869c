//! Parsers of what a disk holds, for the fuzz targets that put any bytes to them.

use rusqlite::types::ValueRef;
use spike_domain::{UnixNanos, Version};

use super::format::listed::Listed;

/// The list of versions in the row of a path, and the same list as it would be written.
pub fn versions(bytes: &[u8]) -> Option<(Vec<Version>, Vec<u8>)> {
    let listed = Listed::decode(bytes)?;
    let versions = listed.versions.iter().map(|(version, _)| *version).collect();
    Some((versions, listed.encode()?))
}

/// A time in a cell of upstream's.
pub fn imported_time(cell: ValueRef<'_>) -> Option<UnixNanos> {
    spike_import::fuzzing::time(cell)
}

/// What a row is called whose name is this cell of upstream's.
pub fn imported_name(cell: ValueRef<'_>) -> String {
    spike_import::fuzzing::name(cell)
}

/// How long the head of a backup is, if these bytes begin with one that has its checksum.
pub fn backup_head(bytes: &[u8]) -> Option<u64> {
    super::backup::fuzzing::head(bytes)
}
