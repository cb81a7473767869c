//! One transaction for writing, with a savepoint inside.
//!
//! It holds its connection by `&mut`, so that whatever works with it can be sent between threads.

use rusqlite::Connection;

use super::rows;
use crate::store::error::StoreError;
use crate::store::format::identity::Identity;
use crate::store::format::keyring::Ring;

/// A transaction that is under way. Dropped without [`commit`](Self::commit), it is undone.
#[derive(Debug)]
pub(in crate::store) struct Transaction<'c> {
    connection: &'c mut Connection,
}

impl<'c> Transaction<'c> {
    /// Begins, and takes the lock for writing.
    pub(in crate::store) fn begin(connection: &'c mut Connection) -> rusqlite::Result<Self> {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        Ok(Self { connection })
    }

    /// The connection.
    pub(in crate::store) const fn connection(&mut self) -> &mut Connection {
        self.connection
    }

    /// Begins what can be undone by itself.
    pub(in crate::store) fn savepoint(&self) -> rusqlite::Result<()> {
        self.execute("SAVEPOINT write")
    }

    /// Undoes what was done since the savepoint.
    pub(in crate::store) fn roll_back_to_savepoint(&self) -> rusqlite::Result<()> {
        self.execute("ROLLBACK TO write")
    }

    /// Ends the savepoint.
    pub(in crate::store) fn release_savepoint(&self) -> rusqlite::Result<()> {
        self.execute("RELEASE write")
    }

    /// Writes what must be recorded before a commit: the row of the store if there is one to write, and how many encryptions
    /// the active key is allowed.
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

    /// Commits. Where the disk fails meanwhile, nobody knows whether it is done: in WAL mode what was written may be read
    /// back after a crash, although SQLite goes on without it.
    pub(in crate::store) fn commit(self) -> Result<(), StoreError> {
        self.connection.execute_batch("COMMIT").map_err(StoreError::at_commit)
    }

    fn execute(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([]).map(|_rows| ())
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        // SQLite undoes the transaction by itself after some failures.
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a transaction could not be undone");
        }
    }
}
