//! Bodies of secrets. Those of their metadata are in `metadata`.

use bytes::Bytes;

use super::go_json::SecretValues;
use super::go_json::{Adapter, AtMost, Field, JsonError, OmitZero, Reader, Writer};

bodies! {
    /// Adds a version (N1). Answered by [`EmptyResponse`](super::EmptyResponse).
    #[derive(Debug)]
    pub struct SecretPutRequest: Request {
        /// The path, not checked yet.
        pub path: String = "path",
        /// All values of the new version; `None` if the body has no such key, which upstream's clients always send.
        /// `null` means no values.
        pub values: Option<SecretValues> = "values" as IfPresent,
    }

    /// One version of a secret (N2).
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SecretGetRequest: Request {
        /// The path, not checked yet.
        pub path: String = "path",
        /// The version; 0 is the current one.
        pub version: i64 = "version" as OmitZero,
    }

    /// The values of one version (N2).
    #[derive(Debug)]
    pub struct SecretGetResponse: Reply {
        /// The values; `None` for a version that upstream stored without values.
        pub data: Option<SecretValues> = "data",
    }

    /// Versions of a secret (N3, N4). Answered by [`EmptyResponse`](super::EmptyResponse).
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SecretVersionsRequest: Request {
        /// The path, not checked yet.
        pub path: String = "path",
        /// The versions. An empty list, and 0 in it, have a meaning that depends on the operation.
        pub versions: Vec<i64> = "versions" as AtMost<MAX_VERSIONS_AT_ONCE>,
    }

    /// Lists paths of secrets (N5). Upstream's request has no fields, and upstream ignores these; they are omitted if
    /// they are empty.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SecretListRequest: Request {
        /// Only paths with this prefix.
        pub prefix: String = "prefix" as OmitZero,
        /// Only paths that come after this one.
        pub after: String = "after" as OmitZero,
        /// The most paths; 0 and less are no limit.
        pub limit: i64 = "limit" as Limit,
    }

    /// Paths, in the order of their bytes (N5).
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SecretListResponse: Reply {
        /// The paths.
        pub keys: Vec<String> = "keys",
        /// The `after` of the next page. `None` on the last page; upstream sends everything at once.
        pub next: Option<String> = "next" as NextPage,
    }
}

impl SecretGetResponse {
    /// What comes before and after the stored values in a body.
    pub const AROUND_STORED: [&[u8]; 2] = [br#"{"data":"#, b"}"];

    /// The body for values in their stored JSON form (see [`SecretValues::to_json_object`]): without decoding, escaping
    /// or copying. `write` appends them; it must append a JSON object of strings, or `null`.
    ///
    /// Every read uses this. `write` reserves what it needs, so that no answer that waits for its peer holds more. Only
    /// Nexus calls this, and its allocator wipes what it frees: wiping here too would cost as much as decryption.
    ///
    /// # Errors
    /// The error of `write`.
    pub fn encode_stored<E>(write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<Bytes, E> {
        let [before, after] = Self::AROUND_STORED;
        let mut body = Vec::with_capacity(before.len());
        body.extend_from_slice(before);
        write(&mut body)?;
        body.extend_from_slice(after);
        Ok(Bytes::from(body))
    }
}

/// The most versions that one request names.
pub const MAX_VERSIONS_AT_ONCE: usize = 4096;

/// The presence of the key matters: its value is `Some`, even if it is `null`.
struct IfPresent;

impl Adapter<Option<SecretValues>> for IfPresent {
    fn read(into: &mut Option<SecretValues>, from: &mut Reader<'_>) -> Result<(), JsonError> {
        into.get_or_insert_default().read(from)
    }

    fn write(value: &Option<SecretValues>, name: &str, out: &mut Writer) {
        if let Some(values) = value {
            values.write(out.name(name));
        }
    }
}

/// The most entries of one page. "No limit" is read as 0, and omitted.
pub(super) struct Limit;

impl Adapter<i64> for Limit {
    fn read(limit: &mut i64, from: &mut Reader<'_>) -> Result<(), JsonError> {
        limit.read(from)?;
        *limit = (*limit).max(0);
        Ok(())
    }

    fn write(limit: &i64, name: &str, out: &mut Writer) {
        if *limit > 0 {
            out.name(name).integer(*limit);
        }
    }
}

/// The start of the next page. The empty text is read as `None`; `null` changes nothing.
pub(super) struct NextPage;

impl Adapter<Option<String>> for NextPage {
    fn read(into: &mut Option<String>, from: &mut Reader<'_>) -> Result<(), JsonError> {
        let mut next = into.take().unwrap_or_default();
        next.read(from)?;
        *into = (!next.is_empty()).then_some(next);
        Ok(())
    }

    fn write(next: &Option<String>, name: &str, out: &mut Writer) {
        OmitZero::write(next, name, out);
    }
}
