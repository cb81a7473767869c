//! Reads, durable writes and list pages of the store, with no value kept in memory.
//!
//! Every write is answered after its commit was synced, so the figures of `put` are those of the
//! disk under the target's temporary directory; `put_*` counts puts, not batches.

#![expect(clippy::expect_used, reason = "a bench that cannot be set up has nothing to measure")]

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use divan::Bencher;
use divan::counter::ItemsCount;
use spike_crypto::RootKey;
use spike_domain::{SecretPath, Selector};
use spike_nexus::store::{Home, Options, Store};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use zeroize::Zeroizing;

fn main() {
    divan::main();
}

const NOON: i64 = 1_800_000_000_000_000_000;
const HOMES: [&str; 2] = ["file", "memory"];
/// Puts of each writer in one sample.
const PUTS: u64 = 8;

struct Bench {
    runtime: Runtime,
    store: Arc<Store>,
    /// Removed when the store is gone.
    _directory: TempDir,
}

impl Bench {
    fn new(home: &str) -> Self {
        // Not /tmp, which may be memory: the point is a disk.
        let base = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let directory = tempfile::tempdir_in(base).expect("a directory to write to");
        let home = match home {
            "memory" => Home::Memory,
            _ => Home::File(directory.path().to_owned()),
        };
        let key = RootKey::from_bytes(&[7; 32]).expect("a valid key");
        // Reads are those of the database.
        let options = Options { read_cache: 0, ..Options::default() };
        let store = Store::create(&home, &key, &options, NOON).expect("a new store");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_time()
            .build()
            .expect("a runtime");
        Self { runtime, store: Arc::new(store), _directory: directory }
    }

    /// Fills the store with `secrets`, each of `versions` versions of 1 KiB.
    fn filled(home: &str, secrets: u64, versions: u32) -> Self {
        let bench = Self::new(home);
        bench.runtime.block_on(async {
            let mut puts = JoinSet::new();
            for number in 0..secrets {
                let store = Arc::clone(&bench.store);
                puts.spawn(async move {
                    for _ in 0..versions {
                        put(&store, &name(number)).await;
                    }
                });
                if puts.len() == 512 {
                    puts.join_next().await;
                }
            }
            puts.join_all().await;
        });
        bench
    }
}

fn name(number: u64) -> SecretPath {
    SecretPath::parse(format!("tenants/acme/service-{number:06}/db")).expect("a valid path")
}

async fn put(store: &Store, path: &SecretPath) {
    let value = Zeroizing::new(vec![b'x'; 1024]);
    store.put(path, value, NOON).await.expect("a put");
}

/// Visits numbers below `count` in an order without locality.
fn scattered(counter: &AtomicU64, count: u64) -> u64 {
    counter.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15) % count
}

fn get(bencher: Bencher<'_, '_>, home: &str, secrets: u64) {
    let bench = Bench::filled(home, secrets, 5);
    let counter = AtomicU64::new(0);
    bencher
        .counter(ItemsCount::new(1_u32))
        .with_inputs(|| name(scattered(&counter, secrets)))
        .bench_refs(|path| bench.store.get(path, Selector::Current).expect("a read"));
}

#[divan::bench(args = HOMES, threads = [1, 2])]
fn get_1_kib_of_1_secret_of_5_versions(bencher: Bencher<'_, '_>, home: &str) {
    get(bencher, home, 1);
}

#[divan::bench(args = HOMES, threads = [1, 2])]
fn get_1_kib_of_100_000_secrets_of_5_versions(bencher: Bencher<'_, '_>, home: &str) {
    get(bencher, home, 100_000);
}

#[divan::bench(args = HOMES)]
fn list_page_of_1_000_of_100_000(bencher: Bencher<'_, '_>, home: &str) {
    let bench = Bench::filled(home, 100_000, 1);
    let after = name(50_000);
    bencher.bench(|| bench.store.list("tenants/", Some(after.as_str()), 1_000).expect("a page"));
}

#[divan::bench(args = HOMES)]
fn list_all_of_100_000(bencher: Bencher<'_, '_>, home: &str) {
    let bench = Bench::filled(home, 100_000, 1);
    bencher.bench(|| bench.store.list("", None, usize::MAX).expect("all names"));
}

fn puts(bencher: Bencher<'_, '_>, writers: u64, path_of: fn(u64, u64) -> SecretPath) {
    let bench = Bench::new("file");
    let round = AtomicU64::new(0);
    bencher.counter(ItemsCount::new(writers * PUTS)).bench(|| {
        let round = round.fetch_add(1, Ordering::Relaxed);
        bench.runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for writer in 0..writers {
                let store = Arc::clone(&bench.store);
                tasks.spawn(async move {
                    for number in 0..PUTS {
                        put(&store, &path_of(writer, round * PUTS + number)).await;
                    }
                });
            }
            tasks.join_all().await;
        });
    });
}

#[divan::bench(args = [1, 16, 64])]
fn put_1_kib_one_path(bencher: Bencher<'_, '_>, writers: u64) {
    puts(bencher, writers, |_writer, _number| name(0));
}

#[divan::bench(args = [1, 16, 64])]
fn put_1_kib_distinct_paths(bencher: Bencher<'_, '_>, writers: u64) {
    puts(bencher, writers, |writer, number| name(writer * 1_000_000 + number));
}

/// What the disk itself can do: one page appended and synced.
#[divan::bench]
fn floor_one_synced_page(bencher: Bencher<'_, '_>) {
    use std::io::Write as _;
    let mut file = tempfile::tempfile_in(env!("CARGO_TARGET_TMPDIR")).expect("a file");
    bencher.counter(ItemsCount::new(1_u32)).bench_local(|| {
        file.write_all(&[0; 4096]).expect("room on the disk");
        file.sync_data().expect("a sync");
    });
}

/// What the list of versions costs a read.
#[divan::bench(args = [10, 100, 1_000])]
fn get_1_kib_of_a_path_with_versions(bencher: Bencher<'_, '_>, versions: u32) {
    let key = RootKey::from_bytes(&[7; 32]).expect("a valid key");
    let max_versions = NonZeroU32::new(versions).expect("not zero");
    let options = Options { max_versions, read_cache: 0, ..Options::default() };
    let store = Store::create(&Home::Memory, &key, &options, NOON).expect("a new store");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime").block_on(async {
        for _ in 0..versions {
            put(&store, &name(0)).await;
        }
    });
    let path = name(0);
    bencher.bench(|| store.get(&path, Selector::Current).expect("a read"));
}
