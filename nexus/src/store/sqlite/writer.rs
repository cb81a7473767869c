//! The one thread that writes, and group commit.
//!
//! Everything that waits is executed in one transaction with one commit, each operation inside its
//! own savepoint, and answered only after the commit has returned: one sync of the disk serves many
//! writers, and an answered write is on the disk.
//!
//! **What others go by** changes here too, after the commit and before any answer: the policies in
//! force, their epoch, and the cache. So these follow the database whatever becomes of the callers.
//!
//! **After a failure** nothing is taken for granted. Where the commit itself ended in an error of the
//! disk, the transaction may or may not be kept: callers are told so, and what is really in the
//! database is read before anything else is written. While the last attempt failed, the thread tries a
//! harmless commit about once a second, so that a store that can be written again is known to be.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use spike_daemon::process::chain;
use spike_mtls::clock;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use super::commits::{CommitLog, Position};
use super::message::{Message, Write};
use super::open::Opened;
use super::place::Place;
use super::readers::{Readers, Slot, lock};
use super::transaction::Transaction;
use super::unit::{SqliteChange, SqliteUnit};
use super::{policy_rows, rows};
use crate::store::cache::ValueCache;
use crate::store::change::{Effects, PolicyChange};
use crate::store::condition::{Condition, Presence};
use crate::store::disk;
use crate::store::error::StoreError;
use crate::store::format::identity::Identity;
use crate::store::format::keyring::Ring;

/// Writes in one transaction, so that its first caller is not kept waiting without bound.
const BATCH: usize = 256;

/// The pause between two attempts to write while the last one failed.
const PROBE_PAUSE: Duration = Duration::from_secs(1);

/// What must be free on a disk that was full before writing is tried again: a harmless write takes one
/// page, and would pass where no other does.
const MIN_FREE_BYTES: u64 = 1 << 20;

/// Takes what a commit did to the policies, in the order of commits.
pub type PolicyFollower = Box<dyn Fn(Vec<PolicyChange>) + Send + Sync>;

/// What readers go by besides the database: kept in step with every commit.
pub(in crate::store) struct Shown {
    pub(in crate::store) policy_epoch: Arc<AtomicU64>,
    pub(in crate::store) cache: Arc<ValueCache>,
    pub(in crate::store) follower: Arc<OnceLock<PolicyFollower>>,
    pub(in crate::store) condition: Arc<Condition>,
}

pub(in crate::store) struct Writer {
    slot: Slot,
    readers: Arc<Readers>,
    ring: Ring,
    identity: Identity,
    /// As of the last commit.
    committed: Identity,
    /// What the last commit left, as the file of commits has it.
    position: Position,
    commits: Option<CommitLog>,
    shown: Shown,
    /// Empty in memory.
    directory: PathBuf,
    place: Arc<Place>,
    /// A commit ended without telling whether it was kept, and the database has not been read since.
    unsettled: bool,
    /// The last attempt failed because the disk was full.
    disk_full: bool,
    /// Keeps the time between probes. Not used as long as all is well.
    timer: Runtime,
}

impl Writer {
    /// The writer of a store that was opened, and the lock on its directory.
    pub(in crate::store) fn new(
        opened: Opened,
        shown: Shown,
    ) -> Result<(Self, Option<std::fs::File>), std::io::Error> {
        let timer = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let writer = Self {
            slot: opened.writer,
            readers: opened.readers,
            committed: opened.identity.clone(),
            identity: opened.identity,
            ring: opened.ring,
            position: opened.position,
            commits: opened.commits,
            shown,
            directory: opened.directory,
            place: opened.place,
            unsettled: false,
            disk_full: false,
            timer,
        };
        Ok((writer, opened.lock_file))
    }

    /// Works until the store is closed or dropped; `lock_file` is given back at the very end.
    pub(in crate::store) fn run(
        mut self,
        mut receiver: mpsc::Receiver<Message>,
        lock_file: Option<std::fs::File>,
    ) {
        let _presence = Presence(Arc::clone(&self.shown.condition));
        let mut closing = None;
        while closing.is_none() {
            let first = match self.next(&mut receiver) {
                Next::Message(first) => first,
                Next::Nothing => {
                    self.probe();
                    continue;
                }
                Next::End => break,
            };
            let mut batch = Vec::new();
            let mut next = Some(first);
            while let Some(message) = next {
                match message {
                    Message::Write(write) if write.is_overdue() => {
                        write.job.refuse(StoreError::TimedOut);
                    }
                    Message::Write(write) => batch.push(write),
                    Message::Close(answer) => {
                        closing = Some(answer);
                        break;
                    }
                }
                next = if batch.len() < BATCH { receiver.try_recv().ok() } else { None };
            }
            self.commit(batch);
        }
        // Whoever is queued behind the end learns that the store is closed.
        drop(receiver);
        let result = self.close();
        drop(lock_file);
        match closing {
            Some(answer) => drop(answer.send(result)),
            None => {
                if let Err(error) = result {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "the store did not close cleanly"
                    );
                }
            }
        }
    }

    /// Waits for a message; while writing fails, no longer than until the next probe.
    fn next(&self, receiver: &mut mpsc::Receiver<Message>) -> Next {
        let message = if self.shown.condition.write_failure().is_none() {
            Ok(receiver.blocking_recv())
        } else {
            self.timer.block_on(async { tokio::time::timeout(PROBE_PAUSE, receiver.recv()).await })
        };
        match message {
            Ok(Some(message)) => Next::Message(message),
            Ok(None) => Next::End,
            Err(_elapsed) => Next::Nothing,
        }
    }

    /// Executes a batch in one transaction and answers it.
    fn commit(&mut self, mut batch: Vec<Write>) {
        if batch.is_empty() {
            return;
        }
        let begun = Instant::now();
        self.shown.condition.begins(clock::unix_nanos());
        let committed = self.place.check().and_then(|()| self.settle());
        let committed = committed.and_then(|()| self.execute(&mut batch)).map_err(Arc::new);
        match &committed {
            Ok(()) => {
                self.shown.condition.committed(batch.len(), begun.elapsed(), clock::unix_nanos());
            }
            Err(_told) => self.shown.condition.commit_failed(),
        }
        self.shown.condition.ends();
        // SQLite may undo the whole transaction where one write fails; what that one met is the better reason.
        let trouble = batch.iter().find_map(|write| write.job.trouble());
        self.judge(trouble.or_else(|| committed.as_ref().err().map(|error| &**error)));
        for write in batch {
            write.job.answer(committed.clone());
        }
    }

    /// What the last attempt to write says about the next one.
    fn judge(&mut self, trouble: Option<&StoreError>) {
        self.disk_full = trouble.is_some_and(StoreError::is_disk_full);
        match trouble {
            None => self.shown.condition.can_write(),
            Some(error) => self.shown.condition.cannot_write(chain(error), clock::unix_nanos()),
        }
    }

    /// Executes a batch, commits it, and makes it known.
    fn execute(&mut self, batch: &mut [Write]) -> Result<(), StoreError> {
        let mut effects = Effects::default();
        match self.transact(batch, &mut effects) {
            Ok(()) => {
                self.publish(effects);
                self.place.check().map_err(|error| StoreError::Stranded(Arc::new(error)))
            }
            Err(error) => {
                self.undo(&error);
                Err(error)
            }
        }
    }

    fn transact(&mut self, batch: &mut [Write], effects: &mut Effects) -> Result<(), StoreError> {
        let Self { slot, ring, identity, committed, position, shown, .. } = self;
        let mut guard = lock(slot);
        let connection = guard.as_mut().ok_or(StoreError::Closed)?;
        let mut transaction = Transaction::begin(connection)?;
        if let Some(first) = batch.first() {
            if let Some(row) = ring.replace_if_worn(first.now)? {
                rows::write(transaction.connection(), &row)?;
            }
            identity.active_key = ring.active();
        }
        let mut head = None;
        for write in batch {
            let (before, mark, head_before) = (identity.clone(), effects.mark(), head);
            transaction.savepoint()?;
            let unit = SqliteUnit { connection: transaction.connection(), head: &mut head };
            let keep = write.job.run(&mut SqliteChange { unit, ring, identity, effects });
            // After some failures, such as a full disk, SQLite rolls everything back by itself. Then
            // there is no savepoint either, and what follows fails for the whole batch.
            if !keep {
                transaction.roll_back_to_savepoint()?;
                *identity = before;
                effects.back_to(mark);
                head = head_before;
            }
            transaction.release_savepoint()?;
        }
        let changed = (identity != committed).then_some(&*identity);
        transaction.record(changed, ring)?;
        let changing = shown.cache.changing(&effects.touched);
        commit(transaction)?;
        drop(changing);
        position.heads = head.unwrap_or(position.heads);
        Ok(())
    }

    /// What was committed is known to everybody before any caller is answered.
    fn publish(&mut self, effects: Effects) {
        self.ring.committed();
        self.committed = self.identity.clone();
        self.show_policies(effects.policies);
        self.position.epoch = self.identity.policy_epoch;
        if let Some(commits) = &mut self.commits {
            commits.note(self.position, clock::unix_nanos());
        }
    }

    /// Hands changes on in the order of commits. Who has seen a policy change must not be decided about by what was
    /// before it.
    fn show_policies(&mut self, changes: Vec<PolicyChange>) {
        if let (false, Some(follower)) = (changes.is_empty(), self.shown.follower.get()) {
            let whole = matches!(changes.as_slice(), [PolicyChange::All(_)]);
            match catch_unwind(AssertUnwindSafe(|| follower(changes))) {
                Ok(()) if whole => self.shown.condition.policies_agree(),
                Ok(()) => {}
                Err(_panic) => {
                    // Read as a whole before the next write, which may end better.
                    self.unsettled = true;
                    let reason = "a policy was stored and could not be put in force: a bug";
                    self.shown.condition.policies_may_differ(reason);
                    tracing::error!("{reason}");
                }
            }
        }
        self.shown.policy_epoch.store(self.identity.policy_epoch, Ordering::Release);
    }

    fn undo(&mut self, error: &StoreError) {
        self.ring.rolled_back();
        self.identity = self.committed.clone();
        if matches!(error, StoreError::OutcomeUnknown(_)) {
            self.unsettled = true;
            // At once, so that decisions are not made by something else meanwhile.
            if let Err(error) = self.settle() {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "it cannot be read what a failed commit left; the next write tries again"
                );
            }
        }
    }

    /// After a commit whose outcome is unknown: reads what is in the database, and has memory agree with it.
    fn settle(&mut self) -> Result<(), StoreError> {
        if !self.unsettled {
            return Ok(());
        }
        let (identity, position, policies) = {
            let guard = lock(&self.slot);
            let connection = guard.as_ref().ok_or(StoreError::Closed)?;
            let snapshot = connection.unchecked_transaction()?;
            let identity = rows::unverified_identity(&snapshot)?;
            // First: the row of the store may be under a key that came with the lost commit.
            self.ring.reload(rows::keyring(&snapshot)?, identity.active_key)?;
            let identity = rows::identity(&snapshot, self.ring.keys())?;
            let policies = policy_rows::all(&snapshot, self.ring.keys())?;
            let position = Position::of(&snapshot, &identity)?;
            (identity, position, policies)
        };
        self.shown.cache.forget();
        self.committed = identity.clone();
        self.identity = identity;
        self.position = position;
        self.unsettled = false;
        self.show_policies(vec![PolicyChange::All(policies)]);
        Ok(())
    }

    /// Tries to commit something that changes nothing: what is kept is the row of the store, encrypted anew.
    fn probe(&mut self) {
        let full = || StoreError::Full { directory: self.directory.clone() };
        self.shown.condition.begins(clock::unix_nanos());
        let outcome = if self.disk_full && self.is_almost_full() { Err(full()) } else { Ok(()) };
        let outcome = outcome
            .and_then(|()| self.place.check())
            .and_then(|()| self.settle())
            .and_then(|()| self.commit_nothing());
        self.shown.condition.ends();
        self.judge(outcome.as_ref().err());
    }

    fn commit_nothing(&mut self) -> Result<(), StoreError> {
        let mut attempt = || {
            let mut guard = lock(&self.slot);
            let connection = guard.as_mut().ok_or(StoreError::Closed)?;
            let mut transaction = Transaction::begin(connection)?;
            transaction.record(Some(&self.identity), &mut self.ring)?;
            commit(transaction)
        };
        match attempt() {
            Ok(()) => {
                self.ring.committed();
                Ok(())
            }
            Err(error) => {
                self.undo(&error);
                Err(error)
            }
        }
    }

    fn is_almost_full(&self) -> bool {
        // In memory there is no disk; what cannot be asked is found out by writing.
        disk::free_bytes(&self.directory).is_some_and(|free| free < MIN_FREE_BYTES)
    }

    /// Closes the readers, then moves the log into the file, then closes the file.
    fn close(self) -> Result<(), StoreError> {
        let connection = lock(&self.slot).take();
        self.readers.close();
        self.shown.cache.close();
        let Some(connection) = connection else { return Ok(()) };
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_row| Ok(()))?;
        connection.close().map_err(|(_connection, error)| error.into())
    }
}

/// What there is to do.
enum Next {
    Message(Message),
    /// It is time for a probe.
    Nothing,
    End,
}

fn commit(transaction: Transaction<'_>) -> Result<(), StoreError> {
    #[cfg(test)]
    if let Some(fault) = crate::store::tests::faults::due() {
        return Err(fault.instead_of(transaction));
    }
    transaction.commit()
}
