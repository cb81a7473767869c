//! Every row of a store, decrypted and held against every other row that names it.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};
use spike_daemon::progress::Progress;
use spike_domain::SecretPath;
use zeroize::Zeroizing;

use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::format::head::Head;
use crate::store::format::keys::Keys;
use crate::store::sqlite::{policy_rows, rows};

/// No more faults are named.
const MOST_NAMED: usize = 100;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Walked {
    /// Rows of secrets that opened.
    pub(super) secrets: u64,
    /// Rows of versions that opened.
    pub(super) versions: u64,
    /// Policies that opened.
    pub(super) policies: u64,
    /// The rows that are not as they were written.
    pub(super) refused: Vec<String>,
}

impl Walked {
    /// Takes a refusal down; what is no refusal ends the walk.
    fn refuse(&mut self, error: StoreError) -> Result<(), StoreError> {
        match error {
            error @ StoreError::Tampered { .. } => {
                self.name(error.to_string());
                Ok(())
            }
            other => Err(other),
        }
    }

    fn name(&mut self, what: String) {
        if self.refused.len() < MOST_NAMED {
            self.refused.push(what);
        }
    }
}

/// Reads every row in one snapshot.
pub(super) fn walk(store: &Store, progress: &Progress) -> Result<Walked, StoreError> {
    store.readers.read(|connection| {
        let snapshot = connection.unchecked_transaction()?;
        let keys = &store.keys;
        let identity = rows::identity(&snapshot, keys)?;
        let mut walked = Walked::default();
        if let Err(error) = rows::verified_import(&snapshot, keys, &identity) {
            walked.refuse(error)?;
        }
        secrets(&snapshot, keys, &mut walked, progress)?;
        let policies = policy_rows::all(&snapshot, keys)?;
        walked.policies = policies.policies.len() as u64;
        progress.add(walked.policies);
        for refusal in policies.refused {
            walked.refuse(refusal)?;
        }
        let listed: BTreeSet<i64> = identity.policy_lists.written().map(i64::from).collect();
        let mut statement = snapshot.prepare("SELECT number FROM policy_lists")?;
        let mut found = statement.query([])?;
        while let Some(row) = found.next()? {
            let number: i64 = row.get(0)?;
            if !listed.contains(&number) {
                walked.name(format!("row {number} of table policy_lists is listed nowhere"));
            }
        }
        Ok(walked)
    })
}

fn secrets(
    connection: &Connection,
    keys: &Keys,
    walked: &mut Walked,
    progress: &Progress,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare("SELECT path FROM secrets ORDER BY path")?;
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        let text = row.get_ref(0)?.as_str().unwrap_or_default();
        let before = walked.secrets + walked.versions;
        match SecretPath::parse(text) {
            Ok(path) => secret(connection, keys, &path, walked)?,
            Err(error) => walked.name(format!("row {text:?} of table secrets: {error}")),
        }
        progress.add(walked.secrets + walked.versions - before);
    }
    let sql = "SELECT DISTINCT path FROM versions WHERE path NOT IN (SELECT path FROM secrets)";
    let mut statement = connection.prepare(sql)?;
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        let text = row.get_ref(0)?.as_str().unwrap_or_default();
        walked.name(format!("rows {text:?} of table versions are of no row of table secrets"));
    }
    Ok(())
}

fn secret(
    connection: &Connection,
    keys: &Keys,
    path: &SecretPath,
    walked: &mut Walked,
) -> Result<(), StoreError> {
    let head = rows::with_head(connection, path, |stored| match stored {
        Some((row, cipher)) => Ok(Some(Head::open(&row, &cipher, keys)?)),
        None => Ok(None),
    });
    let head = match head {
        Ok(Some(head)) => head,
        Ok(None) => return Ok(()),
        Err(error) => return walked.refuse(error),
    };
    walked.secrets += 1;
    let mut listed = BTreeSet::new();
    for version in head.history.versions() {
        listed.insert(version.number);
        let stored = rows::version(connection, path, version.number)?;
        let mut value = Zeroizing::new(Vec::new());
        let opened = head
            .value(path, *version, stored, keys)
            .and_then(|sealed| sealed.open_into(path, &mut value));
        match opened {
            Ok(()) => walked.versions += 1,
            Err(error) => walked.refuse(error.into())?,
        }
    }
    let mut statement =
        connection.prepare_cached("SELECT version FROM versions WHERE path = ?1")?;
    let mut found = statement.query(params![path.as_str()])?;
    while let Some(row) = found.next()? {
        let number: i64 = row.get(0)?;
        if !listed.contains(&number) {
            let path = path.as_str();
            walked
                .name(format!("row {path:?} version {number} of table versions is listed nowhere"));
        }
    }
    Ok(())
}
