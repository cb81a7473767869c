//! A write transaction with a savepoint.
//!
//! It holds its connection by `&mut`, so that a future with it can be sent between threads.

use rusqlite::Connection;

use super::commits::Position;
use super::rows;
use crate::store::error::StoreError;
use crate::store::format::identity::Identity;
use crate::store::format::keyring::Ring;
use crate::store::format::keys::Keys;

/// An open transaction. If it is dropped without [`commit`](Self::commit), it is rolled back.
#[derive(Debug)]
pub(in crate::store) struct Transaction<'c> {
    connection: &'c mut Connection,
}

impl<'c> Transaction<'c> {
    /// Begins the transaction, and takes the write lock.
    pub(in crate::store) fn begin(connection: &'c mut Connection) -> rusqlite::Result<Self> {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        Ok(Self { connection })
    }

    /// The connection.
    pub(in crate::store) const fn connection(&mut self) -> &mut Connection {
        self.connection
    }

    /// Whether the database is as the last commit has left it; `None` if it cannot be read now.
    pub(super) fn shows(
        &mut self,
        committed: &Identity,
        keys: &Keys,
        position: Position,
    ) -> Option<bool> {
        shows(self.connection, committed, keys, position)
    }

    /// Sets a savepoint.
    pub(in crate::store) fn savepoint(&self) -> rusqlite::Result<()> {
        self.execute("SAVEPOINT write")
    }

    /// Rolls back to the savepoint.
    pub(in crate::store) fn roll_back_to_savepoint(&self) -> rusqlite::Result<()> {
        self.execute("ROLLBACK TO write")
    }

    /// Releases the savepoint.
    pub(in crate::store) fn release_savepoint(&self) -> rusqlite::Result<()> {
        self.execute("RELEASE write")
    }

    /// Writes the records that a commit needs: the row of the store if it has changed, and the reserved encryptions of the
    /// active key.
    pub(super) fn record(
        &mut self,
        identity: Option<&Identity>,
        ring: &mut Ring,
    ) -> Result<(), StoreError> {
        if let Some(identity) = identity {
            rows::write(self.connection, &identity.sealed(ring)?)?;
        }
        if let Some(row) = ring.record()? {
            rows::write(self.connection, &row)?;
        }
        Ok(())
    }

    /// Commits. If the disk fails meanwhile, the outcome is unknown: in WAL mode the transaction may be kept after a crash,
    /// although SQLite goes on without it.
    pub(in crate::store) fn commit(self) -> Result<(), StoreError> {
        #[cfg(test)]
        if let Some(fault) = crate::store::tests::faults::due() {
            return Err(fault.instead_of(self));
        }
        self.connection.execute_batch("COMMIT").map_err(StoreError::at_commit)
    }

    fn execute(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([]).map(|_rows| ())
    }
}

/// Whether the database is as the last commit has left it; `None` if it cannot be read now.
pub(super) fn shows(
    connection: &Connection,
    committed: &Identity,
    keys: &Keys,
    position: Position,
) -> Option<bool> {
    let found = rows::identity(connection, keys)
        .and_then(|found| Ok((Position::of(connection, &found)?, found)));
    match found {
        Ok((at, found)) => Some(found == *committed && at.has_reached(position)),
        Err(error) if error.is_of_the_disk() => None,
        Err(_of_the_content) => Some(false),
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        // After some failures SQLite rolls the transaction back by itself.
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a transaction could not be undone");
        }
    }
}
