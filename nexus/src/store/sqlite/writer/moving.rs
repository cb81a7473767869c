//! When the writer moves the log into the database.
//!
//! SQLite would do it by itself, with whatever is in the log by then. The writer does it instead, once it has read the whole log back
//! and has looked at the database.

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use spike_daemon::process::chain;
use spike_mtls::clock;

use super::super::readers::lock;
use super::super::wal::LogEnd;
use super::Writer;
use crate::store::error::StoreError;

/// From so many frames on: 4 MiB, as SQLite does by itself.
const FRAMES: u32 = 1000;

/// The attempts so far.
#[derive(Debug, Default)]
pub(in crate::store) struct Checkpoints {
    /// The log of the last attempt.
    salts: [u8; 8],
    /// From so many frames of that log on there is another attempt.
    next: u32,
}

impl Checkpoints {
    /// Whether the log that ends at `end` is to be moved now. Says so again only once the log has grown by an eighth: a reader
    /// may keep it from being moved, and each attempt reads the whole log. Once all of it was moved, SQLite begins it anew.
    pub(super) fn begins(&mut self, end: &LogEnd) -> bool {
        let least = if end.salts == self.salts { self.next } else { FRAMES };
        let begins = end.frames >= least;
        if begins {
            *self = Self { salts: end.salts, next: end.frames.saturating_add(end.frames / 8) };
        }
        begins
    }
}

impl Writer {
    /// Moves the log into the database, if it is time. What readers still need stays in the log, as with SQLite's own attempts.
    pub(super) fn move_log(&mut self) {
        let end = self.place.log_end().filter(|end| self.checkpoints.begins(end));
        if end.is_none() || self.shown.condition.write_failure().is_some() {
            return;
        }
        self.shown.condition.begins(clock::unix_nanos());
        let moved = {
            let guard = lock(&self.slot);
            guard.as_ref().map_or(Ok(()), |connection| {
                self.place.moving(|| checkpoint(connection, "PASSIVE"))
            })
        };
        self.shown.condition.ends();
        match moved {
            Ok(()) => {}
            Err(error) if error.changed_file().is_some() => self.judge(Some(&error)),
            // What was acknowledged is in the log. It grows until this goes well, or the disk is full, which writes tell.
            Err(error) => {
                tracing::warn!(error = chain(&error), "the log cannot be moved into the database");
            }
        }
    }

    /// Closes the readers, then moves the log into the file, then closes the file.
    pub(super) fn close(self) -> Result<(), StoreError> {
        let connection = lock(&self.slot).take();
        self.readers.close();
        self.shown.cache.close();
        let Some(connection) = connection else { return Ok(()) };
        // Whatever else is wrong: the pages of another log would be written into the database, or those of ours into another one.
        self.place.moving(|| {
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
            checkpoint(&connection, "TRUNCATE")
        })?;
        connection.close().map_err(|(_connection, error)| error.into())
    }
}

fn checkpoint(connection: &Connection, mode: &str) -> Result<(), StoreError> {
    Ok(connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_row| Ok(()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(log: u8, frames: u32) -> LogEnd {
        LogEnd { salts: [log; 8], frames, sum: (0, 0), page: 4096 }
    }

    #[test]
    fn a_log_that_cannot_be_moved_is_not_read_at_every_commit() {
        let mut checkpoints = Checkpoints::default();
        let at = |checkpoints: &mut Checkpoints, log, most| -> Vec<u32> {
            (1..=most).filter(|frames| checkpoints.begins(&end(log, *frames))).collect()
        };
        assert_eq!(at(&mut checkpoints, 1, 1500), [1000, 1125, 1265, 1423]);
        assert_eq!(at(&mut checkpoints, 2, 1100), [1000], "a new log");
        assert!(at(&mut checkpoints, 3, 1_000_000).len() < 70);
    }
}
