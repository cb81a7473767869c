//! Bodies of secret metadata (N6).

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::go_json::OmitZero;

bodies! {
    /// Asks for the metadata of a secret (N6). Upstream does not have the third field and ignores it; it is omitted if
    /// it is false.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SecretMetadataRequest: Request {
        /// The path, not checked yet.
        pub path: String = "path",
        /// A version that must exist; 0 is the current one.
        pub version: i64 = "version" as OmitZero,
        /// Whether the version may be deleted, and for 0 whether all versions may be. Upstream answers 404 then.
        pub include_deleted: bool = "includeDeleted" as OmitZero,
    }

    /// A secret without its values (N6).
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SecretMetadataResponse: Reply {
        /// Every version by its number, deleted ones included.
        pub versions: BTreeMap<i64, VersionMetadata> = "versions" as OmitZero,
        /// The data of the whole secret.
        pub metadata: SecretMetadata = "metadata",
    }

    /// One version of a secret.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct VersionMetadata: Part {
        /// When it was put.
        pub created_time: OffsetDateTime = "createdTime",
        /// Its number.
        pub version: i64 = "version",
        /// When it was deleted, if it was.
        pub deleted_time: Option<OffsetDateTime> = "deletedTime",
    }

    /// The data of a whole secret.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct SecretMetadata: Part {
        /// The highest version that is not deleted, or 0.
        pub current_version: i64 = "currentVersion",
        /// The lowest version that is not deleted, or 0.
        pub oldest_version: i64 = "oldestVersion",
        /// When the first version was put.
        pub created_time: OffsetDateTime = "createdTime",
        /// When the current version last changed.
        pub updated_time: OffsetDateTime = "updatedTime",
        /// The number of versions that are kept.
        pub max_versions: i64 = "maxVersions",
    }
}
