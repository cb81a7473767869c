//! Migrates schema 1 to schema 2, in the transaction in which the store is opened.
//!
//! Every row of a path is encrypted again in its new layout, and the existing policies are listed. A row that schema 1 would
//! have refused stays unchanged: schema 2 refuses it by the same name.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension};
use spike_crypto::Fingerprint;
use spike_domain::SecretPath;

use super::schema::{SCHEMA, SCHEMA_VERSION};
use super::transaction::Transaction;
use super::{policy_rows, rows};
use crate::store::error::StoreError;
use crate::store::format::head::Head;
use crate::store::format::identity::Identity;
use crate::store::format::keyring::Ring;
use crate::store::format::keys::Keys;
use crate::store::format::policy::StoredPolicy;
use crate::store::format::policy_list::PolicyList;
use crate::store::format::row::Cipher;
use crate::store::format::schema_1::{IdentityRow, open_head};

/// How many rows of paths are in memory at a time.
const CHUNK: i64 = 256;

const IDENTITY: &str = "SELECT root_key_fingerprint, active_key, policy_epoch, created, imported,
    last_export, key_number, nonce, ciphertext FROM store WHERE id = 1";

/// Writes the encrypted part of a row of a path. The row keeps its number, by which lost commits are noticed.
const REPLACE_CIPHER: &str =
    "UPDATE secrets SET key_number = ?6, nonce = ?7, ciphertext = ?8 WHERE path = ?1";

/// The fingerprint of the root key and the active key, before there are keys to check them with.
pub(super) fn unverified_identity(
    connection: &Connection,
) -> Result<([u8; Fingerprint::LEN], u32), StoreError> {
    let (row, _cipher) = identity_row(connection)?;
    Ok((row.root_key, row.active_key))
}

/// The content of the row of the store, if it was not altered.
pub(super) fn identity(connection: &Connection, keys: &Keys) -> Result<Identity, StoreError> {
    let (row, cipher) = identity_row(connection)?;
    Ok(row.verified(&cipher.ok_or_else(Identity::refused)?, keys)?)
}

fn identity_row(connection: &Connection) -> Result<(IdentityRow, Option<Cipher>), StoreError> {
    let read = connection.query_row(IDENTITY, [], |row| {
        let columns = || {
            Some(IdentityRow {
                root_key: *row.get_ref(0).ok()?.as_blob().ok()?.as_array()?,
                active_key: row.get(1).ok()?,
                policy_epoch: row.get::<_, i64>(2).ok()?.cast_unsigned(),
                created: row.get(3).ok()?,
                imported: row.get(4).ok()?,
                last_export: row.get(5).ok()?,
            })
        };
        Ok(columns().map(|columns| (columns, rows::cipher(row, 6))))
    });
    Ok(read.optional()?.flatten().ok_or_else(Identity::refused)?)
}

/// The result of a migration, to be logged once it is committed.
#[derive(Debug)]
pub(super) struct Migrated {
    paths: u64,
    policies: u64,
    refused: u64,
}

impl Migrated {
    /// Logs it.
    pub(super) fn log(&self) {
        let Self { paths, policies, refused } = self;
        tracing::warn!(
            from = 1,
            to = SCHEMA_VERSION,
            paths,
            policies,
            refused,
            "the store is migrated to a newer schema: an older program cannot open it any more"
        );
    }
}

/// Migrates. The caller writes the row of the store, whose table is created again here.
pub(super) fn from_first(
    transaction: &mut Transaction<'_>,
    ring: &mut Ring,
    identity: &mut Identity,
) -> Result<Migrated, StoreError> {
    let connection = transaction.connection();
    let (paths, refused_paths) = heads(connection, ring)?;
    connection.execute_batch("DROP TABLE store")?;
    connection.execute_batch(SCHEMA)?;
    let (policies, refused_policies) = policies(connection, ring, identity)?;
    connection.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    Ok(Migrated { paths, policies, refused: refused_paths + refused_policies })
}

/// Encrypts the row of every path again. Returns how many rows that were, and how many are refused.
fn heads(connection: &Connection, ring: &mut Ring) -> Result<(u64, u64), StoreError> {
    let (mut done, mut refused) = (0, 0);
    let mut after = i64::MIN;
    loop {
        let names = names_after(connection, after)?;
        let Some((last, _)) = names.last() else { return Ok((done, refused)) };
        after = *last;
        for (_, name) in &names {
            if migrate_head(connection, name.as_deref(), ring)? {
                done += 1;
            } else {
                refused += 1;
            }
        }
    }
}

/// The names of the next paths, in the order of their rows.
fn names_after(
    connection: &Connection,
    after: i64,
) -> rusqlite::Result<Vec<(i64, Option<String>)>> {
    let sql = "SELECT rowid, path FROM secrets WHERE rowid > ?1 ORDER BY rowid LIMIT ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([after, CHUNK], |row| Ok((row.get(0)?, row.get(1).ok())))?;
    rows.collect()
}

/// `false`: the row is refused, and stays unchanged.
fn migrate_head(
    connection: &Connection,
    name: Option<&str>,
    ring: &mut Ring,
) -> Result<bool, StoreError> {
    // An invalid name was not written by this program.
    let Some(path) = name.and_then(|name| SecretPath::parse(name).ok()) else { return Ok(false) };
    let head: Result<Option<Head>, StoreError> = rows::with_head(connection, &path, |stored| {
        let Some((row, cipher)) = stored else { return Ok(None) };
        Ok(Some(open_head(&row, &cipher, ring.keys())?))
    });
    let head = match head {
        Err(StoreError::Tampered { .. }) => None,
        head => head?,
    };
    let Some(head) = head else { return Ok(false) };
    rows::execute(connection, REPLACE_CIPHER, &head.sealed(&path, ring)?)?;
    Ok(true)
}

/// Lists the policies whose rows were not altered. Returns how many these are, and how many were altered.
fn policies(
    connection: &Connection,
    ring: &mut Ring,
    identity: &mut Identity,
) -> Result<(u64, u64), StoreError> {
    let mut lists = BTreeMap::new();
    let (mut done, mut refused) = (0, 0);
    policy_rows::for_each(connection, |name, stored| {
        let whole =
            stored.filter(|(row, cipher)| StoredPolicy::open(row, cipher, ring.keys()).is_ok());
        let Some((_row, cipher)) = whole else {
            refused += 1;
            return;
        };
        let number = PolicyList::number_of(name);
        let list = lists.entry(number).or_insert_with(|| PolicyList::empty(number));
        list.insert(name, *cipher.nonce());
        done += 1;
    })?;
    for list in lists.values() {
        let row = list.sealed(ring)?;
        rows::write(connection, &row)?;
        identity.policy_lists.set(list.number(), row.nonce());
    }
    Ok((done, refused))
}
