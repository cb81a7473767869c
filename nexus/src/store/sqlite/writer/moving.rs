//! When the writer moves the log into the database.
//!
//! SQLite would do it by itself, with whatever is in the log by then. The writer does it instead, as often as SQLite would, once it has
//! read back what is to be moved and has looked at the database. It does so after the answers to a commit.
//!
//! A reader that needs an older state keeps frames from being moved. While one in another process keeps all of them, which its lock on
//! the index tells, nothing is read back. If frames are kept for another reason, the pauses grow with the time that reading takes.

use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use spike_daemon::process::chain;
use spike_mtls::clock::Moment;

use super::super::index::Backlog;
use super::super::readers::lock;
use super::Writer;
use crate::store::error::StoreError;

/// From so many frames on: 4 MiB, as SQLite does by itself.
const FRAMES: u32 = 1000;

/// After an attempt that has left more than [`FRAMES`], the next one waits so many times as long as it took.
const PAUSES: u32 = 8;

/// The least pause after an attempt that has failed.
const FAILED_PAUSE: Duration = Duration::from_secs(1);

/// The attempts so far.
#[derive(Debug, Default)]
pub(in crate::store) struct Checkpoints {
    /// Not before. `None`: at any time.
    again: Option<Instant>,
}

impl Checkpoints {
    /// Whether the log is to be moved now.
    fn is_due(&self, log: &Backlog, now: Instant) -> bool {
        log.end.frames >= FRAMES
            && log.movable > log.moved
            && self.again.is_none_or(|again| again <= now)
    }

    /// An attempt has ended. `left`: the frames that were not moved; `None`: it has failed.
    fn ended(&mut self, left: Option<u32>, begun: Instant, now: Instant) {
        let pause = now.saturating_duration_since(begun).saturating_mul(PAUSES);
        let pause = match left {
            // To read so few back costs as little as the first attempt.
            Some(left) if left <= FRAMES => None,
            Some(_many) => Some(pause),
            None => Some(pause.max(FAILED_PAUSE)),
        };
        self.again = pause.and_then(|pause| now.checked_add(pause));
    }
}

impl Writer {
    /// Moves the log into the database, if it is time. What readers still need stays in the log, as with SQLite's own attempts.
    pub(super) fn move_log(&mut self) {
        let begun = Instant::now();
        let log = self.place.backlog(FRAMES);
        let is_due = log.is_some_and(|log| self.checkpoints.is_due(&log, begun));
        if !is_due || self.shown.condition.write_failure().is_some() {
            return;
        }
        self.shown.condition.begins(Moment::now());
        let moved = self.place.examine_unmoved().and_then(|()| {
            let guard = lock(&self.slot);
            let Some(connection) = guard.as_ref() else { return Ok(()) };
            self.place.moving(|| checkpoint(connection, "PASSIVE"))
        });
        self.shown.condition.ends();
        let left = self.place.backlog(0).map_or(0, |log| log.end.frames - log.moved);
        self.checkpoints.ended(moved.is_ok().then_some(left), begun, Instant::now());
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
        self.place.examine_content()?;
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
    use super::super::super::wal::LogEnd;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn log(moved: u32, movable: u32, frames: u32) -> Backlog {
        Backlog { end: LogEnd { frames, ..LogEnd::default() }, moved, movable }
    }

    #[test]
    fn a_log_is_read_back_only_if_some_of_it_can_be_moved() {
        let (checkpoints, now) = (Checkpoints::default(), Instant::now());
        for (moved, movable, frames, is_due) in [
            (0, 999, 999, false),
            (0, 1000, 1000, true),
            // A reader in another process needs what is there, and reads the log, or the database alone.
            (7, 7, 70_000, false),
            (7, 0, 70_000, false),
            // It has gone, or another one reads a newer state.
            (7, 70_000, 70_000, true),
            (7, 8, 70_000, true),
            (69_999, 70_000, 70_000, true),
            (70_000, 70_000, 70_000, false),
        ] {
            let log = log(moved, movable, frames);
            assert_eq!(checkpoints.is_due(&log, now), is_due, "{log:?}");
        }
    }

    #[test]
    fn a_log_that_cannot_be_moved_is_not_read_back_most_of_the_time() {
        let (log, begun) = (log(7, 70_000, 70_000), Instant::now());
        let ended = begun + SECOND / 4;
        let due_after = |left| {
            let mut checkpoints = Checkpoints::default();
            checkpoints.ended(left, begun, ended);
            (0..100).find(|pause| checkpoints.is_due(&log, ended + SECOND / 4 * *pause))
        };
        assert_eq!(due_after(Some(0)), Some(0));
        assert_eq!(due_after(Some(1000)), Some(0), "as at first");
        assert_eq!(due_after(Some(1001)), Some(8));
        assert_eq!(due_after(None), Some(8));
    }
}
