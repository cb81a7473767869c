//! Imports a database of upstream that lies in the directory of a store. The crate [`spike_import`] reads it. This file decides
//! when it is imported, and writes its rows in the one transaction of the caller.
//!
//! * A new store imports the `spike.db` in its directory. So does an existing store without data, unless it is the very file
//!   that it imported before. A store with data never does: [`Import`] reports that the file is there.
//! * Rows that would be left out stop the import, with a list, until an operator permits the losses
//!   ([`Options::import_with_losses`]).
//! * All versions of upstream's are imported and kept: the limit counts only versions that were put later, unless an operator
//!   configures otherwise ([`Options::prune_imported`]).

use std::path::Path;

use rusqlite::Connection;
use spike_crypto::{Nonce, RootKey};
use spike_daemon::{counted, process::chain};
use spike_domain::{History, SecretPath, UnixNanos, Version};
use spike_import::{
    FILE, FileRecord, ImportError, ImportReport, NONCES_WERE_REUSED, Policy, Rules, Secret, Sink,
    Source, Upstream, exists,
};
use spike_mtls::clock;
use spike_wire::SecretValues;
use zeroize::Zeroizing;

use super::engine::Unit;
use super::error::StoreError;
use super::format::head::{Head, VersionRow};
use super::format::identity::Identity;
use super::format::import::ImportRecord;
use super::format::keys::Keys;
use super::format::policy::{PolicyText, StoredPolicy};
use super::options::{JudgePolicy, Options};
use super::sqlite::rows;
use super::sqlite::unit::{SqliteChange, done};
use super::work::{put_head, take_policy};

/// What opening a store did with the data of upstream.
#[derive(Debug, Default)]
pub enum Import {
    /// No database of upstream lies beside the store.
    #[default]
    None,
    /// It was imported just now.
    Done(ImportReport),
    /// It was imported at an earlier opening, and is still there.
    Earlier(ImportRecord),
    /// It is there and was not imported.
    Not(NotImported),
}

/// The advice about rows that were left out. After it was followed the check passes.
const LOOK_AFTER: &str = "the log of that start lists them. Put what is needed again, then move spike.db out of the data directory";

/// Why a database of upstream was not imported. The store itself is open and usable.
#[derive(Debug, thiserror::Error)]
pub enum NotImported {
    /// Data of two origins is not mixed unless an operator asks for it.
    #[error("the store holds data already, and not from an import")]
    HoldsData,
    /// The file is not the one that was imported, or it has changed since.
    #[error("the store took in another database, of {} bytes with SHA-256 {}", .0.bytes, .0.digest())]
    Another(ImportRecord),
    /// The store's own record of the import was tampered with.
    #[error("what the store remembers of an import was tampered with")]
    Record(#[source] StoreError),
    /// It cannot be compared with the imported file.
    #[error("the database cannot be read")]
    Unreadable(#[source] StoreError),
}

impl Import {
    /// Checks that all data of upstream is in the store, while its file is in `directory`. An operator who moves the file away
    /// has dealt with the rest.
    ///
    /// # Errors
    /// What is missing, in words.
    pub fn check(&self, directory: Option<&Path>) -> Result<(), String> {
        self.complete()
            .or_else(|told| if directory.is_some_and(exists) { Err(told) } else { Ok(()) })
    }

    fn complete(&self) -> Result<(), String> {
        match self {
            Self::None => Ok(()),
            Self::Earlier(record) if record.refused == 0 => Ok(()),
            Self::Earlier(record) => Err(format!(
                "{} left out of upstream's database when it was imported at {}; {LOOK_AFTER}",
                left_out(record.refused),
                clock::second(clock::at(record.imported))
            )),
            Self::Done(report) if report.refused.is_empty() => Ok(()),
            Self::Done(report) => {
                let (count, first) = (report.refused.len() as u64, report.refused.first());
                let first = first.map(ToString::to_string).unwrap_or_default();
                Err(format!(
                    "{} left out of upstream's database, the first is {first}; {LOOK_AFTER}",
                    left_out(count)
                ))
            }
            Self::Not(NotImported::Another(record)) => Err(format!(
                "upstream's database has changed since it was imported ({} bytes, SHA-256 {}): what was written to it \
                 meanwhile is not here",
                record.bytes,
                record.digest()
            )),
            Self::Not(why) => Err(format!("upstream's database was not imported: {}", chain(why))),
        }
    }

    /// Logs it: one line, and one for each row that was left out or changed.
    pub fn log(&self) {
        match self {
            Self::None => {}
            Self::Done(report) => report.log(),
            Self::Earlier(record) => tracing::warn!(
                file = record.file,
                sha256 = record.digest(),
                advice = NONCES_WERE_REUSED,
                "upstream's database was imported at an earlier start and still lies here"
            ),
            Self::Not(why) => tracing::warn!(
                error = why as &dyn std::error::Error,
                "upstream's database was not imported; to import it, move the store away"
            ),
        }
    }
}

/// The decision about upstream's database, taken before anything is written.
#[derive(Debug)]
pub(super) enum Plan {
    /// Import nothing.
    Settled(Import),
    /// Import it.
    TakeIn(Box<Source>),
}

impl Plan {
    pub(super) const fn nothing() -> Self {
        Self::Settled(Import::None)
    }

    pub(super) const fn is_nothing(&self) -> bool {
        matches!(self, Self::Settled(Import::None))
    }

    /// For a store that is about to be created.
    pub(super) fn for_new(directory: &Path, root: &RootKey) -> Result<Self, StoreError> {
        match Upstream::find(directory)? {
            None => Ok(Self::nothing()),
            Some(upstream) => Ok(Self::take_in(Source::open(upstream, root)?)),
        }
    }

    /// For an existing store.
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
        let record = match rows::verified_import(connection, keys, identity) {
            Err(error @ StoreError::Tampered { .. }) => {
                return Ok(Self::Settled(Import::Not(NotImported::Record(error))));
            }
            found => found?,
        };
        let found = Upstream::find(directory).and_then(|upstream| {
            let Some(upstream) = upstream else { return Ok(None) };
            let known = record.as_ref().map_or(Ok(false), |record| upstream.is(&known(record)))?;
            Ok(Some((upstream, known)))
        });
        let settled = match (found, record) {
            (Ok(None), _) => Import::None,
            (Ok(Some((_upstream, true))), Some(record)) => Import::Earlier(record),
            (Ok(Some((upstream, _))), record) => {
                if rows::holds_nothing(connection)? {
                    return Ok(Self::take_in(Source::open(upstream, root)?));
                }
                Import::Not(record.map_or(NotImported::HoldsData, NotImported::Another))
            }
            (Err(error), _) if rows::holds_nothing(connection)? => return Err(error.into()),
            (Err(error), _) => Import::Not(NotImported::Unreadable(error.into())),
        };
        Ok(Self::Settled(settled))
    }

    /// Carries the decision out, as part of the caller's transaction.
    pub(super) fn carry_out(
        self,
        change: &mut SqliteChange<'_>,
        options: &Options,
        now: UnixNanos,
    ) -> Result<Import, StoreError> {
        match self {
            Self::Settled(import) => Ok(import),
            Self::TakeIn(source) => take_in(&source, change, options, now).map(Import::Done),
        }
    }

    fn take_in(source: Source) -> Self {
        Self::TakeIn(Box::new(source))
    }
}

/// The properties by which an imported file is recognised.
const fn known(record: &ImportRecord) -> FileRecord {
    FileRecord { bytes: record.bytes, modified: record.modified, sha256: record.sha256 }
}

fn take_in(
    source: &Source,
    change: &mut SqliteChange<'_>,
    options: &Options,
    now: UnixNanos,
) -> Result<ImportReport, StoreError> {
    let rules =
        Rules { default_limit: options.max_versions, with_losses: options.import_with_losses };
    let mut intake = Intake { change, judge: options.judge_policy, nonces: Vec::new() };
    let report = source.take_in(&mut intake, rules)?;
    let FileRecord { bytes, modified, sha256 } = source.file();
    let record = ImportRecord {
        file: FILE.to_owned(),
        bytes,
        modified,
        sha256,
        imported: now,
        secrets: report.secrets,
        versions: report.versions,
        policies: report.policies,
        refused: report.refused.len() as u64,
    };
    change.identity.imported = Some(now);
    let row = record.sealed(change.ring)?;
    done(change.unit.put_import(&row))?;
    Ok(report)
}

/// Writes the imported rows.
struct Intake<'a, 'c> {
    change: &'a mut SqliteChange<'c>,
    judge: JudgePolicy,
    /// The nonces of the versions of the current path.
    nonces: Vec<(i64, Nonce)>,
}

impl Sink for Intake<'_, '_> {
    type Error = StoreError;

    fn accepts(&self, path: &str) -> Result<(), String> {
        SecretPath::parse(path).map(|_path| ()).map_err(|error| error.to_string())
    }

    /// The form in which a put stores it. `null` is a version without values (F28).
    fn value(&self, plaintext: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let values = SecretValues::from_json_object(plaintext).ok()?;
        Some(values.unwrap_or_default().to_json_object())
    }

    fn version(&mut self, path: &str, version: Version, value: &[u8]) -> Result<(), StoreError> {
        let path = SecretPath::parse(path).ok().ok_or(StoreError::Bug)?;
        let row = VersionRow::sealed(&path, version, value, self.change.ring)?;
        done(self.change.unit.put_version(&row))?;
        self.nonces.push((version.number, row.nonce()));
        Ok(())
    }

    fn secret(&mut self, path: &str, secret: Secret) -> Result<(), StoreError> {
        let path = SecretPath::parse(path).ok().ok_or(StoreError::Bug)?;
        let Secret { versions, last_version, max_versions, created, updated } = secret;
        let history = History::from_parts(versions, last_version, max_versions, created, updated);
        let history = history.ok().ok_or(StoreError::Bug)?;
        let head = Head::of(history, std::mem::take(&mut self.nonces));
        done(put_head(self.change, &path, &head))
    }

    fn judges(&self, policy: &Policy) -> Result<(), String> {
        (self.judge)(&text_of(policy))
    }

    fn policy(&mut self, policy: Policy) -> Result<(), StoreError> {
        let text = text_of(&policy);
        let Policy { name, created, updated, .. } = policy;
        done(take_policy(self.change, StoredPolicy { name, text, created, updated }))
    }
}

fn left_out(rows: u64) -> String {
    counted(rows, "row was", "rows were")
}

fn text_of(policy: &Policy) -> PolicyText {
    PolicyText {
        spiffe_id_pattern: policy.spiffe_id_pattern.clone(),
        path_pattern: policy.path_pattern.clone(),
        permissions: policy.permissions.clone(),
    }
}

impl From<ImportError> for StoreError {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Unusable { path, source } => Self::Unusable { path, source },
            ImportError::Unreadable { path, what } => Self::Upstream { path, what },
            ImportError::OtherKey { path, given, opened, refused } => {
                Self::UpstreamKey { path, given, opened, refused }
            }
            ImportError::Incomplete { path, count, first } => {
                Self::ImportIncomplete { path, count, first }
            }
            ImportError::InUse { path } => Self::UpstreamInUse { path },
        }
    }
}
