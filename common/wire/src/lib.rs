//! The wire: paths, actions and JSON bodies of every route of Nexus and Keeper.
//!
//! Owned here: which request means which operation ([`Operation`], [`KeeperOperation`]), the body of each request and
//! answer in both directions, the error bodies. Daemons decode requests and encode answers, clients the reverse, so each
//! body has one definition.
//!
//! Left to others: connections and headers (`spike-mtls`, the daemons' routes), who may do what, the order of checks, and
//! whether a share or a pattern is any good. Decoding checks the *form* of a body only, since upstream answers 400 for
//! a malformed body before it authorizes, and validates fields after (wire-api 4.3).
//!
//! Each body is declared once, with the macro of `body`: its fields and their keys. Bodies are read as Go's
//! `encoding/json` reads them (wire-api 4.2); what that means in detail is said in `go_json`.
//!
//! This is the only crate that turns a secret into JSON: into buffers that are sized before they are filled and wiped
//! when the last reference goes.

#[macro_use]
mod body;
#[macro_use]
mod calls;
#[macro_use]
mod table;

mod any_operation;
mod bootstrap;
mod check_status;
mod cipher;
#[cfg(any(test, feature = "fuzzing"))]
mod declared;
mod empty;
mod error;
mod explain;
mod go_json;
mod keeper;
mod keeper_operation;
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
pub use bootstrap::*;
pub use calls::Call;
pub use check_status::*;
pub use cipher::*;
#[cfg(any(test, feature = "fuzzing"))]
pub use declared::bodies;
pub use empty::*;
pub use error::{ErrorCode, ErrorReply, PeerErrorCode, ReplyError, fallback_error_body};
pub use explain::*;
pub use go_json::{JsonError, MAX_DEPTH, SecretBytes, SecretStr, SecretText, SecretValues};
pub use keeper::*;
pub use keeper_operation::KeeperOperation;
pub use metadata::*;
pub use not_ready::NotReady;
pub use operation::{Operation, call};
pub use operator::*;
pub use percent::percent_decoded;
pub use policy::*;
pub use rule::{Needs, Rule};
pub use secret::*;
pub use shard::{SHARD_LEN, Shard};
pub use status::*;
pub use store_status::*;
pub use stream::{
    DECRYPTION_FAILED, NONCE_LEN, STREAM_CONTENT_TYPE, STREAM_HEADER_LEN, StreamCiphertext,
    WRITTEN_VERSION, is_readable_version,
};
pub use target::{clean_path, decode_path};
pub use timestamp::{ZERO_TIME, format_timestamp, parse_timestamp};
