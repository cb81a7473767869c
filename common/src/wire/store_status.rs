//! How the store of one Nexus is, as part of its status.

use serde::{Deserialize, Serialize};

/// The store, where it is open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StoreStatus {
    /// Size of the database file in bytes, and of the write-ahead log beside it; 0 in memory.
    pub bytes: u64,
    /// Size of the write-ahead log in bytes.
    pub log_bytes: u64,
    /// When the last write was committed, RFC 3339; missing: none since the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_commit: Option<String>,
    /// What is wrong with it, one entry for each trouble.
    pub troubles: Vec<String>,
    /// What was imported from upstream, if anything was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub import: Option<ImportStatus>,
}

/// A database of upstream that was imported.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ImportStatus {
    /// When, RFC 3339.
    pub at: String,
    /// SHA-256 of the file and of the log beside it.
    pub sha256: String,
    /// Paths that came in.
    pub secrets: u64,
    /// Versions that came in.
    pub versions: u64,
    /// Policies that came in.
    pub policies: u64,
    /// Rows that were left out.
    pub left_out: u64,
    /// What follows from it, and what is to be done.
    pub advice: String,
}
