//! Bodies of the secrets: N1 to N5. N6 is in `metadata`.

use bytes::Bytes;

use super::go_json::SecretValues;
use super::go_json::{Adapter, Field, JsonError, OmitZero, Reader, Writer};

bodies! {
    /// N1: put a new version. Answered by [`EmptyResponse`](super::EmptyResponse).
    #[derive(Debug)]
    pub struct SecretPutRequest: Request {
        /// The path, not checked yet.
        pub path: String = "path",
        /// All values of the new version; `None` where the body has no such key. `null` is read as no values. Upstream's
        /// clients always send the key.
        pub values: Option<SecretValues> = "values" as IfPresent,
    }

    /// N2: one version of a secret.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SecretGetRequest: Request {
        /// The path, not checked yet.
        pub path: String = "path",
        /// The version; 0 is the current one.
        pub version: i64 = "version" as OmitZero,
    }

    /// N2: the values of one version.
    #[derive(Debug)]
    pub struct SecretGetResponse: Reply {
        /// The values; `None` for a version that upstream stored without any.
        pub data: Option<SecretValues> = "data",
    }

    /// N3 and N4: some versions of a secret. Answered by [`EmptyResponse`](super::EmptyResponse).
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SecretVersionsRequest: Request {
        /// The path, not checked yet.
        pub path: String = "path",
        /// The versions. None, and 0 among them, have a meaning of their own for each operation.
        pub versions: Vec<i64> = "versions",
    }

    /// N5: the paths of secrets. Upstream's request has no fields; ours are left out when they ask for nothing, and
    /// upstream passes over them.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SecretListRequest: Request {
        /// Only paths that begin so.
        pub prefix: String = "prefix" as OmitZero,
        /// Only paths that come after this one.
        pub after: String = "after" as OmitZero,
        /// At most so many paths; 0 and less are no limit.
        pub limit: i64 = "limit" as Limit,
    }

    /// N5: paths, in the order of their bytes.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SecretListResponse: Reply {
        /// The paths.
        pub keys: Vec<String> = "keys",
        /// Where the next page begins: the `after` to ask with. `None` when this was the last; upstream sends all at once.
        pub next: Option<String> = "next" as NextPage,
    }
}

impl SecretGetResponse {
    /// The body to send for values that are JSON already, as [`SecretValues::to_json_object`] writes them and as they
    /// are stored: no decoding, no escaping, no copy. `write` adds them where they belong; what it adds is trusted to be a
    /// JSON object of strings, or `null`.
    ///
    /// This is the path of every read. The buffer is filled once and freed once, and only Nexus calls this, whose allocator
    /// wipes what it frees: wiping it here too would cost as much as decrypting it.
    ///
    /// # Errors
    /// That of `write`.
    pub fn encode_stored<E>(write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<Bytes, E> {
        let mut body = Vec::with_capacity(USUAL_ANSWER);
        body.extend_from_slice(br#"{"data":"#);
        write(&mut body)?;
        body.push(b'}');
        Ok(Bytes::from(body))
    }
}

/// What most answers with values fit into, in bytes: the buffer need not grow for them.
const USUAL_ANSWER: usize = 2048;

/// The key says something by being there: its value is `Some`, even where it is `null`.
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

/// The most entries of one page. What is no limit is read as 0, and left out.
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

/// Where the next page begins, in an answer. The empty text is read as no next page; `null` changes nothing.
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
