//! Opens a store: the directory, the files, the settings of SQLite, and the check of the root key.
//!
//! Nothing is written until the root key has proved correct.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode};
use spike_crypto::{Fingerprint, Quorum, RootKey};
use spike_daemon::process::DanglingLink;
use spike_domain::UnixNanos;
use spike_import::untrusted::{distrust, flags};

use super::commits::{CommitLog, Loss, Position};
use super::length::{check_length, refuse_stub};
use super::place::Place;
use super::private::{
    DirectoryLock, LOCK_FILE, existing_private_file, lock_directory, make_directory,
    protect_directory, refuse_apart_from_log, refuse_second_name, unusable,
};
use super::readers::{Readers, Slot};
use super::schema::{KnownSchema, check_header, difference, schema};
use super::transaction::Transaction;
use super::unit::{SqliteChange, SqliteUnit};
use super::{create, migrate, overwritten, rows, wal};
use crate::store::change::Effects;
use crate::store::condition::Condition;
use crate::store::error::StoreError;
use crate::store::files::Files;
use crate::store::format::identity::Identity;
use crate::store::format::keyring::Ring;
use crate::store::home::Home;
use crate::store::import::{Import, Plan};
use crate::store::opening::{Opening, Unopened};
use crate::store::options::{JournalMode, Options};

/// An open store that belongs to the given root key.
#[derive(Debug)]
pub(in crate::store) struct Opened {
    pub(in crate::store) writer: Slot,
    pub(in crate::store) readers: Arc<Readers>,
    pub(in crate::store) ring: Ring,
    pub(in crate::store) identity: Identity,
    /// Empty in memory.
    pub(in crate::store) directory: PathBuf,
    /// The lock of the directory, held while the store is open.
    pub(in crate::store) lock: Option<DirectoryLock>,
    /// What happened to the data of upstream.
    pub(in crate::store) import: Import,
    /// The position of the database.
    pub(in crate::store) position: Position,
    /// The second record of commits; `None` in memory.
    pub(in crate::store) commits: Option<CommitLog>,
    /// Acknowledged commits that are missing, noticed now or earlier.
    pub(in crate::store) loss: Option<Loss>,
    pub(in crate::store) condition: Arc<Condition>,
    /// The files that are open; none in memory.
    pub(in crate::store) place: Arc<Place>,
}

/// Opens the store at `home`, or makes it, as `opening` says.
pub(in crate::store) fn open(
    home: &Home,
    root: &RootKey,
    options: &Options,
    (opening, seen): (Opening, Option<&Files>),
    encryptions_per_key: u64,
    now: UnixNanos,
) -> Result<Opened, Unopened> {
    let may_write = &Cell::new(false);
    let connect = Connect { root, options, opening, seen, encryptions_per_key, now, may_write };
    let opened = match home {
        Home::File(directory) => connect.file(directory),
        Home::Memory => connect.memory(),
    };
    opened.map_err(|error| Unopened { error, may_have_written: may_write.get() })
}

pub(super) struct Connect<'a> {
    pub(super) root: &'a RootKey,
    pub(super) options: &'a Options,
    pub(super) opening: Opening,
    /// The files of an existing store that may be opened; `None`: any.
    pub(super) seen: Option<&'a Files>,
    pub(super) encryptions_per_key: u64,
    pub(super) now: UnixNanos,
    /// Set before the first write to the files at their final names.
    pub(super) may_write: &'a Cell<bool>,
}

impl Connect<'_> {
    fn memory(&self) -> Result<Opened, StoreError> {
        let mut connection = Connection::open_in_memory_with_flags(flags())?;
        self.harden(&connection)?;
        let (ring, identity, import) = self.fill(&mut connection, Plan::nothing())?;
        // Two connections to one database in memory lock each other out by polling. One shared connection is simpler and
        // faster.
        let writer = Arc::new(Mutex::new(Some(connection)));
        let condition = Arc::new(Condition::new(ring.usage()));
        let reader = Arc::clone(&writer);
        Ok(Opened {
            writer,
            readers: Arc::new(Readers::in_memory(reader, Arc::clone(&condition))),
            ring,
            identity,
            directory: PathBuf::new(),
            lock: None,
            import,
            position: Position::default(),
            commits: None,
            loss: None,
            condition,
            place: Arc::default(),
        })
    }

    fn file(&self, directory: &Path) -> Result<Opened, StoreError> {
        let path = directory.join(create::FILE);
        // A new file in place of the link would be a second store.
        if let Some(link) = DanglingLink::on(&path) {
            return Err(unusable(&path, link.error()));
        }
        refuse_apart_from_log(&path)?;
        match self.opening {
            Opening::Existing => {
                create::require(directory)?;
                protect_directory(directory)?;
            }
            Opening::Import => protect_directory(directory)?,
            Opening::New => make_directory(directory)?,
        }
        let lock = lock_directory(directory)?;
        create::sweep(directory)?;
        overwritten::refuse(directory)?;
        refuse_second_name(&path)?;
        spike_import::sweep(directory)?;
        let made = match self.opening {
            Opening::Existing => None,
            Opening::Import | Opening::New => Some(self.make(directory)?),
        };
        drop(existing_private_file(&path)?);
        refuse_stub(&path)?;
        // Before SQLite reads the log, and overwrites the frames that it ignores.
        let damage = wal::inspect(&directory.join(wal::FILE));
        // Dropped after the connection.
        let place;
        let mut connection = Connection::open_with_flags(&path, flags())?;
        self.harden(&connection)?;
        let is_damaged = |error| damaged(error, &path);
        let schema = check_header(&connection, &path).map_err(is_damaged)?;
        check_length(&connection, &path)?;
        let (mut ring, mut identity) =
            self.recognise(&connection, &path, schema).map_err(is_damaged)?;
        let found = Position::of(&connection, &identity).map_err(is_damaged)?;
        let made_now = made.is_some();
        let plan = match made {
            Some(import) => Plan::Settled(import),
            None => Plan::for_existing(directory, self.root, &connection, ring.keys(), &identity)?,
        };
        self.require_as_seen(directory)?;
        // The key is correct. From here on, files may be written.
        self.may_write.set(true);
        let mut commits = CommitLog::open(directory);
        let loss = if made_now {
            commits.forget_lost_store();
            None
        } else {
            Loss::look(directory, &commits, found, damage, self.now)
        };
        self.set_journal(&connection)?;
        let mut transaction = Transaction::begin(&mut connection)?;
        let before = identity.clone();
        let migrated = match schema {
            KnownSchema::First => {
                Some(migrate::from_first(&mut transaction, &mut ring, &mut identity)?)
            }
            KnownSchema::Current => None,
        };
        identity.quorum = self.options.quorum.or(identity.quorum);
        let import = self.carry_out(plan, &mut transaction, &mut ring, &mut identity)?;
        let changed = identity != before || schema != KnownSchema::Current;
        transaction.record(changed.then_some(&identity), &mut ring)?;
        let position = Position::of(transaction.connection(), &identity)?;
        transaction.commit()?;
        ring.committed();
        if let Some(migrated) = migrated {
            migrated.log();
        }
        log_quorum(before.quorum, identity.quorum);
        if made_now {
            // Its list begins with it. Nothing is missing from it.
            commits.begin(Position::default(), self.now);
            commits.note(position, self.now);
        } else {
            commits.begin(position, self.now);
        }
        let condition = Arc::new(Condition::new(ring.usage()));
        let readers = (0..self.options.readers.get()).map(|_| self.reader(&path));
        place = Arc::new(self.place(directory, &path)?);
        if !place.is_watched() {
            connection.pragma_update(None, "wal_autocheckpoint", 1000)?;
        }
        let readers = readers.collect::<Result<_, _>>()?;
        let readers = Readers::new(readers, Arc::clone(&condition), Arc::clone(&place));
        let readers = Arc::new(readers);
        let writer = Arc::new(Mutex::new(Some(connection)));
        let directory = directory.to_owned();
        Ok(Opened {
            writer,
            readers,
            ring,
            identity,
            directory,
            lock: Some(lock),
            import,
            position,
            commits: Some(commits),
            loss,
            condition,
            place,
        })
    }

    /// Refuses files that came between the look and the opening: a copy over the same names may be under way.
    fn require_as_seen(&self, directory: &Path) -> Result<(), StoreError> {
        let seen = self.seen.filter(|_| self.opening == Opening::Existing);
        if seen.is_some_and(|seen| !seen.are_in(directory)) {
            return Err(StoreError::Replaced { directory: directory.to_owned() });
        }
        Ok(())
    }

    /// Checks quickly that the store is complete, and that it belongs to the root key.
    fn recognise(
        &self,
        connection: &Connection,
        path: &Path,
        known: KnownSchema,
    ) -> Result<(Ring, Identity), StoreError> {
        let fresh = Connection::open_in_memory()?;
        fresh.execute_batch(known.sql())?;
        // The comparison is exact, so that nobody can add a trigger or relax a table.
        if let Some(what) = difference(path, &schema(&fresh)?, &schema(connection)?) {
            return Err(StoreError::Altered { path: path.to_owned(), what });
        }
        let (root_key, active_key) = match known {
            KnownSchema::First => migrate::unverified_identity(connection)?,
            KnownSchema::Current => {
                let Identity { root_key, active_key, .. } = rows::unverified_identity(connection)?;
                (root_key, active_key)
            }
        };
        let stored = Fingerprint::from_bytes(root_key);
        let given = self.root.fingerprint();
        let limit = self.encryptions_per_key;
        let keyring = rows::keyring(connection)?;
        let Some(ring) = Ring::load(keyring, self.root, active_key, limit)? else {
            return Err(if stored == given {
                StoreError::Tampered { table: "keyring", path: String::new(), version: None }
            } else {
                StoreError::WrongRootKey { stored, given }
            });
        };
        let identity = match known {
            KnownSchema::First => migrate::identity(connection, ring.keys())?,
            KnownSchema::Current => rows::identity(connection, ring.keys())?,
        };
        Ok((ring, identity))
    }

    pub(super) fn carry_out(
        &self,
        plan: Plan,
        transaction: &mut Transaction<'_>,
        ring: &mut Ring,
        identity: &mut Identity,
    ) -> Result<Import, StoreError> {
        // There are no readers yet.
        let (effects, mut head) = (&mut Effects::default(), None);
        let unit = SqliteUnit { connection: transaction.connection(), head: &mut head };
        let mut change = SqliteChange { unit, ring, identity, effects };
        plan.carry_out(&mut change, self.options, self.now)
    }

    fn place(&self, directory: &Path, path: &Path) -> Result<Place, StoreError> {
        let (log, index) = (directory.join(wal::FILE), directory.join(wal::INDEX));
        let place = Place::of(&[path, &log, &index, &directory.join(LOCK_FILE)])?;
        match self.options.journal_mode {
            JournalMode::Wal => place.with_log(path, &log, &index),
            JournalMode::Delete | JournalMode::Truncate | JournalMode::Persist => Ok(place),
        }
    }

    fn reader(&self, path: &Path) -> Result<Slot, StoreError> {
        let connection = Connection::open_with_flags(path, flags())?;
        self.harden(&connection)?;
        connection.pragma_update(None, "query_only", true)?;
        // SQLite opens the log with the first read. It must be the log that is there now.
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], get::<i64>)?;
        Ok(Arc::new(Mutex::new(Some(connection))))
    }

    /// The settings of every connection: the file is not trusted.
    pub(super) fn harden(&self, connection: &Connection) -> Result<(), StoreError> {
        connection.busy_timeout(self.options.busy_timeout)?;
        connection.set_prepared_statement_cache_capacity(32);
        distrust(connection)?;
        // Nothing moves the log into the file but the writer, once it has looked at the log: not a key that is not verified yet, and
        // not a writer that has panicked.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        // Pruned rows are overwritten, not only unlinked (F8).
        connection.pragma_update(None, "secure_delete", true)?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        Ok(())
    }

    /// An acknowledged write is on the disk: every commit syncs.
    fn set_journal(&self, connection: &Connection) -> Result<(), StoreError> {
        let wanted = self.options.journal_mode;
        let got: String =
            connection.pragma_update_and_check(None, "journal_mode", wanted.as_str(), get)?;
        if got != wanted.as_str() {
            return Err(StoreError::JournalNotSet { wanted: wanted.as_str(), got });
        }
        let synchronous = match wanted {
            JournalMode::Wal => "FULL",
            // In these modes a commit ends with the journal, so the directory is synced as well.
            JournalMode::Delete | JournalMode::Truncate | JournalMode::Persist => "EXTRA",
        };
        connection.pragma_update(None, "synchronous", synchronous)?;
        if wanted == JournalMode::Wal {
            // Of itself SQLite never makes the log smaller, however large a slow reader has made it.
            connection.pragma_update(None, "journal_size_limit", wal::KEPT_BYTES)?;
            // The writer moves the log into the file, once it has read it back.
            connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        }
        Ok(())
    }
}

pub(super) fn get<T: rusqlite::types::FromSql>(row: &rusqlite::Row<'_>) -> rusqlite::Result<T> {
    row.get(0)
}

/// Names the file in an error of SQLite about a damaged database.
fn damaged(error: StoreError, path: &Path) -> StoreError {
    match error {
        StoreError::Sqlite(error)
            if matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
            ) =>
        {
            StoreError::Damaged { path: path.to_owned(), what: error.to_string() }
        }
        other => other,
    }
}

/// The settings of Nexus determine how the key is split from now on.
fn log_quorum(before: Option<Quorum>, now: Option<Quorum>) {
    if let Some((before, now)) = before.zip(now)
        && before != now
    {
        tracing::warn!(
            shares = now.shares(),
            threshold = now.threshold(),
            shares_before = before.shares(),
            threshold_before = before.threshold(),
            "the root key is split in another way than before"
        );
    }
}
