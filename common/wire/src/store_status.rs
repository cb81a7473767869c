//! The state of the store of one Nexus, as part of its status.

use super::go_json::OmitZero;

bodies! {
    /// The store, if it is open.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct StoreStatus: Part {
        /// Size of the database file and of the write-ahead log beside it, in bytes; 0 in memory.
        pub bytes: u64 = "bytes",
        /// Size of the write-ahead log in bytes.
        pub log_bytes: u64 = "logBytes",
        /// When the last write was committed, RFC 3339; missing if none was since the start.
        pub last_commit: Option<String> = "lastCommit" as OmitZero,
        /// Bytes that Nexus may still write on the disk of the database; missing in memory, and if the disk does not say.
        pub free_bytes: Option<u64> = "freeBytes" as OmitZero,
        /// When the newest backup that was verified was made, RFC 3339; missing if there is none.
        pub last_backup: Option<String> = "lastBackup" as OmitZero,
        /// Its problems.
        pub troubles: Vec<String> = "troubles",
        /// The import from upstream, if there was one.
        pub import: Option<ImportStatus> = "import" as OmitZero,
    }

    /// An imported database of upstream.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ImportStatus: Part {
        /// When, RFC 3339.
        pub at: String = "at",
        /// SHA-256 of the file and of the log beside it.
        pub sha256: String = "sha256",
        /// The number of imported paths.
        pub secrets: u64 = "secrets",
        /// The number of imported versions.
        pub versions: u64 = "versions",
        /// The number of imported policies.
        pub policies: u64 = "policies",
        /// The number of rows that were left out.
        pub left_out: u64 = "leftOut",
        /// The consequences, and what to do.
        pub advice: String = "advice",
    }
}
