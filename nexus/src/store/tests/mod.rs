//! The store by its public calls, in both homes. `tampering.rs` and `files.rs` work on the file itself.

mod batches;
mod database;
mod engine;
pub(super) mod faults;
mod files;
mod golden;
mod import;
mod log;
mod losses;
mod migration;
mod opening;
mod others;
mod outcomes;
mod place;
mod policies;
mod sealed;
mod secrets;
mod tampering;
mod words;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use spike_domain::{SecretPath, Selector};
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::*;

const NOON: UnixNanos = 1_800_000_000_000_000_000;
const MINUTE: UnixNanos = 60_000_000_000;

/// A store with its directory.
struct Fixture {
    store: Store,
    directory: Option<TempDir>,
    options: Options,
}

/// What somebody expects who has just looked, and may make a new store. Any files will do.
fn opening_at(home: &Home) -> (Opening, Option<&'static Files>) {
    let opening = match home {
        Home::File(directory) if create::exists(directory) => Opening::Existing,
        Home::File(directory) if spike_import::exists(directory) => Opening::Import,
        Home::File(_) | Home::Memory => Opening::New,
    };
    (opening, None)
}

impl Store {
    pub(crate) fn open_or_create(
        home: &Home,
        root: &RootKey,
        options: &Options,
        now: UnixNanos,
    ) -> Result<Self, StoreError> {
        let attempted = Self::attempt(home, root, options, opening_at(home), now);
        attempted.map_err(|unopened| unopened.error)
    }
}

/// A fixed root key.
fn root_key(fill: u8) -> RootKey {
    RootKey::from_bytes(&[fill; 32]).unwrap()
}

fn path(text: &str) -> SecretPath {
    SecretPath::parse(text).unwrap()
}

fn value(text: &str) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(text.as_bytes().to_vec())
}

fn options() -> Options {
    Options { readers: NonZeroUsize::new(2).unwrap(), ..Options::default() }
}

fn in_file(options: Options) -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let home = Home::File(directory.path().to_owned());
    let store = Store::open_or_create(&home, &root_key(1), &options, NOON).unwrap();
    Fixture { store, directory: Some(directory), options }
}

fn in_memory(options: Options) -> Fixture {
    let store = Store::open_or_create(&Home::Memory, &root_key(1), &options, NOON).unwrap();
    Fixture { store, directory: None, options }
}

/// Every kind of home. The tests run in each.
fn homes(options: &Options) -> Vec<Fixture> {
    let mut homes = vec![in_memory(options.clone())];
    for journal_mode in
        [JournalMode::Wal, JournalMode::Delete, JournalMode::Truncate, JournalMode::Persist]
    {
        homes.push(in_file(Options { journal_mode, ..options.clone() }));
    }
    homes
}

impl Fixture {
    fn directory(&self) -> &Path {
        self.directory.as_ref().unwrap().path()
    }

    fn file(&self) -> PathBuf {
        self.directory().join("nexus.db")
    }

    /// Closes the store and opens it again.
    async fn reopened(self) -> Self {
        self.store.close().await.unwrap();
        self.opened_again()
    }

    /// Opens the store again after its last user has dropped it.
    fn opened_again(self) -> Self {
        let Self { store, directory, options } = self;
        drop(store);
        let home = Home::File(directory.as_ref().unwrap().path().to_owned());
        let store = Store::open_or_create(&home, &root_key(1), &options, NOON).unwrap();
        Self { store, directory, options }
    }

    async fn put(&self, name: &str, text: &str) -> i64 {
        self.store.put(&path(name), value(text), NOON).await.unwrap()
    }

    fn get(&self, name: &str, version: i64) -> Option<String> {
        let value = self.store.get(&path(name), Selector::from(version)).unwrap()?;
        Some(String::from_utf8(value.to_vec()).unwrap())
    }

    fn numbers(&self, name: &str) -> Vec<i64> {
        let history = self.store.metadata(&path(name)).unwrap().unwrap();
        history.versions().iter().map(|version| version.number).collect()
    }
}

fn selectors(numbers: &[i64]) -> Vec<Selector> {
    numbers.iter().copied().map(Selector::from).collect()
}
