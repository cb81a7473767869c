//! An open database of upstream with what is needed to read its rows.

use spike_crypto::RootCipher;

use crate::error::ImportError;
use crate::files::{Copy, Upstream};
use crate::recognise::Form;

/// A copy of the database, its form, and the key of its rows.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) upstream: Upstream,
    pub(crate) copy: Copy,
    pub(crate) form: Form,
    pub(crate) cipher: RootCipher,
}

impl Opened {
    /// Adds the name of the file to an error of reading it.
    pub(crate) fn fault(&self, error: &rusqlite::Error) -> ImportError {
        self.upstream.fault(error)
    }
}
