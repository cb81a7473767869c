//! The files of a store as this process first saw them.
//!
//! Files that appear later, take the place of others, or have another content may be a copy that is still under way: the
//! database before its write-ahead log, or half of either. Nothing in the files shows that the copy is complete. Opened too
//! early, a store lacks the commits of its log, and the log that arrives later is overwritten. So a running Nexus opens only
//! what was there when it started, and as it was then. A person knows when a copy is complete, and restarts Nexus then.
//!
//! `nexus.overwritten` says that the database and its log are not of one store. Whoever removes it while Nexus runs has not put the
//! right database there first, so that counts as a change too.
//!
//! Two others may change the files: another process that holds a lock on them, and this process, in an attempt to open them
//! that came far enough to write and then failed.

use super::error::StoreError;
use super::files::{Change, File, Files, change};
use super::home::Home;
use super::opening::{Opening, Unopened};
use super::sqlite::private;

/// What was there at the start, and what was there when its content was refused.
#[derive(Debug)]
pub struct Sight {
    /// As of the start; later, as an attempt to open them left them.
    known: Files,
    refused: Option<Files>,
    /// At the last attempt to open them, another process held a lock on them. It may have changed them since.
    was_locked: bool,
}

impl Sight {
    /// What is there now. Reads a directory, which takes microseconds.
    pub fn of(home: Option<&Home>) -> Self {
        let directory = home.and_then(Home::directory);
        let was_locked = directory.is_some_and(private::is_locked);
        Self { known: Files::of(home), refused: None, was_locked }
    }

    /// The files that are there now, if they may be opened.
    ///
    /// # Errors
    /// [`Change`]: they are not those of the start, or not as they were.
    pub fn look(&self, home: Option<&Home>) -> Result<Files, Change> {
        let now = Files::of(home);
        if let Some(refused) = &self.refused
            && *refused != now
        {
            return Err(Change::Replaced);
        }
        let known = &self.known;
        if matches!(known.overwritten, File::There { .. })
            && !known.overwritten.may_be(now.overwritten)
        {
            return Err(Change::Replaced);
        }
        change(known.database, now.database)?;
        match (known.database, now.database) {
            (File::There { .. }, File::There { .. }) if !self.was_locked => {
                let known = [known.database].into_iter().chain(known.logs);
                let now = [now.database].into_iter().chain(now.logs);
                let is_same = known.zip(now).all(|(known, now)| known.may_be(now));
                is_same.then_some(()).ok_or(Change::Replaced)?;
            }
            (File::Absent, _) => {
                change(known.upstream, now.upstream)?;
                // The log of upstream comes and goes while upstream runs.
                if known.upstream == File::Absent {
                    let known = known.logs.into_iter().chain(known.upstream_logs);
                    let now = now.logs.into_iter().chain(now.upstream_logs);
                    known.zip(now).try_for_each(|(known, now)| change(known, now))?;
                }
            }
            (File::There { .. } | File::Hidden, _) => {}
        }
        Ok(now)
    }

    /// Whether only this process can have changed the files since they were looked at.
    pub const fn holds(&self) -> bool {
        !self.was_locked
    }

    /// What there is to open, as long as nobody permits a new store. A database of upstream is imported only where no store was:
    /// one that is away for a moment is not replaced by an import.
    pub fn expected(&self) -> Opening {
        match (self.known.database, self.known.upstream) {
            (File::Absent, File::Hidden | File::There { .. }) => Opening::Import,
            (File::Absent, File::Absent) | (File::Hidden | File::There { .. }, _) => {
                Opening::Existing
            }
        }
    }

    /// An attempt to open the files, which were `before` it as [`look`](Self::look) has returned them, has failed. Files whose
    /// content was refused may be opened only as they were: a change may be a copy over the same names.
    pub fn failed(&mut self, home: Option<&Home>, before: Files, attempt: &Unopened) {
        let Unopened { error, may_have_written } = attempt;
        // Not in any other case: what has changed meanwhile is then the work of somebody else, and so is another file as the
        // database. A journal is taken back into the database, and removed, by whoever opens it, before the key is checked.
        let now = Files::of(home);
        let is_ours = (*may_have_written || before.has_journal()) && !before.is_replaced_in(&now);
        let left = if is_ours { now } else { before };
        if is_ours || matches!(left.database, File::There { .. }) {
            self.known = left.clone().or(&self.known);
        }
        self.was_locked = matches!(error, StoreError::InUse { .. } | StoreError::Locked);
        if error.is_about_content() {
            self.refused.get_or_insert(left);
        }
    }
}

#[cfg(test)]
mod tests;
