//! Bodies of N6: what is known about a secret besides its values.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::go_json::OmitZero;

bodies! {
    /// N6: what is known about a secret. The third field is ours: left out when it asks for nothing, and passed over by
    /// upstream.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SecretMetadataRequest: Request {
        /// The path, not checked yet.
        pub path: String = "path",
        /// A version that must be there; 0 is the current one.
        pub version: i64 = "version" as OmitZero,
        /// Whether a deleted version will do, and for 0 a secret of which every version is deleted. Upstream answers 404.
        pub include_deleted: bool = "includeDeleted" as OmitZero,
    }

    /// N6: a secret without its values.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SecretMetadataResponse: Reply {
        /// Every version by its number, deleted ones included.
        pub versions: BTreeMap<i64, VersionMetadata> = "versions" as OmitZero,
        /// What holds for all of them.
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

    /// A secret as a whole.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct SecretMetadata: Part {
        /// The highest version that is not deleted, or 0.
        pub current_version: i64 = "currentVersion",
        /// The lowest version that is not deleted, or 0.
        pub oldest_version: i64 = "oldestVersion",
        /// When the first version was put.
        pub created_time: OffsetDateTime = "createdTime",
        /// When the current version last became another.
        pub updated_time: OffsetDateTime = "updatedTime",
        /// How many versions are kept.
        pub max_versions: i64 = "maxVersions",
    }
}
