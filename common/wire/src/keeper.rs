//! Bodies of the Keeper: contribute (K1), shard (K2) and status. The request of K2 is
//! [`EmptyRequest`](super::EmptyRequest), the answer of K1 [`EmptyResponse`](super::EmptyResponse).

use super::go_json::{Adapter, Field, OmitZero, Writer};
use super::shard::Shard;

bodies! {
    /// A share for the Keeper (K1).
    #[derive(Debug)]
    pub struct ContributeRequest: Request {
        /// The share, not checked yet.
        pub shard: Shard = "shard",
    }

    /// The Keeper's share (K2). Like upstream's Nexus, a client uses the share and ignores `Err`.
    #[derive(Debug)]
    pub struct ShardResponse: BareReply {
        /// The share. A Keeper without one answers 400, but a peer's answer may lack it: check it before use.
        pub shard: Shard = "shard" as BesideErr,
    }

    /// Whether a Keeper holds a share, for peers that may not read the share. Upstream has no such route.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct KeeperStatusResponse: Reply {
        /// Whether it holds a share. `None` if the answer does not say.
        pub filled: Option<bool> = "filled",
        /// The version of the Keeper; missing if it does not say.
        pub version: Option<String> = "version" as OmitZero,
        /// When the process began to serve, RFC 3339; missing if it does not say.
        pub started: Option<String> = "started" as OmitZero,
        /// A name that the process made for itself at its start, from random bytes: two addresses with one name are one Keeper.
        /// Missing if it does not say.
        pub process: Option<String> = "process" as OmitZero,
    }
}

/// The share, in an answer that always has the key `Err` too, in this spelling.
struct BesideErr;

impl Adapter<Shard> for BesideErr {
    fn write(shard: &Shard, name: &str, out: &mut Writer) {
        shard.write(out.name(name));
        out.name("Err").text("");
    }
}
