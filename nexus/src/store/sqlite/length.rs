//! Refuses a file of a length that no database has, which SQLite would take for one.

use std::fs;
use std::path::Path;

use rusqlite::Connection;

use super::private::unusable;
use crate::store::error::StoreError;

/// The size of the header of every SQLite database, in bytes.
const HEADER: u64 = 100;

/// SQLite takes an empty file for a new database, and discards the log beside it.
pub(in crate::store) fn refuse_stub(path: &Path) -> Result<(), StoreError> {
    let length = fs::metadata(path).map_err(|source| unusable(path, source))?.len();
    if length < HEADER {
        let what = format!("it has only {length} bytes");
        return Err(StoreError::Damaged { path: path.to_owned(), what });
    }
    Ok(())
}

/// SQLite notices missing pages, but reads the missing rest of the last page as zeros.
pub(super) fn check_length(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let page: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let length = fs::metadata(path).map_err(|source| unusable(path, source))?.len();
    // With a log beside it, the file may be in the middle of a checkpoint.
    let log = fs::metadata(path.with_extension("db-wal")).map_or(0, |log| log.len());
    if log == 0 && length % page.cast_unsigned().max(1) != 0 {
        let what = format!("it ends within a page, at {length}");
        return Err(StoreError::Damaged { path: path.to_owned(), what });
    }
    Ok(())
}
