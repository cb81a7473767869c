//! The errors of requests, and the one table that maps them to the wire.

use std::time::Duration;

use http::StatusCode;
use spike_crypto::RandomError;
use spike_daemon::{
    audit::AuditError,
    http::{BodyError, FrameError},
    process::chain,
};
use spike_domain::PathError;
use spike_wire::{ErrorCode, JsonError, NotReady};

use crate::{keys::quorum::RestoreError, policy::PolicyError, store::StoreError};

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such path, action or method; or an operation that this backend does not have.
    #[error("no such route")]
    NoSuchRoute,
    /// The body is not what the route reads.
    #[error("malformed body: {0}")]
    Malformed(#[from] JsonError),
    /// The frame of requests refused it: a limit, a budget, or the identity of the peer.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The body exceeds the limit of the cipher, so the plaintext or ciphertext does too. Not 413, because upstream's SDK takes
    /// 413 for a server that it cannot reach.
    #[error("body: {0}, by SPIKE_NEXUS_CRYPTO_MAX_CIPHERTEXT_SIZE of SPIKE Nexus")]
    TooLargeToCipher(BodyError),
    /// The peer may not do this. It learns nothing more.
    #[error("unauthorized: {0}")]
    Denied(String),
    /// A field has a value that is not allowed.
    #[error("{field}: {reason}")]
    Invalid {
        /// The field of the body.
        field: &'static str,
        /// The rule that was broken. Never the value of a secret.
        reason: String,
    },
    /// No such secret or version, or the version is deleted, or there is nothing to undelete.
    #[error("not found")]
    NotFound,
    /// The memory backend makes its own key: there are no shares to take out or to feed back.
    #[error("the memory backend has no recovery shares")]
    NoShares,
    /// Recovery shares were asked for before there was a key. Upstream answers 500 here, not 503 (wire-api 15, row 31).
    #[error("there is no root key yet: {1}")]
    NothingToRecover(NotReady, String),
    /// A recovery share was not accepted.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// The ciphertext was not encrypted under the root key.
    #[error("decryption failed: another root key, or altered data")]
    Undecryptable,
    /// There is a policy of that name, and the request asked to make a new one.
    #[error("there is a policy of that name")]
    PolicyExists,
    /// The operating system gave no random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// No root key yet.
    #[error("not ready: {0}")]
    NotReady(String),
    /// Shares of the root key are there, and the store cannot be opened.
    #[error("not ready: {0}")]
    StoreUnopened(String),
    /// This process is about to end, and starts nothing new.
    #[error("this process is about to end")]
    Ending,
    /// There is too much work at once that takes long, of this SPIFFE ID or of all. [`Error::retry_after`] says when to try again.
    #[error("too much long work at once: try again in a moment")]
    Busy,
    /// Work over many policies or names did not end in time. Nothing was changed.
    #[error("it took longer than {budget:?} and was given up: {instead}")]
    TookTooLong {
        /// How long it may take.
        budget: Duration,
        /// What to request instead.
        instead: &'static str,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A read of the store did not return within this time. Nothing was changed.
    #[error(
        "the store has not answered within {0:?}: most likely its disk hangs, as a network file system does that is away. Look at the \
         disk of the data directory"
    )]
    StoreHangs(Duration),
    /// The audit log accepts no lines, and a change that cannot be logged is not made.
    #[error("nothing is changed while the audit log cannot be written: {0}")]
    Unrecordable(#[source] AuditError),
}

impl Error {
    /// The one table from errors to the wire.
    pub fn wire(&self) -> (StatusCode, ErrorCode) {
        if self.not_ready().is_some() {
            return (StatusCode::SERVICE_UNAVAILABLE, ErrorCode::StateNotReady);
        }
        match self {
            Self::Frame(error) => error.wire(),
            Self::NoSuchRoute
            | Self::Malformed(_)
            | Self::TooLargeToCipher(_)
            | Self::Invalid { .. }
            | Self::TookTooLong { .. }
            | Self::NoShares
            | Self::Undecryptable
            | Self::Restore(
                RestoreError::NotOfTheLiveKey { .. }
                | RestoreError::NotTogether { .. }
                | RestoreError::NotOfTheKeepers { .. }
                | RestoreError::WouldLose { .. }
                | RestoreError::NotCompared { .. }
                | RestoreError::OneAlone { .. }
                | RestoreError::NotAlike
                | RestoreError::WrongKey(_),
            ) => (StatusCode::BAD_REQUEST, ErrorCode::ApiBadRequest),
            Self::Busy => (StatusCode::TOO_MANY_REQUESTS, ErrorCode::StateNotReady),
            Self::Denied(_) => (StatusCode::UNAUTHORIZED, ErrorCode::AccessUnauthorized),
            Self::NotFound => (StatusCode::NOT_FOUND, ErrorCode::ApiNotFound),
            Self::PolicyExists => (StatusCode::CONFLICT, ErrorCode::EntityExists),
            Self::NotReady(_)
            | Self::StoreUnopened(_)
            | Self::Ending
            | Self::Store(_)
            | Self::StoreHangs(_)
            | Self::Unrecordable(_)
            | Self::Random(_)
            | Self::NothingToRecover(..)
            // The first has its own status above.
            | Self::Restore(RestoreError::Store(_) | RestoreError::Bug) => {
                (StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::ApiInternalError)
            }
        }
    }

    /// The error for an operator who requests recovery shares while there is no key.
    pub(crate) fn nothing_to_recover(self) -> Self {
        match self {
            Self::NotReady(reason) => Self::NothingToRecover(NotReady::Sealed, reason),
            Self::StoreUnopened(reason) => Self::NothingToRecover(NotReady::Store, reason),
            other => other,
        }
    }

    /// Whether the same request may succeed later, and what it waits for: the answer is 503.
    pub fn not_ready(&self) -> Option<NotReady> {
        match self {
            Self::NotReady(_) => Some(NotReady::Sealed),
            // The shares that were fed are kept.
            Self::StoreUnopened(_) | Self::Restore(RestoreError::Store(_)) => Some(NotReady::Store),
            Self::Ending | Self::Store(StoreError::Closed) => Some(NotReady::Ending),
            Self::StoreHangs(_) => Some(NotReady::Busy),
            Self::Store(error) => error.is_busy().then_some(NotReady::Busy),
            Self::Frame(error) => error.not_ready(),
            Self::NoSuchRoute
            | Self::Malformed(_)
            | Self::TooLargeToCipher(_)
            | Self::Denied(_)
            | Self::Invalid { .. }
            | Self::Busy
            | Self::TookTooLong { .. }
            | Self::NotFound
            | Self::NoShares
            | Self::NothingToRecover(..)
            | Self::Restore(_)
            | Self::Undecryptable
            | Self::PolicyExists
            | Self::Random(_)
            | Self::Unrecordable(_) => None,
        }
    }

    /// The reason, in words, for a peer that is allowed to know it.
    pub fn reason(&self) -> Option<String> {
        if let Self::Restore(error @ RestoreError::Store(_)) = self {
            return Some(format!("store: {}", chain(error)));
        }
        if let Self::StoreHangs(time) = self {
            return Some(format!(
                "busy: the disk of the store has not answered within {time:?}, and nothing was changed: try again, and have it looked at"
            ));
        }
        if let Some(not_ready) = self.not_ready() {
            return Some(not_ready.as_str().to_owned());
        }
        match self {
            Self::Invalid { .. }
            | Self::TooLargeToCipher(_)
            | Self::Busy
            | Self::TookTooLong { .. }
            | Self::NoShares
            | Self::Restore(_) => Some(chain(self)),
            Self::Frame(error) => error.reason(),
            Self::Store(error) if let Some(file) = error.changed_file() => Some(format!(
                "{file} was changed by another process while it was open: {}, and acknowledged writes may be lost; the log of Nexus \
                 says which, and what to do",
                match error {
                    StoreError::Stranded(_) => "this write may or may not be kept",
                    StoreError::DatabaseChanged { .. } => "nothing is read from it",
                    _ => "nothing was written",
                }
            )),
            // The writer must know that the write may be kept.
            Self::Store(
                error @ (StoreError::OutcomeUnknown(_)
                | StoreError::Stranded(_)
                | StoreError::WriterDied),
            ) => Some(error.to_string()),
            Self::Store(error) if error.is_disk_full() => {
                Some("the disk of the store is full; nothing was written".to_owned())
            }
            Self::Store(error) if error.is_misplaced() => Some(
                "a file of the store was removed or replaced while it was open; nothing was written".to_owned(),
            ),
            // The status is that of a fault, as upstream's; the reason says that it is none.
            Self::NothingToRecover(why, _) => Some(why.as_str().to_owned()),
            Self::NoSuchRoute
            | Self::Malformed(_)
            | Self::Denied(_)
            | Self::NotFound
            | Self::Undecryptable
            | Self::PolicyExists
            | Self::Random(_)
            | Self::NotReady(_)
            | Self::StoreUnopened(_)
            | Self::Ending
            | Self::Store(_)
            | Self::StoreHangs(_)
            | Self::Unrecordable(_) => None,
        }
    }

    /// After how many seconds the same request may succeed; `None` if waiting does not help.
    pub fn retry_after(&self) -> Option<u32> {
        match self {
            Self::Busy => Some(1),
            Self::Frame(error) => error.retry_after(),
            Self::NoSuchRoute
            | Self::Malformed(_)
            | Self::TooLargeToCipher(_)
            | Self::Denied(_)
            | Self::Invalid { .. }
            | Self::TookTooLong { .. }
            | Self::NotFound
            | Self::NoShares
            | Self::NothingToRecover(..)
            | Self::Restore(_)
            | Self::Undecryptable
            | Self::PolicyExists
            | Self::Random(_)
            | Self::NotReady(_)
            | Self::StoreUnopened(_)
            | Self::Ending
            | Self::Store(_)
            | Self::StoreHangs(_)
            | Self::Unrecordable(_) => None,
        }
    }
}

impl From<BodyError> for Error {
    fn from(error: BodyError) -> Self {
        Self::Frame(FrameError::Body(error))
    }
}

impl From<PathError> for Error {
    fn from(error: PathError) -> Self {
        Self::Invalid { field: "path", reason: error.to_string() }
    }
}

impl From<PolicyError> for Error {
    fn from(error: PolicyError) -> Self {
        Self::Invalid { field: "policy", reason: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use spike_mtls::budget::Over;

    use super::*;

    // A locked database was 500.
    /// It was answered with a code and nothing else, and what is to be done about it is known.
    #[test]
    fn a_write_that_the_disk_has_no_room_for_says_so_and_names_no_path() {
        let directory = std::path::PathBuf::from("/var/lib/spike/data");
        let path = directory.join("nexus.db");
        let (log, database) = (directory.join("nexus.db-wal"), directory.join("nexus.db"));
        let what = "it is not there".to_owned();
        for (error, part) in [
            (StoreError::Full { directory }, "the disk of the store is full"),
            (StoreError::Misplaced { path, what }, "removed or replaced"),
            (
                StoreError::LogChanged { path: log, what: "it is shorter", since: None },
                "was changed by another process while it was open: nothing was written",
            ),
            (
                StoreError::DatabaseChanged { path: database, since: 0 },
                "the database of the store was changed by another process while it was open: nothing was written",
            ),
        ] {
            let error = Error::from(StoreError::NotCommitted(Arc::new(error)));
            assert_eq!(error.wire().0, StatusCode::INTERNAL_SERVER_ERROR);
            let reason = error.reason().unwrap();
            assert!(reason.contains(part) && !reason.contains("/var"), "{reason}");
        }
    }

    #[test]
    fn what_was_not_done_and_may_be_tried_again_is_503_and_what_is_unknown_says_so() {
        for (error, word) in [
            (Error::NotReady("no shares".to_owned()), NotReady::Sealed),
            (Error::StoreUnopened("locked".to_owned()), NotReady::Store),
            (StoreError::Locked.into(), NotReady::Busy),
            (StoreError::TimedOut.into(), NotReady::Busy),
            (StoreError::NotCommitted(Arc::new(StoreError::Locked)).into(), NotReady::Busy),
            (StoreError::Closed.into(), NotReady::Ending),
            (Error::Ending, NotReady::Ending),
            (BodyError::Ending.into(), NotReady::Ending),
            (BodyError::Over(Over::All).into(), NotReady::Crowded),
            (FrameError::Over(Over::All).into(), NotReady::Crowded),
        ] {
            assert_eq!(error.wire().0, StatusCode::SERVICE_UNAVAILABLE, "{error}");
            assert_eq!(error.reason().as_deref(), Some(word.as_str()), "{error}");
        }
        let unknown = StoreError::OutcomeUnknown(Arc::new(rusqlite::Error::InvalidQuery));
        for error in [unknown, StoreError::WriterDied] {
            let error = Error::Store(error);
            assert_eq!(error.wire().0, StatusCode::INTERNAL_SERVER_ERROR, "{error}");
            assert!(error.reason().is_some_and(|reason| reason.contains("may or may not be kept")));
        }
    }

    // The answer said neither that Nexus is sealed nor anything else.
    #[test]
    fn recovery_shares_asked_for_while_sealed_are_500_as_upstream_answers_and_the_reason_says_sealed()
     {
        let error = Error::NothingToRecover(NotReady::Sealed, "1 of 2 shares".to_owned());
        assert_eq!(error.wire(), (StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::ApiInternalError));
        assert_eq!(error.reason().as_deref(), Some(NotReady::Sealed.as_str()));
    }

    #[test]
    fn whoever_is_over_its_own_limit_is_told_so_and_not_that_nexus_is_not_ready() {
        let after = Duration::from_secs(2);
        for (error, told, setting) in [
            (
                FrameError::Over(Over::Own),
                "this SPIFFE ID is at its limit",
                "SPIKE_HTTP_SERVER_MAX_REQUESTS_PER_ID",
            ),
            (
                FrameError::Body(BodyError::Over(Over::Own)),
                "this SPIFFE ID is at its limit",
                "SPIKE_HTTP_SERVER_MAX_MEMORY_PER_ID",
            ),
            (
                FrameError::DeniedTooOften { after },
                "denied too often: it may ask again in 3 s",
                "SPIKE_HTTP_SERVER_DENIALS_PER_SECOND",
            ),
        ] {
            let error = Error::Frame(error);
            assert_eq!(error.wire().0, StatusCode::TOO_MANY_REQUESTS, "{error}");
            assert_eq!(error.not_ready(), None, "{error}");
            let reason = error.reason().unwrap_or_default();
            assert!(reason.ends_with(&format!("{told} ({setting})")), "{reason}");
            assert_eq!(NotReady::of_reason(&reason), None, "{reason}");
        }
    }
    /// The answer told nothing, and `spike` told the default.
    #[test]
    fn a_body_that_is_too_large_is_told_with_the_limit_in_force() {
        let error = Error::Frame(FrameError::Body(BodyError::TooLarge { limit: 10_000 }));
        assert_eq!(error.wire().0, StatusCode::PAYLOAD_TOO_LARGE);
        let told = "the body is larger than 10000 bytes (SPIKE_HTTP_SERVER_MAX_BODY_SIZE)";
        assert_eq!(error.reason().as_deref(), Some(told));
    }
}
