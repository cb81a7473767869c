//! Bodies of recovery: N13 and N14. The request of N13 is [`EmptyRequest`](super::EmptyRequest).

use std::collections::BTreeMap;

use super::go_json::OmitZero;
use super::shard::Shard;

bodies! {
    /// N13: all shares of the root key.
    #[derive(Debug)]
    pub struct RecoverResponse: Reply {
        /// The shares by their index, from 1.
        pub shards: BTreeMap<i64, Shard> = "shards",
    }

    /// N14: one share.
    #[derive(Debug)]
    pub struct RestoreRequest: Request {
        /// Its index, not checked yet.
        pub id: i64 = "id",
        /// Its value, not checked yet.
        pub shard: Shard = "shard",
        /// Ours: another share follows at once, so that they are to be judged together.
        pub more: bool = "more" as OmitZero,
    }

    /// N14: how far the restoration has come.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct RestoreResponse: Reply {
        /// How many shares are there.
        pub collected: u32 = "collected",
        /// How many are missing.
        pub remaining: u32 = "remaining",
        /// Whether the root key is back.
        pub restored: bool = "restored",
        /// Whether it was here before, so that there was nothing to do. Ours.
        pub already: bool = "already" as OmitZero,
    }
}
