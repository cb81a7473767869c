//! Keeps the shares of a development cluster, so that it gets its root key back after a restart of everything.
//!
//! In production no disk holds the key: if all Keepers and Nexus end at the same time, an operator feeds back recovery shares.
//! A developer stops the whole cluster often, so `spike-dev` acts as the operator. After bootstrap it takes the shares out, as
//! `spike operator recover` does, and keeps them in the state directory with a README. At the next start it feeds them back.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use spike_config::HttpsUrl;
use spike_crypto::{Share, ShareError, ShareIndex, ShareValue};
use spike_domain::{TrustRoots, TrustRootsByRole};
use spike_mtls::{
    ClientTimeouts,
    client::{CallError, NexusClient},
    clock,
    svid::{Material, MaterialError, SvidSource},
};
use spike_wire::{RestoreRequest, Shard};
use zeroize::Zeroizing;

use super::plan::program_id;
use crate::{
    ca::{Ca, CaError},
    private,
};

/// The directory in the state directory.
const DIR: &str = "dev-only-root-key-shares";
/// The file with the numbers that the shares were made with.
const QUORUM: &str = "quorum";
const README: &str = "These files are the shares of this development cluster's root key. Whoever has enough of them\n\
    can read every secret in it. spike-dev keeps them here so that the cluster survives a restart;\n\
    a production system keeps them nowhere but in the memory of its Keepers, and with its operators.\n";

/// The files of one development cluster.
#[derive(Debug)]
pub(super) struct DevShares(PathBuf);

/// Why the shares could not be kept or used.
#[derive(Debug, thiserror::Error)]
pub enum DevSharesError {
    /// A file cannot be read or written.
    #[error("{}: cannot be used", path.display())]
    File {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file holds no share.
    #[error("{}: not a recovery share", path.display())]
    Share {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ShareError,
    },
    /// There is data, and the shares of its key are gone.
    #[error(
        "{} is gone, which had the shares of the root key, and without them the data of this cluster cannot be read: copy it back, or \
         begin anew with another --dir",
        path.display()
    )]
    Lost {
        /// The directory of the shares.
        path: PathBuf,
    },
    /// There are shares, and the data of their key is gone.
    #[error(
        "{} is gone, the data of this cluster, whose root key is in {}: put it back, or begin anew: remove {}, or name another --dir",
        database.display(), shares.display(), dir.display()
    )]
    NoData {
        /// The database.
        database: PathBuf,
        /// The directory of the shares.
        shares: PathBuf,
        /// The state directory.
        dir: PathBuf,
    },
    /// Some of the files are gone.
    #[error(
        "{} has {found} of the shares of the root key, and {needed} rebuild it: copy the others back, or begin anew with another --dir",
        path.display()
    )]
    TooFew {
        /// The directory of the shares.
        path: PathBuf,
        /// How many are there.
        found: usize,
        /// How many are needed.
        needed: u16,
    },
    /// The cluster was made with other numbers.
    #[error(
        "this cluster was made with {made}, and the command line says {asked}: name the same, or begin anew with another --dir"
    )]
    OtherQuorum {
        /// With what it was made.
        made: String,
        /// What the command line says.
        asked: String,
    },
    /// No identity to call Nexus with.
    #[error("no identity for an operator")]
    Identity(#[from] CaError),
    /// The new identity cannot be used.
    #[error("no identity for an operator")]
    Material(#[from] MaterialError),
    /// TLS cannot be configured.
    #[error("no client")]
    Tls(#[from] rustls::Error),
    /// Nexus refused.
    #[error("Nexus refused the request of an operator")]
    Call(#[from] CallError),
}

impl DevShares {
    pub(super) fn of(dir: &Path) -> Self {
        Self(dir.join(DIR))
    }

    /// Whether an earlier cluster left shares behind.
    pub(super) fn exist(&self) -> bool {
        self.0.is_dir()
    }

    /// Whether the shares and the data are both there or both not, and the shares were made with these numbers. `database` is
    /// that of Nexus, if its backend has one.
    pub(super) fn check(
        &self,
        (keepers, threshold): (usize, u16),
        database: Option<&Path>,
    ) -> Result<(), DevSharesError> {
        let has_data = database.map(Path::exists);
        match (self.exist(), has_data, database) {
            (false, Some(true), _) => return Err(DevSharesError::Lost { path: self.0.clone() }),
            (false, _, _) => return Ok(()),
            (true, Some(false), Some(database)) => {
                let (database, shares) = (database.to_owned(), self.0.clone());
                let dir = shares.parent().unwrap_or(&shares).to_owned();
                return Err(DevSharesError::NoData { database, shares, dir });
            }
            (true, _, _) => {}
        }
        let path = self.0.join(QUORUM);
        let made = match fs::read_to_string(&path) {
            Ok(made) => made.trim().to_owned(),
            // Shares of an earlier release have no such file.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(DevSharesError::File { path, source }),
        };
        let asked = quorum_in_words(keepers, threshold);
        if made == asked { Ok(()) } else { Err(DevSharesError::OtherQuorum { made, asked }) }
    }

    /// Gets the shares from Nexus and saves them.
    pub(super) async fn save(
        &self,
        (keepers, threshold): (usize, u16),
        ca: &Ca,
        nexus: &HttpsUrl,
    ) -> Result<(), DevSharesError> {
        let client = operator(ca, nexus, "/spike/pilot/role/recover")?;
        let answer = client.recover().await?;
        // All are saved, or none: an incomplete set would stop the next start.
        let fresh = self.0.with_extension("new");
        let file_error = |path: &Path| {
            let path = path.to_owned();
            move |source| DevSharesError::File { path, source }
        };
        if fresh.is_dir() {
            fs::remove_dir_all(&fresh).map_err(file_error(&fresh))?;
        }
        fs::DirBuilder::new().mode(0o700).create(&fresh).map_err(file_error(&fresh))?;
        private::write_new(&fresh.join("README"), README, 0o600).map_err(file_error(&fresh))?;
        let quorum = quorum_in_words(keepers, threshold);
        private::write_new(&fresh.join(QUORUM), &quorum, 0o600)
            .map_err(file_error(&fresh.join(QUORUM)))?;
        for (index, shard) in &answer.shards {
            let path = fresh.join(format!("spike.recovery.{index}.txt"));
            let share = share(*index, shard);
            let share =
                share.map_err(|source| DevSharesError::Share { path: path.clone(), source })?;
            private::write_new(&path, &share.to_recovery_text(), 0o600)
                .map_err(file_error(&path))?;
        }
        fs::rename(&fresh, &self.0).map_err(file_error(&self.0))
    }

    /// Feeds the shares back until Nexus has its key.
    pub(super) async fn restore(
        &self,
        threshold: u16,
        ca: &Ca,
        nexus: &HttpsUrl,
    ) -> Result<(), DevSharesError> {
        let client = operator(ca, nexus, "/spike/pilot/role/restore")?;
        let mut fed = 0;
        let listed = fs::read_dir(&self.0)
            .map_err(|source| DevSharesError::File { path: self.0.clone(), source })?;
        for entry in listed.flatten() {
            let path = entry.path();
            if path.extension().is_none_or(|extension| extension != "txt") {
                continue;
            }
            let text = fs::read_to_string(&path)
                .map_err(|source| DevSharesError::File { path: path.clone(), source })?;
            let share = Share::from_recovery_text(&Zeroizing::new(text))
                .map_err(|source| DevSharesError::Share { path: path.clone(), source })?;
            let request = RestoreRequest {
                id: i64::from(share.index.get()),
                shard: Shard::new(share.value.expose_bytes()),
                more: false,
            };
            if client.restore(&request).await?.restored {
                return Ok(());
            }
            fed += 1;
        }
        Err(DevSharesError::TooFew { path: self.0.clone(), found: fed, needed: threshold })
    }
}

/// As on the command line.
fn quorum_in_words(keepers: usize, threshold: u16) -> String {
    format!("--keepers {keepers} --threshold {threshold}")
}

fn share(index: i64, shard: &Shard) -> Result<Share, ShareError> {
    let index = ShareIndex::try_from(index)?;
    Ok(Share { index, value: ShareValue::from_bytes(shard.expose_secret())? })
}

/// A client with the SPIFFE ID of an operator, made by the cluster's own authority.
fn operator(ca: &Ca, nexus: &HttpsUrl, path: &str) -> Result<NexusClient, DevSharesError> {
    let id = program_id(ca.trust_domain(), path);
    let svid = ca.issue(&id, Duration::from_mins(10), clock::now())?;
    let chain = vec![CertificateDer::from(svid.certificate_der().to_vec())];
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(svid.expose_key_der().to_vec()));
    let bundle = [(ca.trust_domain().clone(), vec![ca.root_der().to_vec()])];
    let source = SvidSource::fixed(Material::from_der(id, chain, &key, bundle)?);
    let root = ca.trust_domain().to_string();
    let roots = TrustRootsByRole {
        nexus: TrustRoots::parse(&root).unwrap_or_default(),
        ..TrustRootsByRole::default()
    };
    Ok(NexusClient::new(&source, Arc::new(roots), nexus, ClientTimeouts::default())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_threshold_than_that_of_the_cluster_is_told_as_that() {
        let dir = tempfile::tempdir().unwrap();
        let shares = DevShares::of(dir.path());
        fs::create_dir(&shares.0).unwrap();
        let database = dir.path().join("nexus.db");
        fs::write(&database, "").unwrap();
        // Made by an earlier release.
        shares.check((3, 2), Some(&database)).unwrap();
        fs::write(shares.0.join(QUORUM), quorum_in_words(3, 2)).unwrap();
        shares.check((3, 2), Some(&database)).unwrap();
        let error = shares.check((3, 3), Some(&database)).unwrap_err().to_string();
        assert!(error.contains("made with --keepers 3 --threshold 2"), "{error}");
        assert!(error.contains("says --keepers 3 --threshold 3"), "{error}");
    }

    #[test]
    fn shares_that_are_gone_while_there_is_data_are_told_before_bootstrap_runs() {
        let dir = tempfile::tempdir().unwrap();
        let shares = DevShares::of(dir.path());
        let database = dir.path().join("nexus.db");
        shares.check((3, 2), Some(&database)).unwrap();
        fs::write(&database, "").unwrap();
        let error = shares.check((3, 2), Some(&database)).unwrap_err().to_string();
        assert!(error.contains("copy it back") && error.contains(DIR), "{error}");
    }

    #[test]
    fn data_that_is_gone_while_there_are_shares_is_told_by_its_path_and_how_to_begin_anew() {
        let dir = tempfile::tempdir().unwrap();
        let shares = DevShares::of(dir.path());
        fs::create_dir(&shares.0).unwrap();
        let database = dir.path().join("nexus.db");
        let error = shares.check((3, 2), Some(&database)).unwrap_err().to_string();
        assert!(error.contains(&*database.to_string_lossy()), "{error}");
        assert!(error.contains(&format!("remove {}", dir.path().display())), "{error}");
        // The lite backend has no data.
        shares.check((3, 2), None).unwrap();
    }
}
