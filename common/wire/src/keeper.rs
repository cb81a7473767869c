//! Bodies of the Keeper: K1, K2 and our status. The request of K2 is [`EmptyRequest`](super::EmptyRequest), the answer of K1
//! [`EmptyResponse`](super::EmptyResponse).

use super::go_json::{Adapter, Field, Writer};
use super::shard::Shard;

bodies! {
    /// K1: the Keeper's share.
    #[derive(Debug)]
    pub struct ContributeRequest: Request {
        /// The share, not checked yet.
        pub shard: Shard = "shard",
    }

    /// K2: the Keeper's share. Like upstream's Nexus, a client goes by the share and not by `Err`.
    #[derive(Debug)]
    pub struct ShardResponse: BareReply {
        /// The share. A Keeper without one answers 400; a peer's answer may still lack it, so check before use.
        pub shard: Shard = "shard" as BesideErr,
    }

    /// Whether a Keeper holds a share, for whoever may not have the share. Ours: upstream has no such route.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct KeeperStatusResponse: Reply {
        /// Whether there is a share in its slot. `None` where the answer does not say.
        pub filled: Option<bool> = "filled",
    }
}

/// The share in an answer that always has the key `Err` too, and so spelled.
struct BesideErr;

impl Adapter<Shard> for BesideErr {
    fn write(shard: &Shard, name: &str, out: &mut Writer) {
        shard.write(out.name(name));
        out.name("Err").text("");
    }
}
