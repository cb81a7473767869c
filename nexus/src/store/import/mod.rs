//! Taking in a database of upstream (crypto-and-storage 0.1, 7): 0.8.2, 0.8.0, what was between
//! them, and what came before.
//!
//! Owned here: which file is taken in and when, that the root key is the right one, and what
//! becomes of each row. Rows of our own are written as ever, in the one transaction of the caller.
//!
//! * A new store takes in the `spike.db` that lies in its directory. So does an old one that holds
//!   nothing, unless it is the very file it took in before. A store that holds something never
//!   does: [`Import`] tells that the file is there.
//! * The key is checked first, on every encrypted row: more of them must decrypt than not. A row
//!   that was tampered with is then left out by name, and a key under which only some rows were
//!   written (F1) does not pass.
//! * What would have to be left out stops the import, with a list, until an operator has said to go
//!   on without it ([`Options::import_with_losses`]).
//! * Upstream never erases a version, so that more may be there than its limit (F8). All of them
//!   come in and are kept: the limit counts the versions put since, unless an operator says otherwise
//!   ([`Options::prune_imported`]).
//! * A put after the import gets the number after the highest that upstream ever used (F6), also
//!   when that row was left out. Current and oldest version follow from the versions (F10).
//! * Policies whose patterns are in clear, as before 0.5.0, stay out: else whoever can write the
//!   file could hand out permissions without any key.

mod cell;
mod files;
mod policies;
mod recognise;
mod record;
mod report;
mod secrets;

/// For fuzz targets.
#[cfg(feature = "fuzzing")]
pub(super) mod fuzzing {
    pub(in crate::store) use super::cell::{name, time};
}

use std::path::Path;

use rusqlite::Connection;
use spike_crypto::{RootCipher, RootKey};
use spike_domain::UnixNanos;

use self::cell::{Opener, Salt, UNSALTED};
use self::files::{Copy, Upstream};
pub(super) use self::files::{exists, sweep};
pub use self::recognise::Generation;
use self::recognise::{Form, MetadataForm, PolicyForm};
pub use self::record::ImportRecord;
pub use self::report::{Finding, Import, ImportReport, NONCES_WERE_REUSED, NotImported, Reason};
use super::change::Change;
use super::identity::Identity;
use super::keyring::Keys;
use super::row::seal;
use super::{Options, StoreError};

/// What is to become of upstream's database, decided before anything is written.
#[derive(Debug)]
pub(super) enum Plan {
    /// Nothing is to be written.
    Settled(Import),
    /// It is to be taken in.
    TakeIn(Box<Source>),
}

impl Plan {
    pub(super) const fn nothing() -> Self {
        Self::Settled(Import::None)
    }

    pub(super) const fn is_nothing(&self) -> bool {
        matches!(self, Self::Settled(Import::None))
    }

    /// For a store that is about to be made.
    pub(super) fn for_new(directory: &Path, root: &RootKey) -> Result<Self, StoreError> {
        match Upstream::find(directory)? {
            None => Ok(Self::nothing()),
            Some(upstream) => Source::open(upstream, root).map(Self::take_in),
        }
    }

    /// For a store that is there.
    pub(super) fn for_existing(
        directory: &Path,
        root: &RootKey,
        connection: &Connection,
        keys: &Keys,
        identity: &Identity,
    ) -> Result<Self, StoreError> {
        if !exists(directory) {
            return Ok(Self::nothing());
        }
        let record = match ImportRecord::find(connection, keys, identity) {
            Err(error @ StoreError::Tampered { .. }) => {
                return Ok(Self::Settled(Import::Not(NotImported::Record(error))));
            }
            found => found?,
        };
        let found = Upstream::find(directory).and_then(|upstream| {
            let Some(upstream) = upstream else { return Ok(None) };
            let known = record.as_ref().map_or(Ok(false), |record| upstream.is(record))?;
            Ok(Some((upstream, known)))
        });
        let settled = match (found, record) {
            (Ok(None), _) => Import::None,
            (Ok(Some((_upstream, true))), Some(record)) => Import::Earlier(record),
            (Ok(Some((upstream, _))), record) => {
                if holds_nothing(connection)? {
                    return Source::open(upstream, root).map(Self::take_in);
                }
                Import::Not(record.map_or(NotImported::HoldsData, NotImported::Another))
            }
            (Err(error), _) if holds_nothing(connection)? => return Err(error),
            (Err(error), _) => Import::Not(NotImported::Unreadable(error)),
        };
        Ok(Self::Settled(settled))
    }

    /// Does what is to be done, as part of the caller's transaction.
    pub(super) fn carry_out(
        self,
        change: &mut Change<'_>,
        options: &Options,
        now: UnixNanos,
    ) -> Result<Import, StoreError> {
        match self {
            Self::Settled(import) => Ok(import),
            Self::TakeIn(source) => source.take_in(change, options, now).map(Import::Done),
        }
    }

    fn take_in(source: Source) -> Self {
        Self::TakeIn(Box::new(source))
    }
}

fn holds_nothing(connection: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT NOT EXISTS (SELECT 1 FROM secrets) AND NOT EXISTS (SELECT 1 FROM versions)
        AND NOT EXISTS (SELECT 1 FROM policies)";
    connection.query_row(sql, [], |row| row.get(0))
}

/// A database of upstream that is recognised, belongs to the root key, and can be read.
#[derive(Debug)]
pub(super) struct Source {
    upstream: Upstream,
    copy: Copy,
    form: Form,
    cipher: RootCipher,
}

impl Source {
    fn open(upstream: Upstream, root: &RootKey) -> Result<Self, StoreError> {
        let copy = upstream.copy()?;
        let form = Form::of(&copy.connection).map_err(|error| upstream.fault(&error))?;
        let form = match form {
            Ok(form) => form,
            Err(what) => return Err(StoreError::Upstream { path: upstream.path, what }),
        };
        let cipher = RootCipher::new(root);
        let source = Self { upstream, copy, form, cipher };
        let (opened, refused) = source.trial().map_err(|error| source.fault(&error))?;
        if refused > 0 && opened <= refused {
            let (path, given) = (source.upstream.path, root.fingerprint());
            return Err(StoreError::UpstreamKey { path, given, opened, refused });
        }
        Ok(source)
    }

    /// How many encrypted rows decrypt, and how many do not.
    fn trial(&self) -> rusqlite::Result<(u64, u64)> {
        let mut tables: Vec<(&str, &[Salt])> =
            vec![("SELECT nonce, encrypted_data FROM secrets", &[UNSALTED])];
        if self.form.metadata == MetadataForm::Encrypted {
            tables.push((secrets::ENCRYPTED_METADATA, &secrets::SALTS));
        }
        if let PolicyForm::ByName | PolicyForm::ById { .. } = self.form.policies {
            tables.push((policies::ENCRYPTED_CELLS, &[UNSALTED; 3]));
        }
        let (mut opened, mut refused) = (0, 0);
        for (sql, salts) in tables {
            let mut statement = self.copy.connection.prepare(sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let opens = Opener::new(&self.cipher, row.get_ref(0)?).is_ok_and(|opener| {
                    (1..).zip(salts).all(|(column, salt)| {
                        row.get_ref(column).is_ok_and(|cell| opener.open(cell, salt).is_ok())
                    })
                });
                *if opens { &mut opened } else { &mut refused } += 1;
            }
        }
        Ok((opened, refused))
    }

    fn take_in(
        &self,
        change: &mut Change<'_>,
        options: &Options,
        now: UnixNanos,
    ) -> Result<ImportReport, StoreError> {
        let mut report = ImportReport::new(self.form.generation());
        secrets::import(self, change, options.max_versions, &mut report)?;
        policies::import(self, change, &mut report)?;
        if !report.refused.is_empty() && !options.import_with_losses {
            return Err(report.incomplete(&self.upstream.path));
        }
        let record = ImportRecord {
            file: files::FILE.to_owned(),
            bytes: self.upstream.bytes,
            modified: self.upstream.modified,
            sha256: self.copy.sha256,
            imported: now,
            secrets: report.secrets,
            versions: report.versions,
            policies: report.policies,
            refused: report.refused.len() as u64,
        };
        change.identity.imported = Some(now);
        seal(record, &[], change.ring)?.write(change.connection)?;
        Ok(report)
    }

    /// Names the file where reading it failed.
    fn fault(&self, error: &rusqlite::Error) -> StoreError {
        self.upstream.fault(error)
    }
}
