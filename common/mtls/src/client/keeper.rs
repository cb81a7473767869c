//! Calls to a Keeper: contribute, shard and status.

use std::sync::Arc;

use spike_config::HttpsUrl;
use spike_domain::{Role, TrustRootsByRole};
use spike_wire::{
    ContributeRequest, EmptyRequest, EmptyResponse, KeeperOperation, KeeperStatusResponse,
    ShardResponse,
};

use super::{CallError, ServerClient};
use crate::{ClientTimeouts, MtlsClient, PeerRule, svid::SvidSource};

/// The most bytes of an answer that are read. The longest real one is a share, about 150 bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// A client of one Keeper; clones share its connections.
#[derive(Clone, Debug)]
pub struct KeeperClient(ServerClient);

impl KeeperClient {
    /// A client that proves itself with the SVID of `source`, and accepts only a Keeper under these trust roots.
    ///
    /// # Errors
    /// Only if the TLS library cannot be configured at all.
    pub fn new(
        source: &SvidSource,
        roots: Arc<TrustRootsByRole>,
        keeper: &HttpsUrl,
        timeouts: ClientTimeouts,
    ) -> Result<Self, rustls::Error> {
        let http = MtlsClient::new(source, PeerRule::Roles(&[Role::Keeper], roots), timeouts)?;
        let http = http.with_max_answer(MAX_ANSWER);
        Ok(Self(ServerClient { http, base: keeper.to_string() }))
    }

    /// Gives the Keeper its share, in place of one it may hold (K1).
    ///
    /// # Errors
    /// [`CallError`]; 409 if it holds another one and the caller is Bootstrap.
    pub async fn contribute(&self, request: &ContributeRequest) -> Result<(), CallError> {
        let target = KeeperOperation::Contribute.path_and_query();
        EmptyResponse::decode(&self.0.json(target, request.encode()).await?)?;
        Ok(())
    }

    /// Asks for the Keeper's share (K2).
    ///
    /// # Errors
    /// [`CallError`]; 400 while the Keeper holds none.
    pub async fn shard(&self) -> Result<ShardResponse, CallError> {
        let target = KeeperOperation::Shard.path_and_query();
        Ok(ShardResponse::decode(&self.0.json(target, EmptyRequest.encode()).await?)?)
    }

    /// Whether the Keeper holds a share. Upstream's Keepers do not have this route, and answer 400.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn status(&self) -> Result<KeeperStatusResponse, CallError> {
        let target = KeeperOperation::Status.path_and_query();
        Ok(KeeperStatusResponse::decode(&self.0.json(target, EmptyRequest.encode()).await?)?)
    }
}
