//! Makes a new store: its file, its schema, its first data key, and the rows of a database of upstream that is imported.

use std::path::Path;

use rusqlite::Connection;
use spike_import::untrusted::flags;

use super::open::{Connect, get};
use super::schema::{APPLICATION_ID, SCHEMA, SCHEMA_VERSION};
use super::transaction::Transaction;
use super::{create, rows};
use crate::store::error::StoreError;
use crate::store::format::identity::Identity;
use crate::store::format::keyring::Ring;
use crate::store::format::policy_list::PolicyLists;
use crate::store::import::{Import, Plan};
use crate::store::opening::Opening;

impl Connect<'_> {
    /// Creates the file of a new store, with the data of upstream in it if that is expected.
    pub(super) fn make(&self, directory: &Path) -> Result<Import, StoreError> {
        create::refuse_store(directory)?;
        let plan = match self.opening {
            Opening::Import => Plan::for_new(directory, self.root)?,
            Opening::Existing | Opening::New => Plan::nothing(),
        };
        let upstream = directory.join(spike_import::FILE);
        match self.opening {
            Opening::Import if plan.is_nothing() => {
                return Err(StoreError::Missing { path: upstream });
            }
            Opening::New if spike_import::exists(directory) => {
                return Err(StoreError::Exists { path: upstream });
            }
            Opening::New if !self.options.create => {
                return Err(StoreError::MayNotCreate { path: directory.join(create::FILE) });
            }
            Opening::Existing | Opening::Import | Opening::New => {}
        }
        let write = |new: &Path| {
            let mut connection = Connection::open_with_flags(new, flags())?;
            self.harden(&connection)?;
            // Until the file is renamed, it is discarded after a crash, so it needs no journal.
            connection.pragma_update_and_check(None, "journal_mode", "MEMORY", get::<String>)?;
            connection.pragma_update(None, "synchronous", "OFF")?;
            let (_ring, _identity, import) = self.fill(&mut connection, plan)?;
            connection.close().map_err(|(_connection, error)| error)?;
            Ok(import)
        };
        create::whole(directory, write, || self.may_write.set(true))
    }

    /// Creates the schema, the first data key, the identity, and the imported rows, in one transaction.
    pub(super) fn fill(
        &self,
        connection: &mut Connection,
        plan: Plan,
    ) -> Result<(Ring, Identity, Import), StoreError> {
        let mut transaction = Transaction::begin(connection)?;
        let connection = transaction.connection();
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        connection.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        connection.execute_batch(SCHEMA)?;
        let (mut ring, row) = Ring::create(self.root, self.encryptions_per_key, self.now)?;
        rows::write(connection, &row)?;
        let mut identity = Identity {
            root_key: self.root.fingerprint().to_bytes(),
            generation: Identity::FIRST_GENERATION,
            quorum: self.options.quorum,
            active_key: ring.active(),
            policy_epoch: 1,
            created: self.now,
            imported: None,
            last_export: None,
            policy_lists: PolicyLists::none(),
        };
        let import = self.carry_out(plan, &mut transaction, &mut ring, &mut identity)?;
        transaction.record(Some(&identity), &mut ring)?;
        transaction.commit()?;
        ring.committed();
        Ok((ring, identity, import))
    }
}
