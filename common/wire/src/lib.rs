//! The wire: paths, actions and JSON bodies of every route of Nexus and Keeper.
//!
//! This crate owns the mapping from requests to operations ([`Operation`], [`KeeperOperation`]), the bodies of requests
//! and answers in both directions, and error bodies. Daemons decode requests and encode answers, clients the reverse;
//! each body has one definition.
//!
//! Others own connections and headers (`spike-mtls`, `spike-daemon`), permissions, the order of checks, and the
//! validity of shares and patterns. Decoding checks only the *form* of a body: upstream answers 400 for a malformed
//! body before it authorizes, and validates fields after that (wire-api 4.3).
//!
//! Each body is declared once, with the macro of `body`: its fields and their keys. Bodies are read as Go's
//! `encoding/json` reads them (wire-api 4.2); `go_json` has the details.
//!
//! This is the only crate that turns a secret into JSON. Its buffers are sized before they are filled, and wiped with
//! their last reference.

#[macro_use]
mod body;

mod any_operation;
mod bootstrap;
pub mod call;
mod cipher;
mod empty;
mod error;
mod explain;
mod go_json;
mod keeper;
mod metadata;
mod not_ready;
mod operation;
mod operator;
mod percent;
mod policy;
mod route;
mod rule;
mod secret;
mod shard;
mod status;
mod store_status;
mod stream;
mod target;
mod timestamp;

#[cfg(test)]
mod tests;

pub use any_operation::AnyOperation;
#[cfg(any(test, feature = "fuzzing"))]
pub use body::{Body, BodyKind};
pub use bootstrap::{VerifyRequest, VerifyResponse};
pub use call::{Call, Subject};
pub use cipher::{DecryptRequest, DecryptResponse, EncryptRequest, EncryptResponse};
pub use empty::{EmptyRequest, EmptyResponse};
pub use error::{ErrorCode, ErrorReply, PeerErrorCode, ReplyError, fallback_error_body};
pub use explain::{
    ExplainRequest, ExplainResponse, Grantee, LintFinding, LintResponse, NearMiss, WhoCanRequest,
    WhoCanResponse,
};
pub use go_json::{JsonError, MAX_DEPTH, SecretBytes, SecretText, SecretValues};
pub use keeper::{ContributeRequest, KeeperStatusResponse, ShardResponse};
pub use metadata::{
    SecretMetadata, SecretMetadataRequest, SecretMetadataResponse, VersionMetadata,
};
pub use not_ready::NotReady;
pub use operation::{KeeperOperation, Operation};
pub use operator::{RecoverResponse, RestoreRequest, RestoreResponse};
pub use percent::percent_decoded;
pub use policy::{
    Policy, PolicyListRequest, PolicyListResponse, PolicyNameRequest, PolicyPutRequest,
    PolicyPutResponse,
};
pub use rule::{Needs, Rule};
pub use secret::{
    SecretGetRequest, SecretGetResponse, SecretListRequest, SecretListResponse, SecretPutRequest,
    SecretVersionsRequest,
};
pub use shard::{SHARD_LEN, Shard};
pub use status::{DataKind, KeeperStatus, KeeperStatusKind, StatusResponse, SurveyResponse};
pub use store_status::{ImportStatus, StoreStatus};
pub use stream::{
    DECRYPTION_FAILED, NONCE_LEN, STREAM_CONTENT_TYPE, STREAM_HEADER_LEN, StreamCiphertext,
    WRITTEN_VERSION, is_readable_version,
};
pub use target::{clean_path, decode_path};
pub use timestamp::{ZERO_TIME, format_timestamp, parse_timestamp};

/// The declarations of all bodies and their parts.
#[cfg(any(test, feature = "fuzzing"))]
pub fn bodies() -> impl Iterator<Item = &'static Body> {
    let declared = [
        bootstrap::BODIES,
        cipher::BODIES,
        empty::BODIES,
        explain::BODIES,
        keeper::BODIES,
        metadata::BODIES,
        operator::BODIES,
        policy::BODIES,
        secret::BODIES,
        status::BODIES,
        store_status::BODIES,
    ];
    declared.into_iter().flatten()
}
