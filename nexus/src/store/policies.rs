//! The calls that read and change policies.

use spike_domain::UnixNanos;

use super::Store;
use super::change::PolicySet;
use super::engine::Engine;
use super::error::StoreError;
use super::format::policy::{PolicyRow, PolicyText, StoredPolicy};
use super::format::row::Row;
use super::sqlite::{policy_rows, rows};
use super::work::{DeletePolicy, PutPolicy};

impl Store {
    /// Creates a policy, or replaces the content of the policy of that name and keeps its creation time.
    ///
    /// An altered row is replaced too, as if it were new.
    ///
    /// # Errors
    /// Any error of a write.
    pub async fn put_policy(
        &self,
        name: &str,
        text: PolicyText,
        now: UnixNanos,
    ) -> Result<(), StoreError> {
        let work = PutPolicy { name: name.to_owned(), text, create_only: false, now };
        self.queue.write(now, work).await.map(|_written| ())
    }

    /// Creates a policy. `false`: one of that name exists, and is not changed.
    ///
    /// # Errors
    /// [`StoreError::Tampered`] if the row of that name was altered; any error of a write.
    pub async fn create_policy(
        &self,
        name: &str,
        text: PolicyText,
        now: UnixNanos,
    ) -> Result<bool, StoreError> {
        let work = PutPolicy { name: name.to_owned(), text, create_only: true, now };
        self.queue.write(now, work).await
    }

    /// Removes a policy, even if its row was altered. `false`: there is no policy of that name.
    ///
    /// # Errors
    /// Any error of a write.
    pub async fn delete_policy(&self, name: &str, now: UnixNanos) -> Result<bool, StoreError> {
        self.queue.write(now, DeletePolicy { name: name.to_owned() }).await
    }

    /// The policy of that name.
    ///
    /// # Errors
    /// [`StoreError::Tampered`] if its row was altered.
    pub fn policy(&self, name: &str) -> Result<Option<StoredPolicy>, StoreError> {
        self.readers.read(|connection| policy_rows::one(connection, &self.keys, name))
    }

    /// The names of all policies, in byte order. Nothing is decrypted.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`], [`StoreError::Closed`].
    pub fn policy_names(&self) -> Result<Vec<String>, StoreError> {
        self.readers.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT name FROM policies ORDER BY name")?;
            rows::names(statement.query([])?, PolicyRow::TABLE)
        })
    }

    /// All policies of one snapshot, with the epoch of that snapshot.
    ///
    /// # Errors
    /// [`StoreError::Tampered`] for the row that holds the epoch. Altered rows of single policies are in [`PolicySet::refused`]
    /// instead.
    pub fn policies(&self) -> Result<PolicySet, StoreError> {
        self.readers.read(|connection| {
            // The transaction makes all reads see one snapshot.
            let snapshot = connection.unchecked_transaction()?;
            policy_rows::all(&snapshot, &self.keys)
        })
    }
}
