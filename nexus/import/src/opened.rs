//! A database of upstream with what it takes to read its rows.

use spike_crypto::RootCipher;

use crate::error::ImportError;
use crate::files::{Copy, Upstream};
use crate::recognise::Form;

/// A copy of the database, what it is, and the key that its rows were encrypted under.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) upstream: Upstream,
    pub(crate) copy: Copy,
    pub(crate) form: Form,
    pub(crate) cipher: RootCipher,
}

impl Opened {
    /// Names the file where reading it failed.
    pub(crate) fn fault(&self, error: &rusqlite::Error) -> ImportError {
        self.upstream.fault(error)
    }
}
