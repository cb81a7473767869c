//! Errors on the wire: their codes, the error body of each operation, and how a client reads it.

use std::fmt;

use bytes::Bytes;
use http::StatusCode;

use super::go_json::{self, Field, JsonError};

mod registry;

/// The codes that servers send (wire-api 4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// No such route, a malformed body, an invalid field, or a Keeper without a share.
    ApiBadRequest,
    /// No usable peer ID, or no permission.
    AccessUnauthorized,
    /// No such secret, version or policy.
    ApiNotFound,
    /// A failure of the server.
    ApiInternalError,
    /// There is no root key yet.
    StateNotReady,
    /// A policy of this name exists and the request excluded replacing it; or a Keeper holds another share than
    /// Bootstrap's. Upstream never sends this.
    EntityExists,
    /// Raw decryption, as text: an empty body.
    CryptoFailedToReadVersion,
    /// Raw decryption, as text: an unknown version byte.
    CryptoUnsupportedVersion,
    /// Raw decryption, as text: fewer bytes than a nonce.
    CryptoFailedToReadNonce,
    /// As text: the body could not be read from the connection.
    DataReadFailure,
    /// Raw cipher, as text: there is no key.
    CryptoCipherNotAvailable,
    /// Raw encryption, as text: no random nonce could be drawn.
    CryptoNonceGenerationFailed,
}

impl ErrorCode {
    /// The string on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ApiBadRequest => "api_bad_request",
            Self::AccessUnauthorized => "access_unauthorized",
            Self::ApiNotFound => "api_not_found",
            Self::ApiInternalError => "api_internal_error",
            Self::StateNotReady => "state_not_ready",
            Self::EntityExists => "entity_exists",
            Self::CryptoFailedToReadVersion => "crypto_failed_to_read_version",
            Self::CryptoUnsupportedVersion => "crypto_unsupported_version",
            Self::CryptoFailedToReadNonce => "crypto_failed_to_read_nonce",
            Self::DataReadFailure => "data_read_failure",
            Self::CryptoCipherNotAvailable => "crypto_cipher_not_available",
            Self::CryptoNonceGenerationFailed => "crypto_nonce_generation_failed",
        }
    }

    /// The status of the code. 403 is never used.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::ApiBadRequest
            | Self::CryptoFailedToReadVersion
            | Self::CryptoUnsupportedVersion
            | Self::CryptoFailedToReadNonce
            | Self::DataReadFailure => StatusCode::BAD_REQUEST,
            Self::AccessUnauthorized => StatusCode::UNAUTHORIZED,
            Self::ApiNotFound => StatusCode::NOT_FOUND,
            Self::EntityExists => StatusCode::CONFLICT,
            Self::ApiInternalError
            | Self::CryptoCipherNotAvailable
            | Self::CryptoNonceGenerationFailed => StatusCode::INTERNAL_SERVER_ERROR,
            Self::StateNotReady => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A code from a peer, perhaps unknown to this release.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PeerErrorCode(String);

impl PeerErrorCode {
    /// The replacement for text that is not a code.
    const GENERAL_FAILURE: &str = "gen_general_failure";
    const MAX_LEN: usize = 64;

    /// Reads a code. Anything but 1 to 64 bytes of `[a-z0-9_]` becomes `gen_general_failure`, so that a peer cannot
    /// control logs and terminals with it.
    pub fn parse(text: &str) -> Self {
        let known_shape = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
        let well_formed =
            (1..=Self::MAX_LEN).contains(&text.len()) && text.bytes().all(known_shape);
        Self(if well_formed { text } else { Self::GENERAL_FAILURE }.to_owned())
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether upstream's SDK 0.19.9 knows the code. It treats any other as `gen_general_failure`.
    pub fn is_registered(&self) -> bool {
        registry::CODES.contains(&self.0.as_str())
    }
}

impl PartialEq<ErrorCode> for PeerErrorCode {
    fn eq(&self, code: &ErrorCode) -> bool {
        self.0 == code.as_str()
    }
}

impl fmt::Display for PeerErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why the body of a 200 is not a valid answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// Not valid JSON of its form.
    #[error("unreadable answer")]
    Malformed(#[from] JsonError),
    /// It contains an error code. No known server does that, but the SDK checks.
    #[error("the answer says {0}")]
    Refused(PeerErrorCode),
}

/// The contents of the body of an answer other than 200. The status decides; this adds to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorReply {
    /// The code, if there is one.
    pub code: Option<PeerErrorCode>,
    /// The server's explanation for people, if any. It comes from the network: escape it before it is printed.
    pub reason: Option<String>,
}

impl ErrorReply {
    /// Reads the error body of any operation. An invalid body gives neither code nor reason.
    pub fn decode(body: &[u8]) -> Self {
        let (mut code, mut reason) = (String::new(), String::new());
        let outcome = go_json::decode_object(body, |key, value| {
            if key.is("err") {
                code.read(value)
            } else if key.is("reason") {
                reason.read(value)
            } else {
                value.skip()
            }
        });
        if outcome.is_err() {
            return Self::default();
        }
        Self {
            code: (!code.is_empty()).then(|| PeerErrorCode::parse(&code)),
            reason: (!reason.is_empty()).then_some(reason),
        }
    }
}

/// The error body of an operation: its answer with the code and every other field at zero (wire-api 4.4).
#[derive(Clone, Copy, Debug)]
pub(super) struct ErrorFrame {
    head: &'static str,
    key: &'static str,
}

impl ErrorFrame {
    pub(super) const PLAIN: Self = Self::after("{");
    /// Only here the key has a capital letter.
    pub(super) const SHARD: Self = Self { head: r#"{"shard":null,"#, key: "Err" };
    pub(super) const METADATA: Self = Self::after(concat!(
        r#"{"metadata":{"currentVersion":0,"oldestVersion":0,"createdTime":"0001-01-01T00:00:00Z","#,
        r#""updatedTime":"0001-01-01T00:00:00Z","maxVersions":0},"#,
    ));
    pub(super) const POLICY: Self = Self::after(concat!(
        r#"{"id":"","name":"","spiffiedPattern":"","pathPattern":"","permissions":null,"#,
        r#""createdAt":"0001-01-01T00:00:00Z","updatedAt":"0001-01-01T00:00:00Z","#,
    ));

    pub(super) const fn after(head: &'static str) -> Self {
        Self { head, key: "err" }
    }

    pub(super) fn body(self, code: ErrorCode, reason: Option<&str>) -> Bytes {
        go_json::body(|out| {
            out.put(self.head.as_bytes());
            out.name(self.key).text(code.as_str());
            if let Some(reason) = reason {
                out.name("reason").text(reason);
            }
            out.put(b"}");
        })
    }
}

/// The error body if no operation was recognized, or the server is not ready, perhaps with a sentence for people.
pub fn fallback_error_body(code: ErrorCode, reason: Option<&str>) -> Bytes {
    ErrorFrame::PLAIN.body(code, reason)
}
