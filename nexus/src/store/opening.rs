//! What an attempt to open a store may make. Whoever has looked at the files decides it, and the store keeps to that, whatever
//! happens to the files between the look and the act: a directory that is renamed or unmounted for a moment is not empty.

use spike_crypto::RootKey;
use spike_domain::UnixNanos;

use super::error::StoreError;
use super::files::Files;
use super::format::keyring::ENCRYPTIONS_PER_KEY;
use super::home::Home;
use super::options::Options;
use super::sqlite::create;
use super::{Import, Store};

/// What is expected in the directory of a store. In memory there is nothing to expect, and every store is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// A store. It is opened; nothing is made in its place.
    Existing,
    /// A database of upstream, and no store. A store is made of it.
    Import,
    /// Nothing. A new and empty store is made, which somebody has permitted.
    New,
}

/// A store that was not opened.
#[derive(Debug)]
pub struct Unopened {
    /// Why.
    pub error: StoreError,
    /// Whether the attempt came so far that it may have changed the files. Before that, it changes no more than a journal does
    /// that an interrupted transaction has left.
    pub may_have_written: bool,
}

impl Store {
    /// Whether there is a store at `home`, or a database of upstream that can be imported. Either verifies a root key. A place
    /// that cannot be read counts as a store. So does a database of upstream without a single row, although it verifies no key.
    pub fn exists(home: &Home) -> bool {
        match home {
            Home::File(directory) => create::exists(directory) || spike_import::exists(directory),
            Home::Memory => false,
        }
    }

    /// Opens the store at `home`, and imports a database of upstream that is there if the store is empty:
    /// [`import`](Self::import) returns the result. Blocks while the disk works.
    ///
    /// `root` is used here only; the store keeps keys that are derived from it. If the store, or the database to import,
    /// belongs to another key, no byte of either is changed.
    ///
    /// # Errors
    /// [`StoreError`] names the file, the problem, or the key that it belongs to. [`StoreError::Missing`]: there is no store.
    pub fn open(
        home: &Home,
        root: &RootKey,
        options: &Options,
        now: UnixNanos,
    ) -> Result<Self, StoreError> {
        Self::attempt(home, root, options, (Opening::Existing, None), now)
            .map_err(|unopened| unopened.error)
    }

    /// Makes a new and empty store at `home`, under any key. Blocks while the disk works.
    ///
    /// # Errors
    /// [`StoreError::Exists`]: there is a store, or a database of upstream. Any other error of [`open`](Self::open).
    pub fn create(
        home: &Home,
        root: &RootKey,
        options: &Options,
        now: UnixNanos,
    ) -> Result<Self, StoreError> {
        Self::attempt(home, root, options, (Opening::New, None), now)
            .map_err(|unopened| unopened.error)
    }

    /// As [`open`](Self::open) or [`create`](Self::create), and if that fails, whether it may have changed the files. `seen`: a store
    /// that is there is opened only if its files are these; `None`: as they are.
    ///
    /// # Errors
    /// [`Unopened`].
    pub fn attempt(
        home: &Home,
        root: &RootKey,
        options: &Options,
        (opening, seen): (Opening, Option<&Files>),
        now: UnixNanos,
    ) -> Result<Self, Unopened> {
        let expected = (opening, seen);
        Self::open_with_key_limit(home, root, options, expected, ENCRYPTIONS_PER_KEY, now)
    }

    /// What opening did with the data of upstream, to be logged and shown.
    pub const fn import(&self) -> &Import {
        &self.import
    }
}
