//! Writers that record every acknowledged write. Each of those must be readable ever after.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use anyhow::{Result, ensure};
use spike_mtls::{client::NexusClient, clock};
use tokio::task::JoinSet;

use crate::secrets;

/// A write that was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// The path; no other write has the same.
    pub path: String,
    /// The value.
    pub value: String,
    /// When the acknowledgement arrived, in nanoseconds of Unix time.
    pub at: i64,
}

/// Running writers. Each ends with its first failure.
#[derive(Debug)]
pub struct Writing {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
    workers: JoinSet<Vec<Acknowledged>>,
}

impl Writing {
    /// Starts `writers`. Each puts one secret after the other, to paths below `prefix`.
    pub fn start(client: &NexusClient, prefix: &str, writers: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let acknowledged: Arc<AtomicUsize> = Arc::default();
        let mut workers = JoinSet::new();
        for writer in 0..writers {
            let (client, stop) = (client.clone(), Arc::clone(&stop));
            let (prefix, count) = (format!("{prefix}/{writer}"), Arc::clone(&acknowledged));
            workers.spawn(async move {
                let mut told = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let number = told.len();
                    let (path, value) =
                        (format!("{prefix}/{number}"), format!("{number}@{prefix}"));
                    if client.put_secret(&secrets::put(&path, &[("v", &value)])).await.is_err() {
                        break;
                    }
                    told.push(Acknowledged { path, value, at: clock::unix_nanos() });
                    count.fetch_add(1, Ordering::Relaxed);
                }
                told
            });
        }
        Self { stop, acknowledged, workers }
    }

    /// The number of acknowledged writes so far.
    pub fn count(&self) -> usize {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Stops, and returns the acknowledged writes.
    pub async fn finish(self) -> Vec<Acknowledged> {
        self.stop.store(true, Ordering::Relaxed);
        self.workers.join_all().await.concat()
    }
}

/// Reads every acknowledged write back.
///
/// # Errors
/// The first that is missing or different.
pub async fn check(client: &NexusClient, acknowledged: &[Acknowledged]) -> Result<()> {
    for write in acknowledged {
        let read = secrets::value_of(client, &write.path, 0, "v").await;
        let read = read.map_err(|error| error.context(format!("{} is lost", write.path)))?;
        ensure!(read == write.value, "{} holds {read:?}", write.path);
    }
    Ok(())
}
