//! What an import tells: what came in, and every row that did not, by name.

use std::fmt;
use std::path::Path;

use crate::error::ImportError;
use crate::recognise::Generation;

/// What came in, and what did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportReport {
    /// Which releases write such a database.
    pub generation: Generation,
    /// Paths that came in.
    pub secrets: u64,
    /// Versions that came in, deleted ones too.
    pub versions: u64,
    /// Policies that came in.
    pub policies: u64,
    /// Every row that was left out.
    pub refused: Vec<Finding>,
    /// Rows that came in and are not shown as upstream shows them.
    pub changed: Vec<Finding>,
}

/// One row of upstream's database, and what is to be said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Upstream's table.
    pub table: &'static str,
    /// The path, with the version where there is one, or the policy name.
    pub key: String,
    /// Why.
    pub reason: Reason,
}

/// Why a row was left out, or what is different about it now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Left out.
    #[error("its name is no text")]
    NoName,
    /// Left out: such a path can be neither read nor deleted.
    #[error("{0}")]
    Path(String),
    /// Left out: not a number from 1, or used twice.
    #[error("its version number cannot be one")]
    Number,
    /// Left out.
    #[error("its nonce does not have 12 bytes")]
    Nonce,
    /// Left out: it was changed, or written under another key.
    #[error("it does not decrypt under the root key")]
    Undecryptable,
    /// Left out: what it decrypts to is no set of named texts.
    #[error("its content is not of the form that upstream writes")]
    Content,
    /// Left out: upstream does not show versions whose path is not listed.
    #[error("no row of secret_metadata belongs to it")]
    Orphan,
    /// Left out: a policy of that name changed later, and names are unique now.
    #[error("a newer policy has the same name")]
    Namesake,
    /// Left out: whoever could write the file could have written it.
    #[error("its patterns are in clear, so nothing proves who wrote them; put it again")]
    Clear,
    /// Left out by upstream: what is current is not there, and an older version would be served in its place.
    #[error("it is the current version and is not there; an older one takes its place")]
    Missing,
    /// It comes in, so that it can be seen and put again, and does not do what it says.
    #[error("it allows nothing here, or less than it says: {0}")]
    Policy(String),
    /// Changed: a version's time reads 1970-01-01, a path's is that of its versions.
    #[error("a time in it cannot be read and was replaced")]
    Time,
    /// Changed: the limit is the default for new paths, but no lower than what is there.
    #[error("its limit on versions cannot be read and was replaced")]
    Limit,
    /// Changed: the current version is the highest live one.
    #[error("its current version was {was} and is {is}, the highest one that is not deleted")]
    Current {
        /// As upstream had it; 0 for none.
        was: i64,
        /// As it is now; 0 for none.
        is: i64,
    },
}

/// How many rows are listed that would be left out.
const LISTED: usize = 100;

/// What an import says about the root key: upstream's nonces repeat (F13), and its rows are bound to nothing (F14).
pub const NONCES_WERE_REUSED: &str = "the root key has encrypted upstream's database with repeated nonces: whoever has seen \
    spike.db can forge ciphertexts of the cipher API, and its rows open with /v1/cipher/decrypt. Destroy spike.db and \
    every copy of it once upstream is not needed any more";

impl ImportReport {
    pub(crate) const fn new(generation: Generation) -> Self {
        Self {
            generation,
            secrets: 0,
            versions: 0,
            policies: 0,
            refused: Vec::new(),
            changed: Vec::new(),
        }
    }

    /// The error that stops an import because of what would be left out.
    pub(crate) fn incomplete(&self, path: &Path) -> ImportError {
        let count = self.refused.len();
        let first: Vec<String> =
            self.refused.iter().take(LISTED).map(ToString::to_string).collect();
        ImportError::Incomplete { path: path.to_owned(), count, first }
    }

    pub(crate) fn refuse(&mut self, table: &'static str, key: impl Into<String>, reason: Reason) {
        self.refused.push(Finding { table, key: key.into(), reason });
    }

    pub(crate) fn change(&mut self, table: &'static str, key: impl Into<String>, reason: Reason) {
        self.changed.push(Finding { table, key: key.into(), reason });
    }

    /// Writes it to the log: one line, and one for each row that was left out or changed.
    pub fn log(&self) {
        // A change that a person must know of, and below WARN is not shown.
        tracing::warn!(
            generation = %self.generation,
            secrets = self.secrets,
            versions = self.versions,
            policies = self.policies,
            refused = self.refused.len(),
            advice = NONCES_WERE_REUSED,
            "upstream's database was imported; the file stays as it was"
        );
        for Finding { table, key, reason } in &self.refused {
            tracing::warn!(table, key, %reason, "a row of upstream's database was left out");
        }
        for Finding { table, key, reason } in &self.changed {
            tracing::warn!(table, key, %reason, "a row of upstream's database came in changed");
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}: {}", self.table, self.key, self.reason)
    }
}
