//! Questions about policies: why, who, and what an author may not have meant. Ours: upstream has no such routes.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{JsonError, ReplyError, ours};

/// Why may, or may not, somebody do something?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainRequest {
    /// Whose request it would be.
    pub spiffe_id: String,
    /// The path that it would be about.
    pub path: String,
    /// The word of the permission.
    pub permission: String,
}

/// The answer, and how near the policies came that do not allow it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExplainResponse {
    /// The answer.
    pub allowed: bool,
    /// The policy that allows it. Others may as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The built-in role that decides, whatever the policies say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The policies that came nearest, best first; none where it is allowed.
    pub near_misses: Vec<NearMiss>,
    /// How many policies there are.
    pub policies: usize,
    /// How many of them cannot be read, and allow nothing.
    pub unusable: usize,
}

/// A policy that does not allow it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NearMiss {
    /// Its name.
    pub name: String,
    /// Its SPIFFE ID pattern.
    pub spiffeid_pattern: String,
    /// Its path pattern.
    pub path_pattern: String,
    /// The parts that fail, in words.
    pub failed: Vec<String>,
    /// The smallest changes that would make them hold, in words.
    pub suggestions: Vec<String>,
}

/// Who may do something to a path?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WhoCanRequest {
    /// The path.
    pub path: String,
    /// The word of the permission.
    pub permission: String,
}

/// Everybody who may.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WhoCanResponse {
    /// The SPIFFE IDs of the roles that may without a policy; what lies below them may, too.
    pub roles: Vec<String>,
    /// Whom policies let, in the order of the policies' names.
    pub grantees: Vec<Grantee>,
}

/// Whom one policy lets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Grantee {
    /// The policy.
    pub policy: String,
    /// Whoever has a SPIFFE ID that this matches.
    pub spiffeid_pattern: String,
}

/// What the stored policies may not mean to say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LintResponse {
    /// Every finding, in the order of the policies' names.
    pub findings: Vec<LintFinding>,
    /// How many policies were looked at.
    pub policies: usize,
}

/// One thing that an author may not have meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LintFinding {
    /// The policy.
    pub policy: String,
    /// A name for this kind of finding.
    pub code: String,
    /// How bad it is: `error`, `warning` or `notice`.
    pub severity: String,
    /// The field that it is about.
    pub field: String,
    /// What is found.
    pub message: String,
    /// What to do about it.
    pub fix: String,
    /// What to put into the field instead, where that can be said.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub replacement: Option<String>,
}

impl ExplainRequest {
    /// Reads the body.
    ///
    /// # Errors
    /// [`JsonError`] when it is malformed.
    pub fn decode(body: &[u8]) -> Result<Self, JsonError> {
        ours::request(body)
    }

    /// The body to send.
    pub fn encode(&self) -> Bytes {
        ours::encode(self)
    }
}

impl WhoCanRequest {
    /// Reads the body.
    ///
    /// # Errors
    /// [`JsonError`] when it is malformed.
    pub fn decode(body: &[u8]) -> Result<Self, JsonError> {
        ours::request(body)
    }

    /// The body to send.
    pub fn encode(&self) -> Bytes {
        ours::encode(self)
    }
}

impl ExplainResponse {
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

impl WhoCanResponse {
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

impl LintResponse {
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
