//! Secrets of upstream: one row of `secret_metadata` for each path, and the rows of its versions.

use std::num::NonZeroU32;

use rusqlite::types::ValueRef;
use rusqlite::{Row, Statement};
use spike_domain::{UnixNanos, Version};
use zeroize::Zeroizing;

use crate::cell::{self, Opener, Salt, UNSALTED};
use crate::opened::Opened;
use crate::recognise::MetadataForm;
use crate::report::{ImportReport, Reason};
use crate::rows::{Secret, Sink};

const METADATA: &str = "secret_metadata";
const SECRETS: &str = "secrets";

/// Nonce, the five cells in the order of [`SALTS`], and the path.
pub(crate) const ENCRYPTED_METADATA: &str = "SELECT nonce, encrypted_current_version,
    encrypted_oldest_version, encrypted_created_time, encrypted_updated_time,
    encrypted_max_versions, path FROM secret_metadata";

/// The salt of each cell's nonce (crypto-and-storage 7.3).
pub(crate) const SALTS: [Salt; 5] =
    [*b"current_ver_", *b"oldest_ver__", *b"created_tim_", *b"updated_tim_", *b"max_versions"];

const VERSIONS: &str = "SELECT version, nonce, encrypted_data, created_time, deleted_time
    FROM secrets WHERE path = ?1 ORDER BY version";

/// Versions without a row in `secret_metadata`.
const ORPHANS: &str = "SELECT path, version FROM secrets WHERE typeof(path) <> 'text'
    OR NOT EXISTS (SELECT 1 FROM secret_metadata AS head WHERE head.path = secrets.path)";

/// The content of a row of `secret_metadata`, as far as it can be read.
struct Metadata {
    current: Option<i64>,
    created: Option<UnixNanos>,
    updated: Option<UnixNanos>,
    /// `Ok(None)` if the release had no limit.
    limit: Result<Option<NonZeroU32>, Reason>,
}

/// The imported versions of one path.
#[derive(Default)]
struct Versions {
    taken: Vec<Version>,
    /// The highest number, including rows that were left out.
    highest: i64,
    /// The numbers of rows that were left out; `None` for a row without a number, which may be any of them.
    left_out: Vec<Option<i64>>,
    /// Whether a row was left out.
    incomplete: bool,
}

/// Imports every path with its versions. Holds one value at a time in memory.
pub(crate) fn import<S: Sink>(
    source: &Opened,
    sink: &mut S,
    default_limit: NonZeroU32,
    report: &mut ImportReport,
) -> Result<(), S::Error> {
    let (sql, name_column) = match source.form.metadata {
        MetadataForm::Encrypted => (ENCRYPTED_METADATA, 6),
        MetadataForm::Clear { limit: true } => (
            "SELECT current_version, created_time, updated_time, max_versions, path
             FROM secret_metadata",
            4,
        ),
        MetadataForm::Clear { limit: false } => {
            ("SELECT current_version, created_time, updated_time, path FROM secret_metadata", 3)
        }
    };
    let fault = |error| source.fault(&error);
    let connection = &source.copy.connection;
    let mut heads = connection.prepare(sql).map_err(fault)?;
    let mut versions = connection.prepare(VERSIONS).map_err(fault)?;
    let mut rows = heads.query([]).map_err(fault)?;
    let mut intake = Intake { source, sink, default_limit, report };
    while let Some(row) = rows.next().map_err(fault)? {
        let name = row.get_ref(name_column).map_err(fault)?;
        let Ok(text) = name.as_str() else {
            intake.report.refuse(METADATA, cell::name(name), Reason::NoName);
            continue;
        };
        match intake.sink.accepts(text) {
            Ok(()) => intake.path(text, metadata(row, source), &mut versions)?,
            Err(why) => intake.refuse_path(text, &Reason::Path(why), &mut versions)?,
        }
    }
    let mut orphans = connection.prepare(ORPHANS).map_err(fault)?;
    let mut rows = orphans.query([]).map_err(fault)?;
    while let Some(row) = rows.next().map_err(fault)? {
        let path = cell::name(row.get_ref(0).map_err(fault)?);
        let version = cell::name(row.get_ref(1).map_err(fault)?);
        intake.report.refuse(SECRETS, key(&path, &version), Reason::Orphan);
    }
    Ok(())
}

/// The source and the target of paths.
struct Intake<'a, S> {
    source: &'a Opened,
    sink: &'a mut S,
    default_limit: NonZeroU32,
    report: &'a mut ImportReport,
}

impl<S: Sink> Intake<'_, S> {
    /// Imports one path. If the row of the path cannot be trusted, it is left out and replaced by what follows from its
    /// versions: their values are worth more than its limit and its times.
    fn path(
        &mut self,
        path: &str,
        metadata: Result<Metadata, Reason>,
        statement: &mut Statement<'_>,
    ) -> Result<(), S::Error> {
        let Versions { taken, highest, left_out, incomplete } = self.versions(path, statement)?;
        // Otherwise the next put would erase versions although nobody set a lower limit.
        let count = u32::try_from(taken.len()).unwrap_or(u32::MAX);
        let fallback = self.default_limit.max(NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN));
        let first = taken.iter().map(|version| version.created).min().unwrap_or_default();
        let times = taken.iter().flat_map(|version| [Some(version.created), version.deleted]);
        let last = times.flatten().max().unwrap_or_default();
        let metadata = match metadata {
            Ok(metadata) => metadata,
            Err(reason) => {
                self.report.refuse(METADATA, path, reason);
                if taken.is_empty() {
                    return Ok(());
                }
                let (created, updated) = (Some(first), Some(last));
                Metadata { current: None, created, updated, limit: Ok(None) }
            }
        };
        let missing = metadata.current.filter(|was| {
            let is_told = left_out.iter().any(|it| it.is_none_or(|number| number == *was));
            *was > 0 && !is_told && taken.iter().all(|it| it.number != *was)
        });
        if let Some(was) = missing {
            self.report.refuse(SECRETS, key(path, &was.to_string()), Reason::Missing);
        }
        if metadata.created.is_none() || metadata.updated.is_none() {
            self.report.change(METADATA, path, Reason::Time);
        }
        let limit = match metadata.limit {
            Ok(limit) => limit,
            Err(reason) => {
                self.report.change(METADATA, path, reason);
                None
            }
        };
        self.report.secrets += 1;
        self.report.versions += taken.len() as u64;
        let live = taken.iter().rev().find(|version| version.deleted.is_none());
        let is = live.map_or(0, |version| version.number);
        if let Some(was) =
            metadata.current.filter(|was| *was != is && !incomplete && missing.is_none())
        {
            self.report.change(METADATA, path, Reason::Current { was, is });
        }
        let secret = Secret {
            versions: taken,
            last_version: highest.max(missing.unwrap_or(0)),
            max_versions: limit.unwrap_or(fallback),
            created: metadata.created.unwrap_or(first),
            updated: metadata.updated.unwrap_or(last),
        };
        self.sink.secret(path, secret)
    }

    fn versions(
        &mut self,
        path: &str,
        statement: &mut Statement<'_>,
    ) -> Result<Versions, S::Error> {
        let source = self.source;
        let fault = |error| source.fault(&error);
        let mut versions = Versions::default();
        let mut rows = statement.query([path]).map_err(fault)?;
        while let Some(row) = rows.next().map_err(fault)? {
            let label = row.get_ref(0).map_err(fault)?;
            let mut known = None;
            let read = match label.as_i64().ok().filter(|number| *number > versions.highest) {
                None => Err(Reason::Number),
                Some(number) => {
                    versions.highest = number;
                    known = Some(number);
                    self.value(row).map(|value| (number, value))
                }
            };
            let (number, value) = match read {
                Ok(read) => read,
                Err(reason) => {
                    self.report.refuse(SECRETS, key(path, &cell::name(label)), reason);
                    versions.incomplete = true;
                    versions.left_out.push(known);
                    continue;
                }
            };
            let created = cell::time(row.get_ref(3).map_err(fault)?);
            // A value that is present but unreadable still shows that the version was deleted.
            let deleted = match row.get_ref(4).map_err(fault)? {
                ValueRef::Null => None,
                there => Some(cell::time(there)),
            };
            if created.is_none() || deleted == Some(None) {
                self.report.change(SECRETS, key(path, &cell::name(label)), Reason::Time);
            }
            let created = created.unwrap_or_default();
            let deleted = deleted.map(Option::unwrap_or_default);
            let version = Version { number, created, deleted };
            self.sink.version(path, version, &value)?;
            versions.taken.push(version);
        }
        Ok(versions)
    }

    fn value(&self, row: &Row<'_>) -> Result<Zeroizing<Vec<u8>>, Reason> {
        let cell = |column| row.get_ref(column).map_err(|_no_column| Reason::Content);
        let plaintext = Opener::new(&self.source.cipher, cell(1)?)?.open(cell(2)?, &UNSALTED)?;
        self.sink.value(&plaintext).ok_or(Reason::Content)
    }

    fn refuse_path(
        &mut self,
        name: &str,
        reason: &Reason,
        statement: &mut Statement<'_>,
    ) -> Result<(), S::Error> {
        self.report.refuse(METADATA, name, reason.clone());
        let fault = |error| self.source.fault(&error);
        let mut rows = statement.query([name]).map_err(fault)?;
        while let Some(row) = rows.next().map_err(fault)? {
            let version = cell::name(row.get_ref(0).map_err(fault)?);
            self.report.refuse(SECRETS, key(name, &version), reason.clone());
        }
        Ok(())
    }
}

fn metadata(row: &Row<'_>, source: &Opened) -> Result<Metadata, Reason> {
    let cell = |column| row.get_ref(column).map_err(|_no_column| Reason::Content);
    match source.form.metadata {
        MetadataForm::Encrypted => {
            let opener = Opener::new(&source.cipher, cell(0)?)?;
            let mut numbers = [None; SALTS.len()];
            for ((column, number), salt) in (1..).zip(&mut numbers).zip(&SALTS) {
                *number = opener.text(cell(column)?, salt)?.parse().ok();
            }
            let [current, _oldest, created, updated, limit] = numbers;
            Ok(Metadata {
                current,
                created: created.and_then(cell::from_seconds),
                updated: updated.and_then(cell::from_seconds),
                limit: limit_of(limit).map(Some),
            })
        }
        MetadataForm::Clear { limit } => Ok(Metadata {
            current: cell(0)?.as_i64().ok(),
            created: cell::time(cell(1)?),
            updated: cell::time(cell(2)?),
            limit: if limit { limit_of(cell(3)?.as_i64().ok()).map(Some) } else { Ok(None) },
        }),
    }
}

/// A limit that exceeds the type is no limit.
fn limit_of(limit: Option<i64>) -> Result<NonZeroU32, Reason> {
    let limit = limit.filter(|limit| *limit > 0).ok_or(Reason::Limit)?;
    Ok(u32::try_from(limit).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MAX))
}

fn key(path: &str, version: &str) -> String {
    format!("{path} version {version}")
}
