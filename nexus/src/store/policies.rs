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
        let work = PutPolicy { name: name.to_owned(), text, create_only: false, now };
        self.queue.write(now, work).await.map(|_written| ())
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
        let work = PutPolicy { name: name.to_owned(), text, create_only: true, now };
        self.queue.write(now, work).await
    }

    /// Removes a policy, also one that was tampered with. `false`: there is none of that name.
    ///
    /// # Errors
    /// What keeps every write from being done.
    pub async fn delete_policy(&self, name: &str, now: UnixNanos) -> Result<bool, StoreError> {
        self.queue.write(now, DeletePolicy { name: name.to_owned() }).await
    }

    /// The policy of that name.
    ///
    /// # Errors
    /// [`StoreError::Tampered`] when its row is not as it was written.
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
    /// [`StoreError::Tampered`] for the row that holds the epoch; rows of single policies are told
    /// in [`PolicySet::refused`] instead.
    pub fn policies(&self) -> Result<PolicySet, StoreError> {
        self.readers.read(|connection| {
            // The transaction is what makes all reads see one snapshot.
            let snapshot = connection.unchecked_transaction()?;
            policy_rows::all(&snapshot, &self.keys)
        })
    }
}
