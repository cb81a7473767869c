//! Bodies of the secrets: N1 to N5. N6 is in `metadata`.

use bytes::Bytes;

use super::error::{ReplyError, decode_reply};
use super::go_json::{self, JsonError};
use super::values::SecretValues;

/// N1: put a new version. Answered by [`EmptyResponse`](super::EmptyResponse).
#[derive(Debug, Default)]
pub struct SecretPutRequest {
    /// The path, not checked yet.
    pub path: String,
    /// All values of the new version; `None` where the body has no such key. `null` is read as no values.
    pub values: Option<SecretValues>,
}

impl SecretPutRequest {
    /// Reads the body.
    ///
    /// # Errors
    /// [`JsonError`] when it is malformed.
    pub fn decode(body: &[u8]) -> Result<Self, JsonError> {
        let mut request = Self::default();
        go_json::decode_object(body, |key, value| {
            if key.is("path") {
                value.text(&mut request.path)
            } else if key.is("values") {
                let values = request.values.get_or_insert_default();
                value.secret_values(values).map(drop)
            } else {
                value.skip()
            }
        })?;
        Ok(request)
    }

    /// The body to send. Upstream's clients always send `values`.
    pub fn encode(&self) -> Bytes {
        go_json::body(|out| {
            out.object(|out| {
                out.name("path").text(&self.path);
                if let Some(values) = &self.values {
                    values.write(out.name("values"));
                }
            });
        })
    }
}

/// N2: one version of a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretGetRequest {
    /// The path, not checked yet.
    pub path: String,
    /// The version; 0 is the current one.
    pub version: i64,
}

impl SecretGetRequest {
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
            } else {
                value.skip()
            }
        })?;
        Ok(request)
    }

    /// The body to send. Version 0 is left out.
    pub fn encode(&self) -> Bytes {
        go_json::body(|out| {
            out.object(|out| {
                out.name("path").text(&self.path);
                if self.version != 0 {
                    out.name("version").integer(self.version);
                }
            });
        })
    }
}

/// N2: the values of one version.
#[derive(Debug, Default)]
pub struct SecretGetResponse {
    /// The values; `None` for a version that upstream stored without any.
    pub data: Option<SecretValues>,
}

impl SecretGetResponse {
    /// Reads the body of a 200.
    ///
    /// # Errors
    /// [`ReplyError`] when it is malformed or carries an error code.
    pub fn decode(body: &[u8]) -> Result<Self, ReplyError> {
        let mut response = Self::default();
        decode_reply(body, |key, value| {
            if !key.is("data") {
                return value.skip();
            }
            let mut values = response.data.take().unwrap_or_default();
            let present = value.secret_values(&mut values)?;
            response.data = present.then_some(values);
            Ok(())
        })?;
        Ok(response)
    }

    /// The body to send.
    pub fn encode(&self) -> Bytes {
        go_json::body(|out| {
            out.object(|out| match &self.data {
                Some(values) => values.write(out.name("data")),
                None => out.name("data").null(),
            });
        })
    }

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
        let mut body = br#"{"data":"#.to_vec();
        write(&mut body)?;
        body.push(b'}');
        Ok(Bytes::from(body))
    }
}

/// N3 and N4: some versions of a secret. Answered by [`EmptyResponse`](super::EmptyResponse).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretVersionsRequest {
    /// The path, not checked yet.
    pub path: String,
    /// The versions. None, and 0 among them, have a meaning of their own for each operation.
    pub versions: Vec<i64>,
}

impl SecretVersionsRequest {
    /// Reads the body.
    ///
    /// # Errors
    /// [`JsonError`] when it is malformed.
    pub fn decode(body: &[u8]) -> Result<Self, JsonError> {
        let mut request = Self::default();
        go_json::decode_object(body, |key, value| {
            if key.is("path") {
                value.text(&mut request.path)
            } else if key.is("versions") {
                value.integers(&mut request.versions)
            } else {
                value.skip()
            }
        })?;
        Ok(request)
    }

    /// The body to send.
    pub fn encode(&self) -> Bytes {
        go_json::body(|out| {
            out.object(|out| {
                out.name("path").text(&self.path);
                out.name("versions").array(|out| {
                    for &version in &self.versions {
                        out.element().integer(version);
                    }
                });
            });
        })
    }
}

/// N5: the paths of secrets. Upstream's request has no fields; ours are left out when they ask for nothing, and
/// upstream passes over them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretListRequest {
    /// Only paths that begin so.
    pub prefix: String,
    /// Only paths that come after this one.
    pub after: String,
    /// At most so many paths; 0 and less are no limit.
    pub limit: i64,
}

impl SecretListRequest {
    /// Reads the body.
    ///
    /// # Errors
    /// [`JsonError`] when it is malformed.
    pub fn decode(body: &[u8]) -> Result<Self, JsonError> {
        let mut request = Self::default();
        go_json::decode_object(body, |key, value| {
            if key.is("prefix") {
                value.text(&mut request.prefix)
            } else if key.is("after") {
                value.text(&mut request.after)
            } else if key.is("limit") {
                value.integer(&mut request.limit)
            } else {
                value.skip()
            }
        })?;
        Ok(request)
    }

    /// The body to send.
    pub fn encode(&self) -> Bytes {
        go_json::body(|out| {
            out.object(|out| {
                out.text_if_any("prefix", &self.prefix);
                out.page(&self.after, self.limit);
            });
        })
    }
}

/// N5: paths, in the order of their bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretListResponse {
    /// The paths.
    pub keys: Vec<String>,
    /// Where the next page begins: the `after` to ask with. `None` when this was the last; upstream sends all at once.
    pub next: Option<String>,
}

impl SecretListResponse {
    /// Reads the body of a 200.
    ///
    /// # Errors
    /// [`ReplyError`] when it is malformed or carries an error code.
    pub fn decode(body: &[u8]) -> Result<Self, ReplyError> {
        let (mut keys, mut next) = (Vec::new(), String::new());
        decode_reply(body, |key, value| {
            if key.is("keys") {
                value.texts(&mut keys)
            } else if key.is("next") {
                value.text(&mut next)
            } else {
                value.skip()
            }
        })?;
        Ok(Self { keys, next: (!next.is_empty()).then_some(next) })
    }

    /// The body to send.
    pub fn encode(&self) -> Bytes {
        go_json::body(|out| {
            out.object(|out| {
                out.name("keys").array(|out| {
                    for key in &self.keys {
                        out.element().text(key);
                    }
                });
                if let Some(next) = &self.next {
                    out.name("next").text(next);
                }
            });
        })
    }
}
