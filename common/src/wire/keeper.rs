//! Bodies of the Keeper: K1, K2 and our status. The request of K2 is [`EmptyRequest`](super::EmptyRequest), the answer of K1
//! [`EmptyResponse`](super::EmptyResponse).

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::error::ReplyError;
use super::go_json::{self, JsonError};
use super::ours;
use super::shard::Shard;

/// K1: the Keeper's share.
#[derive(Debug, Default)]
pub struct ContributeRequest {
    /// The share, not checked yet.
    pub shard: Shard,
}

impl ContributeRequest {
    /// Reads the body.
    ///
    /// # Errors
    /// [`JsonError`] when it is malformed.
    pub fn decode(body: &[u8]) -> Result<Self, JsonError> {
        Ok(Self { shard: decode_shard(body)? })
    }

    /// The body to send.
    pub fn encode(&self) -> Bytes {
        go_json::body(|out| {
            out.object(|out| out.name("shard").byte_list(self.shard.expose_secret()));
        })
    }
}

/// K2: the Keeper's share.
#[derive(Debug, Default)]
pub struct ShardResponse {
    /// The share. A Keeper without one answers 400; a peer's answer may still lack it, so check before use.
    pub shard: Shard,
}

impl ShardResponse {
    /// Reads the body of a 200. Like upstream's Nexus, it goes by the share and not by `Err`.
    ///
    /// # Errors
    /// [`ReplyError::Malformed`] when it is malformed.
    pub fn decode(body: &[u8]) -> Result<Self, ReplyError> {
        Ok(Self { shard: decode_shard(body)? })
    }

    /// The body to send. `Err` is always there, and so spelled.
    pub fn encode(&self) -> Bytes {
        go_json::body(|out| {
            out.object(|out| {
                out.name("shard").byte_list(self.shard.expose_secret());
                out.name("Err").text("");
            });
        })
    }
}

/// Whether a Keeper holds a share, for whoever may not have the share. Ours: upstream has no such route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeeperStatusResponse {
    /// Whether there is a share in its slot.
    pub filled: bool,
}

impl KeeperStatusResponse {
    /// Reads the body of a 200.
    ///
    /// # Errors
    /// [`ReplyError`] when it is malformed, or does not say.
    pub fn decode(body: &[u8]) -> Result<Self, ReplyError> {
        ours::reply(body)
    }

    /// The body to send.
    pub fn encode(&self) -> Bytes {
        ours::encode(self)
    }
}

fn decode_shard(body: &[u8]) -> Result<Shard, JsonError> {
    let mut shard = Shard::default();
    go_json::decode_object(body, |key, value| {
        if !key.is("shard") {
            return value.skip();
        }
        shard = value.shard()?;
        Ok(())
    })?;
    Ok(shard)
}
