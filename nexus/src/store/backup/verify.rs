//! Whether a backup can be relied on: without the recovery shares whether it is whole, with them whether Nexus opens it and
//! every row in it.

use std::fs::File;
use std::path::Path;

use spike_daemon::progress::{Amount, Progress};
use spike_domain::UnixNanos;
use tempfile::Builder;

use super::container::{Container, Contents, Damage, Manifest};
use super::error::BackupError;
use super::examine;
use super::shares::RecoveryShares;
use super::walk::walk;
use crate::store::error::StoreError;
use crate::store::sqlite::{create, private};
use crate::store::{Home, Options, Store};

/// A backup that was accepted.
#[derive(Debug)]
pub struct Report {
    /// What it says of itself, which is true.
    pub manifest: Manifest,
    /// What was shown with the recovery shares, where there were some.
    pub proof: Option<Proof>,
}

/// What was shown with recovery shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// How many shares there were.
    pub shares: usize,
    /// How many subsets of them were tried. Each rebuilt the key.
    pub subsets: u64,
    /// Rows of secrets, versions and policies that were decrypted.
    pub rows: u64,
}

/// Checks the backup `file`, in a directory that is made for it in `scratch` and removed again. `shares` is the directory of
/// recovery files: with them every row is decrypted. The file is only read.
///
/// # Errors
/// [`BackupError`] says what is wrong, and where.
pub fn verify(
    file: &Path,
    shares: Option<&Path>,
    scratch: &Path,
    now: UnixNanos,
    progress: &Progress,
) -> Result<Report, BackupError> {
    let container = Container::open(file)?;
    let made = Builder::new()
        .prefix(".spike-backup-")
        .tempdir_in(scratch)
        .map_err(BackupError::unusable(scratch))?;
    let copy = made.path().join(create::FILE);
    let of_copy = |error| about_the_backup(error, file, scratch);
    let mut out = private::private_file(&copy).map_err(|error| of_copy(error.into()))?;
    extract(&container, (&mut out, scratch), &copy, progress)?;
    drop(out);
    progress.begin("checking the database", Amount::Unknown);
    check_contents(file, &copy, &container.manifest().contents).map_err(of_copy)?;
    let proof = match shares {
        Some(shares) => {
            Some(prove(&container, made.path(), shares, now, progress).map_err(of_copy)?)
        }
        None => None,
    };
    Ok(Report { manifest: container.manifest().clone(), proof })
}

/// An error of the copy, which is gone when somebody reads it: what it says of the backup and of the directory for copies.
fn about_the_backup(error: BackupError, file: &Path, scratch: &Path) -> BackupError {
    let BackupError::Store(error) = error else { return error };
    match error {
        StoreError::Unusable { source, .. } => BackupError::unusable(scratch)(source),
        StoreError::Foreign { .. } => {
            BackupError::damaged(file, "its database is not a store of this program")
        }
        StoreError::NewerSchema { found, known, .. } => BackupError::Foreign {
            path: file.to_owned(),
            what: format!(
                "its database has schema {found}, this program knows {known}: a newer SPIKE Nexus has made it, use that one"
            ),
        },
        StoreError::Damaged { what, .. } => BackupError::damaged(file, what),
        // What to do there is about a database in use.
        StoreError::Altered { what, .. } => {
            BackupError::damaged(file, what.split(": ").next().unwrap_or_default())
        }
        other => other.into(),
    }
}

/// Writes the database to `out`, which is the file `copy`; says where it is not as it was written. An error of writing names the
/// directory `beside`.
pub(super) fn extract(
    container: &Container,
    (out, beside): (&mut File, &Path),
    copy: &Path,
    progress: &Progress,
) -> Result<(), BackupError> {
    let Some(Damage { first, more }) = container.extract((out, beside), progress)? else {
        return Ok(());
    };
    let (from, to) = (container.place_of(first.0), container.place_of(first.1));
    let tables = examine::tables_in(copy, first);
    let of = if tables.is_empty() {
        "SQLite cannot tell any more what lies there".to_owned()
    } else {
        format!("of {}", tables.join(" and "))
    };
    let others = match more {
        0 => String::new(),
        more => format!("; nor are {more} more parts of this size"),
    };
    let what =
        format!("bytes {from} to {to} of the file are not as they were written ({of}){others}");
    Err(BackupError::damaged(container.path(), what))
}

/// The checksums are right: whether what they are about is a whole store, and the one that the manifest tells of.
fn check_contents(file: &Path, copy: &Path, told: &Contents) -> Result<(), BackupError> {
    let connection = examine::open(copy)?;
    if let Some(faults) = examine::faults(&connection)? {
        return Err(BackupError::damaged(file, format!("SQLite says: {faults}")));
    }
    let found = examine::contents(&connection)?;
    if found == *told {
        return Ok(());
    }
    let what = format!(
        "the manifest does not tell of this database: it says {}",
        told.differences(&found)
    );
    Err(BackupError::damaged(file, what))
}

fn prove(
    container: &Container,
    scratch: &Path,
    shares: &Path,
    now: UnixNanos,
    progress: &Progress,
) -> Result<Proof, BackupError> {
    let contents = &container.manifest().contents;
    let shares = RecoveryShares::read(shares)?;
    progress.begin("rebuilding the key from every subset", Amount::Unknown);
    let (key, subsets) = shares.rebuild(contents.threshold, &contents.root_key)?;
    // As Nexus does at its start.
    let home = Home::File(scratch.to_owned());
    let store = Store::open(&home, &key, &Options::default(), now)?;
    let rows = contents.secrets.saturating_add(contents.versions).saturating_add(contents.policies);
    progress.begin("decrypting every row", Amount::Things(rows));
    let walked = walk(&store, progress)?;
    drop(store);
    let counts = [walked.secrets, walked.versions, walked.policies];
    if !walked.refused.is_empty() {
        return Err(BackupError::damaged(container.path(), walked.refused.join("; ")));
    }
    if counts != [contents.secrets, contents.versions, contents.policies] {
        let [secrets, versions, policies] = counts;
        let found = Contents { secrets, versions, policies, ..contents.clone() };
        let what = format!(
            "not everything opens that the manifest tells of: it says {}",
            contents.differences(&found)
        );
        return Err(BackupError::damaged(container.path(), what));
    }
    Ok(Proof { shares: shares.len(), subsets, rows: counts.iter().sum() })
}
