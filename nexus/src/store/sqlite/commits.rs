//! The last commits, recorded a second time outside of the database, so that a database without them is noticed when it is
//! opened.
//!
//! SQLite reads a write-ahead log up to the first damaged or missing frame, and reports no error. A flipped bit or a truncated
//! log silently undoes commits, and may restore a revoked policy. `nexus.commits` contains, for each of the last commits, the
//! position of the database after it. It is written after the commit has returned and before any answer, and never synced,
//! which costs a few microseconds for each batch.
//!
//! * A database that is **behind** the file has lost commits. One that is ahead is normal: after a power loss the file may be
//!   older than the database, never newer.
//! * So after a power loss, lost commits may not be noticed here; [`super::wal`] examines the log itself.
//! * An older copy of the database is noticed like any other loss.
//! * The file is no protection against somebody who can write both files.
//! * A manual `VACUUM` renumbers rows, and makes a database look as if it were behind.
//!
//! A loss is written to `nexus.loss` as text. Health stays degraded until an operator has removed that file.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use sha2::{Digest, Sha256};
use spike_daemon::read_small;
use spike_domain::UnixNanos;
use spike_mtls::clock;

use super::private::{private_file, unusable};
use crate::store::error::StoreError;
use crate::store::format::identity::Identity;

const FILE: &str = "nexus.commits";
const LOSS_FILE: &str = "nexus.loss";
/// The most bytes of it that are read.
const LONGEST_LOSS: usize = 64 * 1024;
/// How many commits are remembered. If more are missing, the message says "at least" this number.
const SLOTS: u64 = 1024;
const SLOT: usize = 64;
const MAGIC: &[u8; 8] = b"SPIKEcl1";
/// The bytes of a slot that its checksum covers.
const BODY: usize = 40;

/// The position of a database. Every commit that changes a secret or a policy increases it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::store) struct Position {
    /// The highest row number of `secrets`: each write of a path takes a new one.
    pub(in crate::store) heads: i64,
    /// The policy epoch.
    pub(in crate::store) epoch: u64,
}

impl Position {
    /// The position of the snapshot that `connection` sees.
    pub(in crate::store) fn of(
        connection: &Connection,
        identity: &Identity,
    ) -> Result<Self, StoreError> {
        let sql = "SELECT coalesce(max(rowid), 0) FROM secrets";
        let heads = connection.query_row(sql, [], |row| row.get(0))?;
        Ok(Self { heads, epoch: identity.policy_epoch })
    }

    pub(super) const fn has_reached(self, other: Self) -> bool {
        self.heads >= other.heads && self.epoch >= other.epoch
    }
}

/// A recorded commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Record {
    /// From 1, without gaps.
    number: u64,
    position: Position,
    at: UnixNanos,
}

/// The file `nexus.commits`.
#[derive(Debug)]
pub(in crate::store) struct CommitLog {
    /// `None` if it cannot be used. The store then works without it, and logs that once.
    file: Option<File>,
    /// Ascending by number; only what was there when the store was opened.
    records: Vec<Record>,
    number: u64,
    position: Position,
}

impl CommitLog {
    /// Opens or creates the file. If it cannot be used, that is a warning, not an error.
    pub(in crate::store) fn open(directory: &Path) -> Self {
        let path = directory.join(FILE);
        let opened = private_file(&path).and_then(|file| {
            let read = read(&file);
            read.map(|records| (file, records)).map_err(|error| unusable(&path, error))
        });
        match opened {
            Ok((file, records)) => {
                let last = records.last().copied();
                Self {
                    file: Some(file),
                    number: last.map_or(0, |last| last.number),
                    position: last.map_or_else(Position::default, |last| last.position),
                    records,
                }
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "commits cannot be written down a second time: lost ones will not be noticed"
                );
                Self { file: None, records: Vec::new(), number: 0, position: Position::default() }
            }
        }
    }

    /// A new store was created, and this file is about another one.
    pub(in crate::store) fn forget_lost_store(&mut self) {
        let Some(last) = self.records.last() else { return };
        tracing::warn!(
            commits = last.number,
            last_commit = text(last.at),
            "a new store was made where there was another one before"
        );
        self.records.clear();
    }

    /// The commits that a database at the position `found` lacks.
    fn missing(&self, found: Position) -> Option<Missing> {
        let last = self.records.last()?;
        let after = self.records.iter().rposition(|record| found.has_reached(record.position));
        let first = match after {
            Some(at) if at + 1 == self.records.len() => return None,
            Some(at) => self.records.get(at + 1)?,
            None => self.records.first()?,
        };
        Some(Missing {
            commits: last.number.saturating_sub(first.number).saturating_add(1),
            at_least: after.is_none(),
            between: Some((first.at, last.at)),
        })
    }

    /// Starts again from the position of the database, so that the same loss is not reported twice.
    pub(in crate::store) fn begin(&mut self, position: Position, now: UnixNanos) {
        if self.records.is_empty() && position != Position::default() && self.file.is_some() {
            tracing::warn!(
                file = FILE,
                "the store has commits, and their list was missing, empty or damaged: commits that were lost before now are \
                 not noticed, which is so once after an upgrade, and never otherwise"
            );
        }
        let behind = self.records.iter().any(|record| !position.has_reached(record.position));
        if behind || self.records.is_empty() {
            if let Some(Err(error)) = self.file.as_ref().map(clear) {
                self.give_up(&error);
            }
            self.position = Position::default();
        }
        self.records = Vec::new();
        self.note(position, now);
    }

    /// Whether lost commits will be noticed.
    pub(in crate::store) const fn is_kept(&self) -> bool {
        self.file.is_some()
    }

    /// Records a commit that has returned. One that changed neither a secret nor a policy is ignored.
    pub(in crate::store) fn note(&mut self, position: Position, now: UnixNanos) {
        if position == self.position {
            return;
        }
        self.position = position;
        self.number += 1;
        let record = Record { number: self.number, position, at: now };
        let offset = self.number % SLOTS * SLOT as u64;
        let written = self.file.as_ref().map(|file| file.write_all_at(&record.encode(), offset));
        if let Some(Err(error)) = written {
            self.give_up(&error);
        }
    }

    fn give_up(&mut self, error: &io::Error) {
        tracing::warn!(%error, "commits cannot be written down a second time any more: lost ones will not be noticed");
        // An incomplete record would be reported as a loss at the next start.
        if let Some(Err(error)) = self.file.take().map(|file| file.set_len(0)) {
            tracing::warn!(%error, file = FILE, "it cannot be emptied either: the next start may tell of lost commits");
        }
    }
}

impl Record {
    fn encode(&self) -> [u8; SLOT] {
        let mut body = Vec::with_capacity(SLOT);
        body.extend_from_slice(MAGIC);
        body.extend_from_slice(&self.number.to_le_bytes());
        body.extend_from_slice(&self.position.heads.to_le_bytes());
        body.extend_from_slice(&self.position.epoch.to_le_bytes());
        body.extend_from_slice(&self.at.to_le_bytes());
        let digest = Sha256::digest(&body);
        body.extend(digest.iter().take(SLOT - BODY));
        body.try_into().unwrap_or([0; SLOT])
    }

    /// `None` for a slot that was never written, or only partly.
    fn decode(slot: &[u8]) -> Option<Self> {
        let (body, sum) = slot.split_at_checked(BODY)?;
        let whole = Sha256::digest(body).iter().zip(sum).all(|(one, other)| one == other);
        let (magic, rest) = body.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (heads, rest) = rest.split_first_chunk()?;
        let (epoch, at) = rest.split_first_chunk()?;
        (whole && magic == MAGIC).then_some(())?;
        Some(Self {
            number: u64::from_le_bytes(*number),
            position: Position {
                heads: i64::from_le_bytes(*heads),
                epoch: u64::from_le_bytes(*epoch),
            },
            at: i64::from_le_bytes(*at.as_array()?),
        })
    }
}

fn read(file: &File) -> io::Result<Vec<Record>> {
    let mut bytes = vec![0; SLOT * usize::try_from(SLOTS).unwrap_or_default()];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, filled as u64)? {
            0 => break,
            count => filled += count,
        }
    }
    let (slots, _) = bytes.as_chunks::<SLOT>();
    let mut records: Vec<Record> = slots.iter().filter_map(|slot| Record::decode(slot)).collect();
    records.sort_unstable_by_key(|record| record.number);
    Ok(records)
}

/// Clears the file and gives it its full size, so that a full disk later does not matter.
fn clear(file: &File) -> io::Result<()> {
    file.write_all_at(&vec![0; SLOT * usize::try_from(SLOTS).unwrap_or_default()], 0)
}

/// Missing commits.
#[derive(Debug)]
struct Missing {
    commits: u64,
    /// There may be more.
    at_least: bool,
    /// When the first and the last of them were made, if that is known.
    between: Option<(UnixNanos, UnixNanos)>,
}

/// Acknowledged commits that are missing, and the file that records it for an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// The file. An operator removes it to confirm the loss.
    pub file: PathBuf,
    /// What is known, in words.
    pub text: String,
}

impl Loss {
    /// Compares the database with the record outside of it, and returns what is missing. `damage`: commits behind a damaged
    /// frame of the write-ahead log.
    pub(in crate::store) fn look(
        directory: &Path,
        commits: &CommitLog,
        found: Position,
        damage: Option<u64>,
        now: UnixNanos,
    ) -> Option<Self> {
        let file = directory.join(LOSS_FILE);
        let from_log = damage.map(|commits| Missing { commits, at_least: true, between: None });
        if let Some(missing) = commits.missing(found).or(from_log) {
            let text = words(&missing, damage.is_some(), now);
            tracing::error!(
                commits = missing.commits,
                at_least = missing.at_least,
                file = %file.display(),
                "{text}"
            );
            if damage.is_some() {
                super::wal::keep(directory, now);
            }
            if let Err(error) = append(&file, &text) {
                tracing::error!(file = %file.display(), %error, "the loss cannot be written down: it is told only now");
            }
            return Some(Self { file, text });
        }
        let text = match read_small(&file, LONGEST_LOSS) {
            Ok(text) => String::from_utf8_lossy(&text).trim_end().to_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => format!("{LOSS_FILE} cannot be read: {error}"),
        };
        tracing::error!(file = %file.display(), "noticed at an earlier start, and not looked after yet: {text}");
        Some(Self { file, text })
    }

    /// The operator has not removed the file yet.
    pub(in crate::store) fn is_open(&self) -> bool {
        self.file.try_exists().unwrap_or(true)
    }
}

fn words(missing: &Missing, damaged: bool, now: UnixNanos) -> String {
    let count = if missing.at_least { "at least " } else { "" };
    let between = missing.between.map_or_else(String::new, |(first, last)| {
        format!(", the first of {}, the last of {}", text(first), text(last))
    });
    let cause = if damaged {
        "the write-ahead log is damaged"
    } else {
        "the write-ahead log was cut or removed, or an older copy of the database was put in its place"
    };
    format!(
        "{}: acknowledged commits are missing from the store, {count}{} of them{between}: {cause}. Policies and secrets \
         that they changed or deleted are as they were before: compare with the audit log, then remove {LOSS_FILE}",
        text(now),
        missing.commits
    )
}

fn append(file: &Path, text: &str) -> Result<(), StoreError> {
    drop(private_file(file)?);
    let appended = File::options().append(true).open(file).and_then(|mut file| {
        writeln!(file, "{text}")?;
        file.sync_all()
    });
    appended.map_err(|source| unusable(file, source))
}

fn text(nanos: UnixNanos) -> String {
    clock::second(clock::at(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_and_a_torn_one_does_not() {
        let position = Position { heads: 7, epoch: 3 };
        let record = Record { number: 12, position, at: -5 };
        let slot = record.encode();
        assert_eq!(Record::decode(&slot), Some(record));
        for at in 0..SLOT {
            let mut torn = slot;
            torn[at] ^= 1;
            assert_eq!(Record::decode(&torn), None, "{at}");
        }
        for length in 0..BODY {
            assert_eq!(Record::decode(&slot[..length]), None, "{length}");
        }
        assert_eq!(Record::decode(&[0; SLOT]), None);
    }

    #[test]
    fn what_is_missing_is_counted_from_the_last_commit_that_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let at = |heads, epoch| Position { heads, epoch };
        let mut log = CommitLog::open(directory.path());
        log.begin(at(1, 1), 100);
        for (heads, epoch) in [(2, 1), (3, 1), (3, 2), (4, 2)] {
            log.note(at(heads, epoch), 100 + heads + epoch.cast_signed());
        }
        let log = CommitLog::open(directory.path());
        assert!(log.missing(at(4, 2)).is_none());
        assert!(log.missing(at(9, 9)).is_none());
        for (found, commits, at_least) in
            [(at(3, 2), 1, false), (at(3, 1), 2, false), (at(2, 1), 3, false), (at(0, 1), 5, true)]
        {
            let missing = log.missing(found).unwrap();
            assert_eq!((missing.commits, missing.at_least), (commits, at_least), "{found:?}");
        }
        assert_eq!(log.missing(at(3, 1)).unwrap().between, Some((105, 106)));
    }

    #[test]
    fn only_the_last_commits_are_remembered_and_that_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = CommitLog::open(directory.path());
        for heads in 1..5000 {
            log.note(Position { heads, epoch: 1 }, heads);
        }
        let log = CommitLog::open(directory.path());
        assert_eq!(log.records.len() as u64, SLOTS);
        let missing = log.missing(Position { heads: 10, epoch: 1 }).unwrap();
        assert_eq!((missing.commits, missing.at_least), (SLOTS, true));
    }
}
