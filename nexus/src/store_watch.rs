//! Health checks and metrics of the open store. While Nexus is sealed there is none, and the check of the root key says why.

use std::{fmt, sync::Arc, thread, time::Instant};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};
use spike_daemon::process::chain;
use spike_mtls::clock;

use crate::{
    keys::seal::{OwnTask, Seal},
    store::Store,
};

/// Whether the last attempt to write succeeded.
///
/// # Errors
/// Why it failed.
pub(crate) fn write_check(seal: &Seal) -> Result<(), String> {
    with_store(seal, |store| {
        let condition = store.condition();
        if !condition.writer_is_alive() {
            return Err("the thread that writes the store has ended: restart Nexus".to_owned());
        }
        // This check runs even if there are no writes.
        store.in_place().map_err(|error| error.to_string())?;
        if let Some(failure) = condition.write_failure() {
            return Err(format!("the store cannot be written: {}", failure.reason));
        }
        if let Some(since) = condition.hangs_since() {
            return Err(format!(
                "a write has been under way since {}",
                clock::second(since.wall())
            ));
        }
        condition.policy_failure().map_or(Ok(()), Err)
    })
}

/// Whether the last read succeeded. After a failure this check reads itself, because there may be no other reads; after damage,
/// every page, on a thread of its own, because other pages may be well.
///
/// # Errors
/// Why it failed.
pub(crate) fn read_check(seal: &Arc<Seal>) -> Result<(), String> {
    with_store(seal, |store| {
        let condition = store.condition();
        if condition.read_failure().is_none() {
            return Ok(());
        }
        if !condition.is_damaged() {
            return store
                .try_read()
                .map_err(|error| format!("the store cannot be read: {}", chain(&error)));
        }
        if condition.begins_examination(Instant::now()) {
            examine(seal, store);
        }
        let reason = condition.read_failure().map(|failure| failure.reason);
        reason.map_or(Ok(()), |reason| Err(format!("the store cannot be read: {reason}")))
    })
}

fn examine(seal: &Arc<Seal>, store: &Store) {
    let owned = Arc::clone(seal);
    let work = move || {
        let examined = with_store(&owned, |store| {
            store.examine();
            Ok(())
        });
        // Nexus may have been sealed meanwhile; then there is no store.
        drop(examined);
    };
    let started = thread::Builder::new().name("examine".to_owned()).spawn(work);
    if started.is_err() {
        store.condition().ends_examination(false);
    }
}

/// Whether acknowledged commits were lost and no operator has confirmed it yet.
///
/// # Errors
/// What is known about the loss.
pub(crate) fn loss_check(seal: &Seal) -> Result<(), String> {
    with_store(seal, |store| {
        match store.loss() {
        Some(loss) => Err(loss.text.clone()),
        None if store.condition().notices_losses() => Ok(()),
        None => Err("the file nexus.commits cannot be read or written, so commits that get lost would not be noticed: \
                     see that it belongs to the user of Nexus, and restart Nexus; the log has the error"
            .to_owned()),
    }
    })
}

/// Whether the data of upstream, if there is any, is in the store.
///
/// # Errors
/// What is missing, and why.
pub(crate) fn import_check(seal: &Seal) -> Result<(), String> {
    with_store(seal, Store::import_check)
}

fn with_store(seal: &Seal, check: impl FnOnce(&Store) -> Result<(), String>) -> Result<(), String> {
    let Ok(unsealed) = seal.for_own_task(OwnTask::WatchStore) else { return Ok(()) };
    unsealed.store().map_or(Ok(()), check)
}

/// Metrics of the open store that need no disk. There are none while Nexus is sealed.
#[derive(Debug)]
pub(crate) struct StoreMetrics(pub(crate) Arc<Seal>);

impl Collector for StoreMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Ok(unsealed) = self.0.for_own_task(OwnTask::WatchStore) else { return Ok(()) };
        let Ok(store) = unsealed.store() else { return Ok(()) };
        let condition = store.condition();
        for (name, help, value) in [
            ("store_commits", "Transactions that were committed", condition.commits()),
            (
                "store_commits_failed",
                "Transactions that were not committed, or of which it is not known",
                condition.failed_commits(),
            ),
        ] {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)?;
        }
        for (name, help, histogram) in [
            ("store_batch_writes", "Writes in one transaction", condition.batch()),
            ("store_commit_seconds", "How long transactions take", condition.duration()),
        ] {
            let descriptor = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
            histogram.encode(descriptor)?;
        }
        let key = condition.key_use();
        let last_commit = condition.last_commit().map_or(0, |at| at / 1_000_000_000);
        for (name, help, value) in [
            (
                "store_writer_alive",
                "Whether the thread that writes is there",
                i64::from(condition.writer_is_alive()),
            ),
            (
                "store_queue",
                "Writes that wait for the thread that writes",
                i64::try_from(store.waiting_writes()).unwrap_or(i64::MAX),
            ),
            (
                "store_data_key_encryptions",
                "Encryptions under the active data key",
                gauge(key.encryptions),
            ),
            (
                "store_data_key_encryptions_limit",
                "The number of encryptions at which the next write replaces the data key",
                gauge(key.limit),
            ),
            ("store_data_keys", "Data keys that were made for this store", i64::from(key.number)),
            (
                "store_last_commit_timestamp_seconds",
                "When the last transaction was committed; 0: none since the start",
                last_commit,
            ),
        ] {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        Ok(())
    }
}

/// Metrics of the files of the open store. There are none while Nexus is sealed.
#[derive(Debug)]
pub(crate) struct StoreFileMetrics(pub(crate) Arc<Seal>);

impl Collector for StoreFileMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Ok(unsealed) = self.0.for_own_task(OwnTask::WatchStore) else { return Ok(()) };
        let Ok(store) = unsealed.store() else { return Ok(()) };
        let condition = store.condition();
        // Before this reads by itself: what it reads may be in memory, and would pass for a disk that can be read.
        let is_readable = condition.read_failure().is_none();
        let (file, log) = store.file_sizes().unwrap_or_default();
        for (name, help, value) in [
            (
                "store_free_bytes",
                "Bytes that Nexus may still write on the disk of the database",
                store.free_bytes().map(gauge),
            ),
            (
                "store_backup_timestamp_seconds",
                "When the newest backup that was verified was made; 0: none",
                store.last_backup(),
            ),
        ] {
            let Some(value) = value else { continue };
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        let left_out = store.import_record().ok().flatten().map_or(0, |record| record.refused);
        for (name, help, value) in [
            (
                "store_writable",
                "Whether the last attempt to write went well, the files are at their paths, and nobody else has changed the log",
                i64::from(condition.write_failure().is_none() && store.in_place().is_ok()),
            ),
            (
                "store_readable",
                "Whether the last attempt to read went well",
                i64::from(is_readable),
            ),
            ("store_file_bytes", "Size of the database file", gauge(file)),
            ("store_wal_bytes", "Size of the write-ahead log", gauge(log)),
            (
                "store_commits_lost",
                "1 while a loss of commits is not confirmed by an operator",
                i64::from(store.loss().is_some()),
            ),
            (
                "store_import_left_out",
                "Rows of upstream's database that were left out when it was imported",
                gauge(left_out),
            ),
        ] {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        Ok(())
    }
}

fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
