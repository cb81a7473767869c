//! How Nexus and its Keepers are, for an operator. Ours: upstream has no such route.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{ReplyError, StoreStatus, ours};

/// The state of one Nexus.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StatusResponse {
    /// The version of Nexus.
    pub version: String,
    /// Whether the root key is missing.
    pub sealed: bool,
    /// Why it is missing; or why Nexus is not ready all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What lies in the data directory, while the root key is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<DataKind>,
    /// `sqlite`, `lite` or `memory`.
    pub backend: String,
    /// A name for the root key that is safe to show; two parties that show the same have the same key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_key: Option<String>,
    /// The number of the data key that encrypts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_key: Option<u32>,
    /// Shares of the root key; 0 on the memory backend.
    pub shares: u16,
    /// Shares that rebuild it.
    pub threshold: u16,
    /// Keepers that may still be lost before a restarted Nexus needs an operator; negative when it would need one now.
    /// Missing as well while Keepers hold shares that nothing can judge, because Nexus is sealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub margin: Option<i64>,
    /// Every Keeper, in the order of the shares.
    pub keepers: Vec<KeeperStatus>,
    /// When recovery shares were last taken out, RFC 3339; never, where it is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_export: Option<String>,
    /// The store, where there is one and it is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreStatus>,
    /// What else is wrong with this process, one entry for each trouble.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub troubles: Vec<String>,
}

/// The state of one Keeper, as Nexus sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeeperStatus {
    /// The index of its share.
    pub index: u16,
    /// Its address.
    pub url: String,
    /// How it is.
    pub state: KeeperStatusKind,
    /// Since when, RFC 3339.
    pub since: String,
    /// When it was last asked, or given its share, RFC 3339; never yet, where it is missing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub looked: Option<String>,
    /// How many looks in a row have not found its share of the key in use.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub failures: u32,
    /// More words, where there are any. From the network: not fit for a terminal as it is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
}

/// How a Keeper is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeeperStatusKind {
    /// Not asked yet.
    Unknown,
    /// It does not answer.
    Unreachable,
    /// It answers, and holds no share.
    Empty,
    /// It sent something that is no share.
    Unusable,
    /// It holds a share, and there is no key to judge it by.
    Unjudged,
    /// It holds its share of the key in use.
    Good,
    /// It holds a share of another key.
    Foreign,
    /// It takes its share, answers that it has it, and then does not give it back.
    Forgetful,
}

/// What Nexus knows before it has a root key, for Bootstrap: what a new key would take the place of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SurveyResponse {
    /// Whether the root key is missing.
    pub sealed: bool,
    /// Why it is missing. From the network: not fit for a terminal as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether a root key is here that is put to use once Bootstrap has proved it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub awaits_proof: bool,
    /// `sqlite`, `lite` or `memory`.
    pub backend: String,
    /// What lies in the data directory.
    pub data: DataKind,
    /// The data directory, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// Every Keeper, in the order of the shares, as it answered to this question.
    pub keepers: Vec<KeeperStatus>,
}

/// What lies in the data directory of a Nexus, whether it can be opened or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DataKind {
    /// No data, or a backend that keeps none.
    None,
    /// A database of ours, or what is left of one.
    Ours,
    /// A database of upstream, which is not taken in yet.
    Upstream,
    /// Something may be there: the directory cannot be looked at. An answer that does not say counts as this.
    #[default]
    Unreadable,
}

impl SurveyResponse {
    /// Reads the body of a 200.
    ///
    /// # Errors
    /// [`ReplyError`] when it is malformed.
    pub fn decode(body: &[u8]) -> Result<Self, ReplyError> {
        ours::reply(body)
    }

    /// The body to send.
    pub fn encode(&self) -> Bytes {
        ours::encode(self)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out a reference")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl StatusResponse {
    /// Reads the body of a 200.
    ///
    /// # Errors
    /// [`ReplyError`] when it is malformed.
    pub fn decode(body: &[u8]) -> Result<Self, ReplyError> {
        ours::reply(body)
    }

    /// The body to send.
    pub fn encode(&self) -> Bytes {
        ours::encode(self)
    }
}
