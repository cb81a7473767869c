//! The writer thread, and group commit.
//!
//! All waiting writes are executed in one transaction with one commit, each inside its own savepoint, and answered only after
//! the commit has returned. So one sync of the disk serves many writers, and an acknowledged write is on the disk.
//!
//! **State outside of the database** changes here too, after the commit and before any answer: the policies in force, their
//! epoch, and the cache. So it follows the database even if callers leave.
//!
//! **After a failure** the state is unknown. If the commit itself failed with an error of the disk, the transaction may or may
//! not be kept: callers get an error that says so, and the database is read before anything else is written. While the last
//! attempt failed, the thread tries a harmless commit about once a second, to notice when the store can be written again.

mod moving;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use spike_daemon::process::chain;
use spike_mtls::clock::{self, Moment};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use self::moving::Checkpoints;
use super::commits::{CommitLog, Position};
use super::message::{Message, Write};
use super::open::Opened;
use super::place::Place;
use super::private::DirectoryLock;
use super::readers::{Readers, Slot, lock};
use super::shown::Shown;
use super::transaction::{Transaction, shows};
use super::unit::{SqliteChange, SqliteUnit};
use super::{policy_rows, rows};
use crate::store::change::{Effects, PolicyChange};
use crate::store::condition::Presence;
use crate::store::disk;
use crate::store::error::StoreError;
use crate::store::format::identity::Identity;
use crate::store::format::keyring::Ring;

/// The most writes in one transaction. It bounds the wait of the first caller.
const BATCH: usize = 256;

/// The pause between two attempts to write while the last one failed.
const PROBE_PAUSE: Duration = Duration::from_secs(1);

/// How much space must be free on a disk that was full before writing is tried again. A harmless write needs one page, and
/// would succeed although no other write does.
const MIN_FREE_BYTES: u64 = 1 << 20;

pub(in crate::store) struct Writer {
    slot: Slot,
    readers: Arc<Readers>,
    ring: Ring,
    identity: Identity,
    /// As of the last commit.
    committed: Identity,
    /// The position after the last commit, as recorded in the file of commits.
    position: Position,
    commits: Option<CommitLog>,
    shown: Shown,
    /// Empty in memory.
    directory: PathBuf,
    place: Arc<Place>,
    checkpoints: Checkpoints,
    /// A commit ended with an unknown outcome, and the database has not been read since.
    unsettled: bool,
    /// The last attempt failed because the disk was full.
    disk_full: bool,
    /// The timer of probes, used only while writing fails.
    timer: Runtime,
}

impl Writer {
    /// The writer of an opened store, and the lock of its directory.
    pub(in crate::store) fn new(
        opened: Opened,
        shown: Shown,
    ) -> Result<(Self, Option<DirectoryLock>), std::io::Error> {
        let timer = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        if let Some(commits) = &opened.commits {
            shown.condition.set_notices_losses(commits.is_kept());
        }
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
            checkpoints: Checkpoints::default(),
            unsettled: false,
            disk_full: false,
            timer,
        };
        Ok((writer, opened.lock))
    }

    /// Runs until the store is closed or dropped; `directory_lock` is released at the very end.
    pub(in crate::store) fn run(
        mut self,
        mut receiver: mpsc::Receiver<Message>,
        directory_lock: Option<DirectoryLock>,
    ) {
        let _presence = Presence(Arc::clone(&self.shown.condition));
        self.move_log();
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
            if closing.is_none() {
                self.move_log();
            }
        }
        // Messages behind the end are answered that the store is closed.
        drop(receiver);
        let result = self.close();
        drop(directory_lock);
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

    /// Waits for a message, and while writing fails only until the next probe.
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
        let begun = Moment::now();
        self.shown.condition.begins(begun);
        let committed = self.place.check().and_then(|()| self.settle());
        let committed = committed.and_then(|()| self.execute(&mut batch)).map_err(Arc::new);
        match &committed {
            Ok(()) => {
                self.shown.condition.committed(batch.len(), begun.elapsed(), clock::unix_nanos());
            }
            Err(_told) => self.shown.condition.commit_failed(),
        }
        self.shown.condition.ends();
        // SQLite may roll the whole transaction back if one write fails. The error of that write is the better reason.
        let trouble = batch.iter().find_map(|write| write.job.trouble());
        self.judge(trouble.or_else(|| committed.as_ref().err().map(|error| &**error)));
        for write in batch {
            write.job.answer(committed.clone());
        }
    }

    /// Records what the last attempt to write means for the next one.
    fn judge(&mut self, trouble: Option<&StoreError>) {
        self.disk_full = trouble.is_some_and(StoreError::is_disk_full);
        match trouble {
            None => self.shown.condition.can_write(),
            Some(error) => self.shown.condition.cannot_write(chain(error), clock::unix_nanos()),
        }
    }

    /// Executes a batch, commits it, and publishes it.
    fn execute(&mut self, batch: &mut [Write]) -> Result<(), StoreError> {
        let mut effects = Effects::default();
        match self.transact(batch, &mut effects) {
            Ok(()) => {
                self.publish(effects);
                self.place.after_write(|| self.shows())
            }
            Err(error) => {
                self.undo(&error);
                Err(self.place.reason(error))
            }
        }
    }

    fn transact(&mut self, batch: &mut [Write], effects: &mut Effects) -> Result<(), StoreError> {
        let Self { slot, ring, identity, committed, position, shown, place, .. } = self;
        let mut guard = lock(slot);
        let connection = guard.as_mut().ok_or(StoreError::Closed)?;
        let mut transaction = Transaction::begin(connection)?;
        place.before_write(|| transaction.shows(committed, ring.keys(), *position))?;
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
            // After some failures, such as a full disk, SQLite rolls the whole transaction back by itself. Then there is no
            // savepoint either, and the rest of the batch fails.
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
        transaction.commit()?;
        drop(changing);
        position.heads = head.unwrap_or(position.heads);
        Ok(())
    }

    /// Whether the database is as the last commit has left it; `None` if it cannot be read now.
    fn shows(&self) -> Option<bool> {
        let guard = lock(&self.slot);
        shows(guard.as_ref()?, &self.committed, self.ring.keys(), self.position)
    }

    /// Every commit is published before any caller is answered.
    fn publish(&mut self, effects: Effects) {
        self.ring.committed();
        self.shown.condition.key_is_used(self.ring.usage());
        self.committed = self.identity.clone();
        self.show_policies(effects.policies);
        self.position.epoch = self.identity.policy_epoch;
        if let Some(commits) = &mut self.commits {
            commits.note(self.position, clock::unix_nanos());
            self.shown.condition.set_notices_losses(commits.is_kept());
        }
    }

    /// Publishes changes in the order of commits. No caller that has seen a change of a policy may get a decision from before
    /// it.
    fn show_policies(&mut self, changes: Vec<PolicyChange>) {
        if let (false, Some(follower)) = (changes.is_empty(), self.shown.follower.get()) {
            let whole = matches!(changes.as_slice(), [PolicyChange::All(_)]);
            match catch_unwind(AssertUnwindSafe(|| follower(changes))) {
                Ok(()) if whole => self.shown.condition.policies_agree(),
                Ok(()) => {}
                Err(_panic) => {
                    // It is read completely before the next write, which may succeed.
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
        self.shown.condition.key_is_used(self.ring.usage());
        self.identity = self.committed.clone();
        if matches!(error, StoreError::OutcomeUnknown(_)) {
            self.unsettled = true;
            // At once, so that no decision uses the old state.
            if let Err(error) = self.settle() {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "it cannot be read what a failed commit left; the next write tries again"
                );
            }
        }
    }

    /// After a commit with unknown outcome: reads the database, and updates the state in memory.
    fn settle(&mut self) -> Result<(), StoreError> {
        if !self.unsettled {
            return Ok(());
        }
        let (identity, position, policies) = {
            let guard = lock(&self.slot);
            let connection = guard.as_ref().ok_or(StoreError::Closed)?;
            let snapshot = connection.unchecked_transaction()?;
            let identity = rows::unverified_identity(&snapshot)?;
            // This comes first: the row of the store may be encrypted under a key that the lost commit added.
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

    /// Tries to commit without a change: the row of the store, encrypted again.
    fn probe(&mut self) {
        let full = || StoreError::Full { directory: self.directory.clone() };
        self.shown.condition.begins(Moment::now());
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
            let shows = || transaction.shows(&self.committed, self.ring.keys(), self.position);
            self.place.before_write(shows)?;
            transaction.record(Some(&self.identity), &mut self.ring)?;
            transaction.commit()
        };
        match attempt() {
            Ok(()) => {
                self.ring.committed();
                self.place.after_write(|| self.shows())
            }
            Err(error) => {
                self.undo(&error);
                Err(self.place.reason(error))
            }
        }
    }

    fn is_almost_full(&self) -> bool {
        // In memory there is no disk. If the disk cannot be asked, a write finds out.
        disk::free_bytes(&self.directory).is_some_and(|free| free < MIN_FREE_BYTES)
    }
}

/// The next thing to do.
enum Next {
    Message(Message),
    /// It is time for a probe.
    Nothing,
    End,
}
