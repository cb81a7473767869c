//! A database that nobody else has open, looked at without a key.

use std::path::Path;

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use spike_crypto::{Fingerprint, Quorum};
use spike_import::untrusted::{distrust, flags};

use super::container::Contents;
use super::error::BackupError;
use crate::store::error::StoreError;
use crate::store::sqlite::rows;
use crate::store::sqlite::schema::{
    KnownSchema, SCHEMA, SCHEMA_VERSION, check_header, difference, schema,
};

/// Opens the database, and refuses one that is no store of the present schema, to the letter.
pub(super) fn open(path: &Path) -> Result<Connection, BackupError> {
    let connection = Connection::open_with_flags(path, flags())?;
    distrust(&connection)?;
    // The log beside it is Nexus's to move into the file, also where no Nexus runs now.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    if check_header(&connection, path)? != KnownSchema::Current {
        return Err(BackupError::OldSchema);
    }
    let fresh = Connection::open_in_memory()?;
    fresh.execute_batch(SCHEMA)?;
    match difference(path, &schema(&fresh)?, &schema(&connection)?) {
        Some(what) => Err(StoreError::Altered { path: path.to_owned(), what }.into()),
        None => Ok(connection),
    }
}

/// What the database holds.
pub(super) fn contents(connection: &Connection) -> Result<Contents, BackupError> {
    let identity = rows::unverified_identity(connection)?;
    let count = |table: &str| {
        let sql = format!("SELECT count(*) FROM {table}");
        connection.query_row(&sql, [], |row| row.get::<_, i64>(0)).map(i64::cast_unsigned)
    };
    Ok(Contents {
        schema: SCHEMA_VERSION,
        root_key: Fingerprint::from_bytes(identity.root_key).to_string(),
        generation: identity.generation,
        shares: identity.quorum.map_or(0, Quorum::shares),
        threshold: identity.quorum.map_or(0, Quorum::threshold),
        policy_epoch: identity.policy_epoch,
        data_keys: count("keyring")?,
        secrets: count("secrets")?,
        versions: count("versions")?,
        policies: count("policies")?,
    })
}

/// What SQLite finds wrong with its own structures; `None`: nothing.
pub(super) fn faults(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let mut statement = connection.prepare("PRAGMA integrity_check(10)")?;
    let found = statement.query_map([], |row| row.get::<_, String>(0))?;
    let found: Vec<String> = found.collect::<Result<_, _>>()?;
    Ok((found != ["ok"]).then(|| found.join("; ")))
}

/// The tables whose pages lie in this part of the file, as far as SQLite still finds its way.
pub(super) fn tables_in(path: &Path, part: (u64, u64)) -> Vec<String> {
    let named = || {
        let connection = Connection::open_with_flags(path, flags())?;
        distrust(&connection)?;
        let sql = "SELECT DISTINCT coalesce(s.tbl_name, d.name)
            FROM dbstat AS d LEFT JOIN sqlite_schema AS s ON s.name = d.name
            WHERE d.pgoffset < ?2 AND d.pgoffset + d.pgsize > ?1 ORDER BY 1";
        let mut statement = connection.prepare(sql)?;
        let part = [part.0.cast_signed(), part.1.cast_signed()];
        let names = statement.query_map(part, |row| row.get(0))?;
        names.collect::<rusqlite::Result<Vec<String>>>()
    };
    named().unwrap_or_default()
}
