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

    /// Gets the shares from Nexus and saves them.
    pub(super) async fn save(&self, ca: &Ca, nexus: &HttpsUrl) -> Result<(), DevSharesError> {
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
    pub(super) async fn restore(&self, ca: &Ca, nexus: &HttpsUrl) -> Result<(), DevSharesError> {
        let client = operator(ca, nexus, "/spike/pilot/role/restore")?;
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
                break;
            }
        }
        Ok(())
    }
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
