//! Policies in the store: rows by name. What patterns and permissions mean is no matter of this
//! file; it keeps the text it is given.

use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};
use spike_domain::UnixNanos;

use super::change::{Change, PolicyChange};
use super::identity::Identity;
use super::keyring::Keys;
use super::row::{Cipher, Column, Row, names, seal};
use super::{Store, StoreError};

/// What a policy says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyText {
    /// Whom it is for.
    pub spiffe_id_pattern: String,
    /// Which paths it is about.
    pub path_pattern: String,
    /// What it allows, in the order given.
    pub permissions: Vec<String>,
}

/// A policy as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPolicy {
    /// Its name, which identifies it.
    pub name: String,
    /// What it says.
    pub text: PolicyText,
    /// When the name was first put.
    pub created: UnixNanos,
    /// When it was last put.
    pub updated: UnixNanos,
}

/// All policies of one moment.
#[derive(Debug)]
pub struct PolicySet {
    /// The epoch they belong to; see [`Store::policy_epoch`].
    pub epoch: u64,
    /// The policies, by name in byte order.
    pub policies: Vec<StoredPolicy>,
    /// One [`StoreError::Tampered`] for each row that is not as it was written: to be logged.
    pub refused: Vec<StoreError>,
}

impl Store {
    /// Makes a policy, or replaces what the policy of that name says and keeps when it was made.
    ///
    /// A row that was tampered with is replaced too, as a new one.
    ///
    /// # Errors
    /// What keeps every write from being done.
    pub async fn put_policy(
        &self,
        name: &str,
        text: PolicyText,
        now: UnixNanos,
    ) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.queue
            .submit(now, move |change| {
                let old = find(change.connection, change.ring.keys(), &name);
                let created = match old {
                    Ok(Some(old)) => old.created,
                    Ok(None) | Err(StoreError::Tampered { .. }) => now,
                    Err(error) => return Err(error),
                };
                write(StoredPolicy { name, text, created, updated: now }, change)
            })
            .await
    }

    /// Makes a policy. `false`: there is one of that name, which is left as it is.
    ///
    /// # Errors
    /// [`StoreError::Tampered`] when there is one that is not as it was written; what keeps every write from being done.
    pub async fn create_policy(
        &self,
        name: &str,
        text: PolicyText,
        now: UnixNanos,
    ) -> Result<bool, StoreError> {
        let name = name.to_owned();
        self.queue
            .submit(now, move |change| {
                // Within the transaction: of two that make one name, one comes first.
                if find(change.connection, change.ring.keys(), &name)?.is_some() {
                    return Ok(false);
                }
                write(StoredPolicy { name, text, created: now, updated: now }, change)?;
                Ok(true)
            })
            .await
    }

    /// Removes a policy, also one that was tampered with. `false`: there is none of that name.
    ///
    /// # Errors
    /// What keeps every write from being done.
    pub async fn delete_policy(&self, name: &str, now: UnixNanos) -> Result<bool, StoreError> {
        let name = name.to_owned();
        self.queue
            .submit(now, move |change| {
                let deleted = change
                    .connection
                    .prepare_cached("DELETE FROM policies WHERE name = ?1")?
                    .execute([&name])?;
                if deleted > 0 {
                    change.identity.policy_epoch += 1;
                    change.effects.policies.push(PolicyChange::Removed(name));
                }
                Ok(deleted > 0)
            })
            .await
    }

    /// The policy of that name.
    ///
    /// # Errors
    /// [`StoreError::Tampered`] when its row is not as it was written.
    pub fn policy(&self, name: &str) -> Result<Option<StoredPolicy>, StoreError> {
        self.readers.read(|connection| find(connection, &self.keys, name))
    }

    /// The names of all policies, in byte order. Nothing is decrypted.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`], [`StoreError::Closed`].
    pub fn policy_names(&self) -> Result<Vec<String>, StoreError> {
        self.readers.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT name FROM policies ORDER BY name")?;
            names(statement.query([])?, PolicyRow::TABLE)
        })
    }

    /// All policies of one snapshot, with the epoch of that snapshot.
    ///
    /// # Errors
    /// [`StoreError::Tampered`] for the row that holds the epoch; rows of single policies are told
    /// in [`PolicySet::refused`] instead.
    pub fn policies(&self) -> Result<PolicySet, StoreError> {
        self.readers.read(|connection| {
            // The transaction is what makes all reads see one snapshot.
            let snapshot = connection.unchecked_transaction()?;
            read_all(&snapshot, &self.keys)
        })
    }
}

/// All policies of the snapshot that `connection` sees.
pub(super) fn read_all(connection: &Connection, keys: &Keys) -> Result<PolicySet, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT created, updated, key_number, nonce, ciphertext, name FROM policies ORDER BY name",
    )?;
    let epoch = Identity::verified(connection, keys)?.policy_epoch;
    let mut set = PolicySet { epoch, policies: Vec::new(), refused: Vec::new() };
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        match row.get::<_, String>(5).map(|name| read(row, keys, &name)) {
            Ok(Ok(policy)) => set.policies.push(policy),
            Ok(Err(refusal)) => set.refused.push(refusal),
            Err(_no_text) => set.refused.push(refused("")),
        }
    }
    Ok(set)
}

/// Writes a policy as it is, in place of one of that name.
pub(super) fn write(policy: StoredPolicy, change: &mut Change<'_>) -> Result<(), StoreError> {
    let StoredPolicy { name, text, created, updated } = &policy;
    let plaintext = serde_json::to_vec(text).ok().ok_or(StoreError::Bug)?;
    let row = PolicyRow { name, created: *created, updated: *updated };
    seal(row, &plaintext, change.ring)?.write(change.connection)?;
    change.identity.policy_epoch += 1;
    change.effects.policies.push(PolicyChange::Put(policy));
    Ok(())
}

fn find(
    connection: &Connection,
    keys: &Keys,
    name: &str,
) -> Result<Option<StoredPolicy>, StoreError> {
    connection
        .prepare_cached(
            "SELECT created, updated, key_number, nonce, ciphertext FROM policies WHERE name = ?1",
        )?
        .query_row([name], |row| Ok(read(row, keys, name)))
        .optional()?
        .transpose()
}

fn read(row: &rusqlite::Row<'_>, keys: &Keys, name: &str) -> Result<StoredPolicy, StoreError> {
    let (Ok(created), Ok(updated), Some(cipher)) = (row.get(0), row.get(1), Cipher::read(row, 2))
    else {
        return Err(refused(name));
    };
    let plaintext = cipher.open(&PolicyRow { name, created, updated }, keys)?;
    let text = serde_json::from_slice(&plaintext).ok().ok_or_else(|| refused(name))?;
    Ok(StoredPolicy { name: name.to_owned(), text, created, updated })
}

fn refused(name: &str) -> StoreError {
    StoreError::Tampered { table: PolicyRow::TABLE, path: name.to_owned(), version: None }
}

/// A row of `policies`.
#[derive(Debug)]
struct PolicyRow<'n> {
    name: &'n str,
    created: UnixNanos,
    updated: UnixNanos,
}

impl Row for PolicyRow<'_> {
    const TABLE: &'static str = "policies";
    const REPLACE: &'static str = "REPLACE INTO policies
        (name, created, updated, key_number, nonce, ciphertext) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

    fn columns<'a>(&'a self, visit: &mut dyn FnMut(Column<'a>)) {
        visit(Column::Text(self.name));
        visit(Column::Number(self.created));
        visit(Column::Number(self.updated));
    }

    fn tampered(&self) -> StoreError {
        refused(self.name)
    }
}
