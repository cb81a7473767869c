//! The calls that read and change secrets.

use std::sync::Arc;

use rusqlite::params;
use spike_domain::{History, SecretPath, Selector, UnixNanos};
use zeroize::Zeroizing;

use super::Store;
use super::cache::Found;
use super::engine::Engine;
use super::error::StoreError;
use super::format::head::{Head, HeadRow};
use super::format::row::Row;
use super::sqlite::rows;
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
        let ticket = match selector {
            Selector::Number(_) => None,
            Selector::Current => match self.cache.find(path.as_str()) {
                Found::Value(value) => {
                    value.open_into(path, out)?;
                    return Ok(true);
                }
                Found::Nothing(ticket) => Some(ticket),
            },
        };
        let found = self.readers.read(|connection| {
            rows::with_head(connection, path, |stored| {
                let Some((row, cipher)) = stored else { return Ok(None) };
                let head = Head::open(&row, &cipher, &self.keys)?;
                let Some(version) = head.history.find(selector) else { return Ok(None) };
                let stored = rows::version(connection, path, version.number)?;
                Ok(Some(head.value(path, *version, stored, &self.keys)?))
            })
        })?;
        let Some(value) = found else { return Ok(false) };
        value.open_into(path, out)?;
        if let Some(ticket) = ticket {
            self.cache.keep(ticket, path.as_str(), Arc::new(value));
        }
        Ok(true)
    }

    /// Every version of a path, deleted ones too, and the times of the path. No value is decrypted.
    ///
    /// # Errors
    /// [`StoreError::Tampered`] if the row of the path was altered.
    pub fn metadata(&self, path: &SecretPath) -> Result<Option<History>, StoreError> {
        self.readers.read(|connection| {
            rows::with_head(connection, path, |stored| {
                let Some((row, cipher)) = stored else { return Ok(None) };
                Ok(Some(Head::open(&row, &cipher, &self.keys)?.history))
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

const LIST_FROM: &str =
    "SELECT path FROM secrets WHERE path >= ?1 AND path < ?2 ORDER BY path LIMIT ?3";
const LIST_AFTER: &str =
    "SELECT path FROM secrets WHERE path > ?1 AND path < ?2 ORDER BY path LIMIT ?3";
