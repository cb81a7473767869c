//! Bodies of N6: what is known about a secret besides its values.

use std::collections::BTreeMap;

use bytes::Bytes;
use time::OffsetDateTime;

use super::error::{ReplyError, decode_reply};
use super::go_json::{self, JsonError, Reader, Writer};
use super::timestamp::{ZERO_TIME, format_timestamp};

/// N6: what is known about a secret. The third field is ours: left out when it asks for nothing, and passed over by
/// upstream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretMetadataRequest {
    /// The path, not checked yet.
    pub path: String,
    /// A version that must be there; 0 is the current one.
    pub version: i64,
    /// Whether a deleted version will do, and for 0 a secret of which every version is deleted. Upstream answers 404.
    pub include_deleted: bool,
}

impl SecretMetadataRequest {
    /// Reads the body.
    ///
    /// # Errors
    /// [`JsonError`] when it is malformed.
    pub fn decode(body: &[u8]) -> Result<Self, JsonError> {
        let mut request = Self::default();
        go_json::decode_object(body, |key, value| {
            if key.is("path") {
                value.text(&mut request.path)
            } else if key.is("version") {
                value.integer(&mut request.version)
            } else if key.is("includeDeleted") {
                value.boolean(&mut request.include_deleted)
            } else {
                value.skip()
            }
        })?;
        Ok(request)
    }

    /// The body to send. Version 0 and `includeDeleted` are left out when they ask for nothing.
    pub fn encode(&self) -> Bytes {
        go_json::body(|out| {
            out.object(|out| {
                out.name("path").text(&self.path);
                if self.version != 0 {
                    out.name("version").integer(self.version);
                }
                if self.include_deleted {
                    out.name("includeDeleted").boolean(true);
                }
            });
        })
    }
}

/// N6: a secret without its values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretMetadataResponse {
    /// Every version by its number, deleted ones included.
    pub versions: BTreeMap<i64, VersionMetadata>,
    /// What holds for all of them.
    pub metadata: SecretMetadata,
}

/// One version of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionMetadata {
    /// When it was put.
    pub created_time: OffsetDateTime,
    /// Its number.
    pub version: i64,
    /// When it was deleted, if it was.
    pub deleted_time: Option<OffsetDateTime>,
}

/// A secret as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecretMetadata {
    /// The highest version that is not deleted, or 0.
    pub current_version: i64,
    /// The lowest version that is not deleted, or 0.
    pub oldest_version: i64,
    /// When the first version was put.
    pub created_time: OffsetDateTime,
    /// When the current version last became another.
    pub updated_time: OffsetDateTime,
    /// How many versions are kept.
    pub max_versions: i64,
}

impl SecretMetadataResponse {
    /// Reads the body of a 200.
    ///
    /// # Errors
    /// [`ReplyError`] when it is malformed or carries an error code.
    pub fn decode(body: &[u8]) -> Result<Self, ReplyError> {
        let mut response = Self::default();
        decode_reply(body, |key, value| {
            if key.is("metadata") {
                response.metadata.read(value)
            } else if key.is("versions") {
                read_versions(value, &mut response.versions)
            } else {
                value.skip()
            }
        })?;
        Ok(response)
    }

    /// The body to send. Go sorts the keys of `versions` as text, and leaves the map out when it is empty.
    pub fn encode(&self) -> Bytes {
        let mut versions: Vec<_> =
            self.versions.iter().map(|(number, version)| (number.to_string(), version)).collect();
        versions.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
        go_json::body(|out| {
            out.object(|out| {
                if !versions.is_empty() {
                    out.name("versions").object(|out| {
                        for (number, version) in &versions {
                            version.write(out.name(number));
                        }
                    });
                }
                self.metadata.write(out.name("metadata"));
            });
        })
    }
}

/// Go's map with integer keys: `null` empties it, each value begins at zero.
fn read_versions(
    reader: &mut Reader<'_>,
    into: &mut BTreeMap<i64, VersionMetadata>,
) -> Result<(), JsonError> {
    let present = reader.object(|number, value| {
        let number = number.integer().ok_or_else(|| value.error("expected a version number"))?;
        into.insert(number, VersionMetadata::read(value)?);
        Ok(())
    })?;
    if !present {
        into.clear();
    }
    Ok(())
}

impl VersionMetadata {
    fn read(reader: &mut Reader<'_>) -> Result<Self, JsonError> {
        let mut version = Self { created_time: ZERO_TIME, version: 0, deleted_time: None };
        reader.object(|key, value| {
            if key.is("createdTime") {
                value.time(&mut version.created_time)
            } else if key.is("version") {
                value.integer(&mut version.version)
            } else if key.is("deletedTime") {
                value.optional_time(&mut version.deleted_time)
            } else {
                value.skip()
            }
        })?;
        Ok(version)
    }

    fn write(self, out: &mut Writer) {
        out.object(|out| {
            out.name("createdTime").text(&format_timestamp(self.created_time));
            out.name("version").integer(self.version);
            match self.deleted_time {
                Some(time) => out.name("deletedTime").text(&format_timestamp(time)),
                None => out.name("deletedTime").null(),
            }
        });
    }
}

impl SecretMetadata {
    fn read(&mut self, reader: &mut Reader<'_>) -> Result<(), JsonError> {
        reader.object(|key, value| {
            if key.is("currentVersion") {
                value.integer(&mut self.current_version)
            } else if key.is("oldestVersion") {
                value.integer(&mut self.oldest_version)
            } else if key.is("createdTime") {
                value.time(&mut self.created_time)
            } else if key.is("updatedTime") {
                value.time(&mut self.updated_time)
            } else if key.is("maxVersions") {
                value.integer(&mut self.max_versions)
            } else {
                value.skip()
            }
        })?;
        Ok(())
    }

    fn write(self, out: &mut Writer) {
        out.object(|out| {
            out.name("currentVersion").integer(self.current_version);
            out.name("oldestVersion").integer(self.oldest_version);
            out.name("createdTime").text(&format_timestamp(self.created_time));
            out.name("updatedTime").text(&format_timestamp(self.updated_time));
            out.name("maxVersions").integer(self.max_versions);
        });
    }
}

impl Default for SecretMetadata {
    fn default() -> Self {
        Self {
            current_version: 0,
            oldest_version: 0,
            created_time: ZERO_TIME,
            updated_time: ZERO_TIME,
            max_versions: 0,
        }
    }
}
