//! The SQL of the tables of policies, and the comparison of rows with their lists.

use rusqlite::{Connection, OptionalExtension, Row as SqlRow};

use super::rows::{Table, cipher, identity};
use crate::store::change::PolicySet;
use crate::store::error::StoreError;
use crate::store::format::identity::Identity;
use crate::store::format::keys::Keys;
use crate::store::format::policy::{PolicyRow, StoredPolicy};
use crate::store::format::policy_list::{ListedPolicies, PolicyList, PolicyListRow};
use crate::store::format::row::Cipher;

impl Table for PolicyRow<'_> {
    const REPLACE: &'static str = "REPLACE INTO policies
        (name, created, updated, key_number, nonce, ciphertext) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
}

impl Table for PolicyListRow {
    const REPLACE: &'static str = "REPLACE INTO policy_lists
        (number, key_number, nonce, ciphertext) VALUES (?1, ?2, ?3, ?4)";
}

/// The row of a policy.
pub(in crate::store) fn policy<'n>(
    connection: &Connection,
    name: &'n str,
) -> Result<Option<(PolicyRow<'n>, Cipher)>, StoreError> {
    let read = connection
        .prepare_cached(
            "SELECT created, updated, key_number, nonce, ciphertext FROM policies WHERE name = ?1",
        )?
        .query_row([name], |row| Ok(policy_columns(name, row).zip(cipher(row, 2))));
    match read.optional()? {
        Some(row) => Ok(Some(row.ok_or_else(|| PolicyRow::refused(name))?)),
        None => Ok(None),
    }
}

fn policy_columns<'n>(name: &'n str, row: &SqlRow<'_>) -> Option<PolicyRow<'n>> {
    Some(PolicyRow { name, created: row.get(0).ok()?, updated: row.get(1).ok()? })
}

/// Erases the row of a policy. `false`: there was none.
pub(in crate::store) fn erase_policy(
    connection: &Connection,
    name: &str,
) -> rusqlite::Result<bool> {
    let erased =
        connection.prepare_cached("DELETE FROM policies WHERE name = ?1")?.execute([name])?;
    Ok(erased > 0)
}

/// The encrypted part of a list of policies. `None`: there is none, or its columns are not what any writer produces.
pub(in crate::store) fn policy_list(
    connection: &Connection,
    number: u8,
) -> Result<Option<Cipher>, StoreError> {
    let read = connection
        .prepare_cached("SELECT key_number, nonce, ciphertext FROM policy_lists WHERE number = ?1")?
        .query_row([number], |row| Ok(cipher(row, 0)));
    Ok(read.optional()?.flatten())
}

/// One policy, read in a transaction of its own, so that its row and its list are of one snapshot.
pub(in crate::store) fn one(
    connection: &Connection,
    keys: &Keys,
    name: &str,
) -> Result<Option<StoredPolicy>, StoreError> {
    let snapshot = connection.unchecked_transaction()?;
    let lists = identity(&snapshot, keys)?.policy_lists;
    let number = PolicyList::number_of(name);
    let list = PolicyList::open(number, policy_list(&snapshot, number)?, &lists, keys)?;
    Ok(list.policy(name, policy(&snapshot, name)?, keys)?)
}

/// All policies. `connection` must be in a transaction, so that all reads see one snapshot.
pub(in crate::store) fn all(connection: &Connection, keys: &Keys) -> Result<PolicySet, StoreError> {
    let Identity { policy_epoch: epoch, policy_lists: lists, .. } = identity(connection, keys)?;
    let mut set = PolicySet { epoch, policies: Vec::new(), refused: Vec::new() };
    let mut listed = ListedPolicies::default();
    for number in lists.written() {
        match PolicyList::open(number, policy_list(connection, number)?, &lists, keys) {
            Ok(list) => listed.add(list),
            Err(refusal) => set.refused.push(refusal.into()),
        }
    }
    for_each(connection, |name, stored| match listed.policy(name, stored, keys) {
        Ok(policy) => set.policies.push(policy),
        Err(refusal) => set.refused.push(refusal.into()),
    })?;
    set.refused.extend(listed.missing().map(StoreError::from));
    Ok(set)
}

/// Passes the row of every policy, by name. `None`: its columns are not what any writer produces.
pub(super) fn for_each(
    connection: &Connection,
    mut then: impl FnMut(&str, Option<(PolicyRow<'_>, Cipher)>),
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "SELECT created, updated, key_number, nonce, ciphertext, name FROM policies ORDER BY name",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        // A name that is no text was not written by this program.
        let name = row.get_ref(5)?.as_str().unwrap_or_default();
        then(name, policy_columns(name, row).zip(cipher(row, 2)));
    }
    Ok(())
}
