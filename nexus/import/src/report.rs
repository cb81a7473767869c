//! The report of an import: what was imported, and every row that was not, by name.

use std::fmt;
use std::path::Path;

use crate::error::ImportError;
use crate::recognise::Generation;

/// The result of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportReport {
    /// Which releases write such a database.
    pub generation: Generation,
    /// Imported paths.
    pub secrets: u64,
    /// Imported versions, including deleted ones.
    pub versions: u64,
    /// Imported policies.
    pub policies: u64,
    /// Every row that was left out.
    pub refused: Vec<Finding>,
    /// Rows that were imported with a difference from what upstream shows.
    pub changed: Vec<Finding>,
}

/// One row of upstream's database, and the remark about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Upstream's table.
    pub table: &'static str,
    /// The path, with the version if there is one, or the policy name.
    pub key: String,
    /// The reason.
    pub reason: Reason,
}

/// Why a row was left out, or what is different about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Left out.
    #[error("its name is no text")]
    NoName,
    /// Left out: such a path can be neither read nor deleted.
    #[error("{0}")]
    Path(String),
    /// Left out: the number is not 1 or higher, or is used twice.
    #[error("its version number cannot be one")]
    Number,
    /// Left out.
    #[error("its nonce does not have 12 bytes")]
    Nonce,
    /// Left out: it was changed, or written under another key.
    #[error("it does not decrypt under the root key")]
    Undecryptable,
    /// Left out: the plaintext is not a set of named texts.
    #[error("its content is not of the form that upstream writes")]
    Content,
    /// Left out: upstream does not show versions whose path is not listed.
    #[error("no row of secret_metadata belongs to it")]
    Orphan,
    /// Left out: names are unique here, and a policy of that name changed later.
    #[error("a newer policy has the same name")]
    Namesake,
    /// Left out: anybody who can write the file could have written it.
    #[error("its patterns are in clear, so nothing proves who wrote them; put it again")]
    Clear,
    /// Left out by upstream: the current version is missing, and an older one would be served in its place.
    #[error("it is the current version and is not there; an older one takes its place")]
    Missing,
    /// Imported, so that it can be seen and corrected, but it does not have the effect that it states.
    #[error("it allows nothing here, or less than it says: {0}")]
    Policy(String),
    /// Changed: the time of a version is set to 1970-01-01, that of a path to the time of its versions.
    #[error("a time in it cannot be read and was replaced")]
    Time,
    /// Changed: the limit is the default for new paths, but not lower than the number of versions.
    #[error("its limit on versions cannot be read and was replaced")]
    Limit,
    /// Changed: the current version is the highest live one.
    #[error("its current version was {was} and is {is}, the highest one that is not deleted")]
    Current {
        /// The number in upstream's database; 0 for none.
        was: i64,
        /// The number here; 0 for none.
        is: i64,
    },
}

/// The most left-out rows in the list.
const LISTED: usize = 100;

/// The advice about the root key after an import: upstream's nonces repeat (F13), and its rows are not bound (F14).
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

    /// The error that stops an import because rows would be left out.
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

    /// Logs it: one line, and one for each row that was left out or changed.
    pub fn log(&self) {
        // An operator must know of a change, and levels below WARN are not shown by default.
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
