//! How the store of one Nexus is, as part of its status.

use super::go_json::OmitZero;

bodies! {
    /// The store, where it is open.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct StoreStatus: Part {
        /// Size of the database file in bytes, and of the write-ahead log beside it; 0 in memory.
        pub bytes: u64 = "bytes",
        /// Size of the write-ahead log in bytes.
        pub log_bytes: u64 = "logBytes",
        /// When the last write was committed, RFC 3339; missing: none since the start.
        pub last_commit: Option<String> = "lastCommit" as OmitZero,
        /// What is wrong with it, one entry for each trouble.
        pub troubles: Vec<String> = "troubles",
        /// What was imported from upstream, if anything was.
        pub import: Option<ImportStatus> = "import" as OmitZero,
    }

    /// A database of upstream that was imported.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ImportStatus: Part {
        /// When, RFC 3339.
        pub at: String = "at",
        /// SHA-256 of the file and of the log beside it.
        pub sha256: String = "sha256",
        /// Paths that came in.
        pub secrets: u64 = "secrets",
        /// Versions that came in.
        pub versions: u64 = "versions",
        /// Policies that came in.
        pub policies: u64 = "policies",
        /// Rows that were left out.
        pub left_out: u64 = "leftOut",
        /// What follows from it, and what is to be done.
        pub advice: String = "advice",
    }
}
