//! Bodies of recover (N13) and restore (N14). The request of N13 is [`EmptyRequest`](super::EmptyRequest).

use std::collections::BTreeMap;

use super::go_json::OmitZero;
use super::shard::Shard;

bodies! {
    /// All shares of the root key (N13).
    #[derive(Debug)]
    pub struct RecoverResponse: Reply {
        /// The shares by their index, from 1.
        pub shards: BTreeMap<i64, Shard> = "shards",
    }

    /// One share (N14).
    #[derive(Debug)]
    pub struct RestoreRequest: Request {
        /// Its index, not checked yet.
        pub id: i64 = "id",
        /// Its value, not checked yet.
        pub shard: Shard = "shard",
        /// Another share follows at once, so that they can be checked together. Not upstream's.
        pub more: bool = "more" as OmitZero,
    }

    /// The progress of restoring (N14).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct RestoreResponse: Reply {
        /// The number of shares collected.
        pub collected: u32 = "collected",
        /// The number of shares missing.
        pub remaining: u32 = "remaining",
        /// Whether the root key is restored.
        pub restored: bool = "restored",
        /// Whether it was here before, so that there was nothing to do. Ours.
        pub already: bool = "already" as OmitZero,
        /// Whether this very share had been fed before, so that it counts once. Ours.
        pub repeated: bool = "repeated" as OmitZero,
        /// Whether the key was taken although there was nothing to compare it with. Ours.
        pub unconfirmed: bool = "unconfirmed" as OmitZero,
    }
}
