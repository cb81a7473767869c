//! The calls that read and change secrets.

use std::sync::Arc;

use rusqlite::params;
use spike_crypto::TAG_LEN;
use spike_domain::{History, SecretPath, Selector, UnixNanos};
use zeroize::Zeroizing;

use super::Store;
use super::cache::{Found, Ticket};
use super::engine::Engine;
use super::error::StoreError;
use super::format::head::{Head, HeadRow, SealedValue};
use super::format::row::Row;
use super::sqlite::rows::{self, StoredVersion};
use super::work::{PutVersion, Restamp, RestampVersions};

impl Store {
    /// Adds a version and returns its number. `plaintext` is encrypted and stored unchanged.
    ///
    /// Versions beyond the limit of the path are erased in the same transaction (F8, Q-22). Imported versions do not count,
    /// unless [`Options::prune_imported`](super::Options::prune_imported) is set.
    ///
    /// # Errors
    /// [`StoreError::Tampered`] if the row of the path was altered; any error of a write.
    pub async fn put(
        &self,
        path: &SecretPath,
        plaintext: Zeroizing<Vec<u8>>,
        now: UnixNanos,
    ) -> Result<i64, StoreError> {
        let (max_versions, prune_imported) = (self.max_versions, self.prune_imported);
        let path = path.clone();
        self.queue
            .write(now, PutVersion { path, plaintext, max_versions, prune_imported, now })
            .await
    }

    /// Marks versions deleted, by the rules of [`History::delete`]. `false`: the path does not exist.
    ///
    /// # Errors
    /// [`StoreError::Tampered`] if a row that would change was altered.
    pub async fn delete(
        &self,
        path: &SecretPath,
        selectors: Vec<Selector>,
        now: UnixNanos,
    ) -> Result<bool, StoreError> {
        let restamp = Restamp::Delete;
        let work = RestampVersions { path: path.clone(), selectors, restamp, now };
        Ok(self.queue.write(now, work).await?.is_some())
    }

    /// Undeletes versions, by the rules of [`History::undelete`]. `false`: the path does not exist, or nothing is deleted.
    ///
    /// # Errors
    /// [`StoreError::Tampered`] if a row that would change was altered.
    pub async fn undelete(
        &self,
        path: &SecretPath,
        selectors: Vec<Selector>,
        now: UnixNanos,
    ) -> Result<bool, StoreError> {
        let restamp = Restamp::Undelete;
        let work = RestampVersions { path: path.clone(), selectors, restamp, now };
        Ok(self.queue.write(now, work).await?.is_some_and(|revived| !revived.is_empty()))
    }

    /// The value of a live version, as it was put. `None`: the path or version does not exist, or the version is deleted.
    ///
    /// # Errors
    /// [`StoreError::Tampered`] names the altered row.
    pub fn get(
        &self,
        path: &SecretPath,
        selector: Selector,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let mut value = Zeroizing::new(Vec::new());
        Ok(self.get_into(path, selector, &mut value)?.then_some(value))
    }

    /// As [`get`](Self::get), appended to `out`, so that there is only one copy of the plaintext. `false`: there is no such
    /// value.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_into(
        &self,
        path: &SecretPath,
        selector: Selector,
        out: &mut Vec<u8>,
    ) -> Result<bool, StoreError> {
        Ok(matches!(self.get_up_to(path, selector, usize::MAX, out)?, Got::Value))
    }

    /// As [`get_into`](Self::get_into), unless that means work on more than `most` bytes. Of a longer value only the length is
    /// read.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_up_to(
        &self,
        path: &SecretPath,
        selector: Selector,
        most: usize,
        out: &mut Vec<u8>,
    ) -> Result<Got, StoreError> {
        match self.look_up(path, selector, most)? {
            LookUp::Nothing => Ok(Got::Nothing),
            LookUp::Longer(length) => Ok(Got::Longer(length)),
            LookUp::Value(value, ticket) => {
                value.open_into(path, out)?;
                self.keep(ticket, path, value);
                Ok(Got::Value)
            }
        }
    }

    /// The value of a live version, still encrypted. `None` as for [`get`](Self::get).
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn stored_value(
        &self,
        path: &SecretPath,
        selector: Selector,
    ) -> Result<Option<StoredValue>, StoreError> {
        match self.look_up(path, selector, usize::MAX)? {
            LookUp::Nothing | LookUp::Longer(_) => Ok(None),
            LookUp::Value(value, _) => Ok(Some(StoredValue { path: path.clone(), value })),
        }
    }

    fn look_up(
        &self,
        path: &SecretPath,
        selector: Selector,
        most: usize,
    ) -> Result<LookUp, StoreError> {
        let most = most.saturating_add(TAG_LEN);
        let longer = |length: usize| LookUp::Longer(length.saturating_sub(TAG_LEN));
        let ticket = match selector {
            Selector::Number(_) => None,
            Selector::Current => match self.cache.find(path.as_str()) {
                Found::Value(value) if value.len() > most => return Ok(longer(value.len())),
                Found::Value(value) => return Ok(LookUp::Value(value, None)),
                Found::Nothing(ticket) => Some(ticket),
            },
        };
        self.readers.read(|connection| {
            rows::with_head(connection, path, |stored| {
                let Some((row, cipher)) = stored else { return Ok(LookUp::Nothing) };
                if cipher.len() > most {
                    return Ok(longer(cipher.len()));
                }
                let head = Head::open(&row, &cipher, &self.keys)?;
                let Some(version) = head.history.find(selector) else {
                    return Ok(LookUp::Nothing);
                };
                let stored = match rows::version_up_to(connection, path, version.number, most)? {
                    Some(StoredVersion::Longer(length)) => return Ok(longer(length)),
                    Some(StoredVersion::Row(row, cipher)) => Some((row, cipher)),
                    None => None,
                };
                let value = head.value(path, *version, stored, &self.keys)?;
                Ok(LookUp::Value(Arc::new(value), ticket))
            })
        })
    }

    /// Caches a value that was decrypted successfully.
    fn keep(&self, ticket: Option<Ticket>, path: &SecretPath, value: Arc<SealedValue>) {
        if let Some(ticket) = ticket {
            self.cache.keep(ticket, path.as_str(), value);
        }
    }

    /// Every version of a path, deleted ones too, and the times of the path. No value is decrypted.
    ///
    /// # Errors
    /// [`StoreError::Tampered`] if the row of the path was altered.
    pub fn metadata(&self, path: &SecretPath) -> Result<Option<History>, StoreError> {
        Ok(match self.metadata_up_to(path, usize::MAX)? {
            Described::History(history) => Some(history),
            Described::Nothing | Described::Longer(_) => None,
        })
    }

    /// As [`metadata`](Self::metadata), unless the row of the path has more than `most` bytes.
    ///
    /// # Errors
    /// As [`metadata`](Self::metadata).
    pub fn metadata_up_to(&self, path: &SecretPath, most: usize) -> Result<Described, StoreError> {
        self.readers.read(|connection| {
            rows::with_head(connection, path, |stored| {
                let Some((row, cipher)) = stored else { return Ok(Described::Nothing) };
                if cipher.len() > most {
                    return Ok(Described::Longer(cipher.len()));
                }
                Ok(Described::History(Head::open(&row, &cipher, &self.keys)?.history))
            })
        })
    }

    /// Up to `limit` paths that start with `prefix` and come after `after`, in byte order, including fully deleted ones. `""`
    /// and `None` give the first page; the last name of a page gives the next one. Nothing is decrypted.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`], [`StoreError::Closed`].
    pub fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        // One lower bound, so that the search in the index starts at the page.
        let (sql, from) = match after {
            Some(after) if after >= prefix => (LIST_AFTER, after),
            Some(_) | None => (LIST_FROM, prefix),
        };
        // Paths are ASCII, so this is above every continuation of the prefix.
        let end = format!("{prefix}\u{10ffff}");
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.readers.read(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            rows::names(statement.query(params![from, end, limit])?, HeadRow::TABLE)
        })
    }
}

/// The result of a read with a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Got {
    /// The path or version does not exist, or the version is deleted.
    Nothing,
    /// The value was read.
    Value,
    /// The value has this many bytes, or finding it means work on as many.
    Longer(usize),
}

/// The versions of a path, as far as the limit admits.
#[derive(Debug)]
pub enum Described {
    /// The path does not exist.
    Nothing,
    /// Its versions.
    History(History),
    /// The row of the path has this many bytes.
    Longer(usize),
}

/// A value that is still encrypted, and independent of the database.
#[derive(Debug)]
pub struct StoredValue {
    path: SecretPath,
    value: Arc<SealedValue>,
}

impl StoredValue {
    /// The length of the plaintext, in bytes.
    pub fn plaintext_len(&self) -> usize {
        self.value.len().saturating_sub(TAG_LEN)
    }

    /// Decrypts into `out`, which must be as long as the plaintext.
    ///
    /// # Errors
    /// [`StoreError::Tampered`] names the altered row.
    pub fn open_to(&self, out: &mut [u8]) -> Result<(), StoreError> {
        Ok(self.value.open_to(&self.path, out)?)
    }
}

enum LookUp {
    Nothing,
    /// With the ticket by which it may be cached once it was decrypted.
    Value(Arc<SealedValue>, Option<Ticket>),
    Longer(usize),
}

const LIST_FROM: &str =
    "SELECT path FROM secrets WHERE path >= ?1 AND path < ?2 ORDER BY path LIMIT ?3";
const LIST_AFTER: &str =
    "SELECT path FROM secrets WHERE path > ?1 AND path < ?2 ORDER BY path LIMIT ?3";
