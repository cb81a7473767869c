//! Bodies of recovery: N13 and N14. The request of N13 is [`EmptyRequest`](super::EmptyRequest).

use std::collections::BTreeMap;

use bytes::Bytes;

use super::error::{ReplyError, decode_reply};
use super::go_json::{self, JsonError};
use super::shard::Shard;

/// N13: all shares of the root key.
#[derive(Debug, Default)]
pub struct RecoverResponse {
    /// The shares by their index, from 1.
    pub shards: BTreeMap<i64, Shard>,
}

impl RecoverResponse {
    /// Reads the body of a 200.
    ///
    /// # Errors
    /// [`ReplyError`] when it is malformed or carries an error code.
    pub fn decode(body: &[u8]) -> Result<Self, ReplyError> {
        let mut shards = BTreeMap::new();
        decode_reply(body, |key, value| {
            if !key.is("shards") {
                return value.skip();
            }
            let present = value.object(|index, value| {
                let index = index.integer().ok_or_else(|| value.error("expected a share index"))?;
                shards.insert(index, value.shard()?);
                Ok(())
            })?;
            if !present {
                shards.clear();
            }
            Ok(())
        })?;
        Ok(Self { shards })
    }

    /// The body to send. Go sorts the indices as text.
    pub fn encode(&self) -> Bytes {
        let mut shards: Vec<_> =
            self.shards.iter().map(|(index, shard)| (index.to_string(), shard)).collect();
        shards.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
        go_json::body(|out| {
            out.object(|out| {
                out.name("shards").object(|out| {
                    for (index, shard) in &shards {
                        out.name(index).byte_list(shard.expose_secret());
                    }
                });
            });
        })
    }
}

/// N14: one share.
#[derive(Debug, Default)]
pub struct RestoreRequest {
    /// Its index, not checked yet.
    pub id: i64,
    /// Its value, not checked yet.
    pub shard: Shard,
    /// Ours: another share follows at once, so that they are to be judged together.
    pub more: bool,
}

impl RestoreRequest {
    /// Reads the body.
    ///
    /// # Errors
    /// [`JsonError`] when it is malformed.
    pub fn decode(body: &[u8]) -> Result<Self, JsonError> {
        let mut request = Self::default();
        go_json::decode_object(body, |key, value| {
            if key.is("id") {
                value.integer(&mut request.id)
            } else if key.is("shard") {
                request.shard = value.shard()?;
                Ok(())
            } else if key.is("more") {
                value.boolean(&mut request.more)
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
                out.name("id").integer(self.id);
                out.name("shard").byte_list(self.shard.expose_secret());
                if self.more {
                    out.name("more").boolean(true);
                }
            });
        })
    }
}

/// N14: how far the restoration has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RestoreResponse {
    /// How many shares are there.
    pub collected: u32,
    /// How many are missing.
    pub remaining: u32,
    /// Whether the root key is back.
    pub restored: bool,
}

impl RestoreResponse {
    /// Reads the body of a 200.
    ///
    /// # Errors
    /// [`ReplyError`] when it is malformed or carries an error code.
    pub fn decode(body: &[u8]) -> Result<Self, ReplyError> {
        let mut response = Self::default();
        decode_reply(body, |key, value| {
            if key.is("collected") {
                value.integer(&mut response.collected)
            } else if key.is("remaining") {
                value.integer(&mut response.remaining)
            } else if key.is("restored") {
                value.boolean(&mut response.restored)
            } else {
                value.skip()
            }
        })?;
        Ok(response)
    }

    /// The body to send.
    pub fn encode(self) -> Bytes {
        go_json::body(|out| {
            out.object(|out| {
                out.name("collected").integer(self.collected);
                out.name("remaining").integer(self.remaining);
                out.name("restored").boolean(self.restored);
            });
        })
    }
}
