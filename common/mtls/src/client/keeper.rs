//! Calls to a Keeper: K1, K2 and our status.

use std::sync::Arc;

use spike_config::HttpsUrl;
use spike_domain::{Role, TrustRootsByRole};
use spike_wire::{
    ContributeRequest, EmptyRequest, EmptyResponse, KeeperOperation, KeeperStatusResponse,
    ShardResponse,
};

use super::{CallError, Caller};
use crate::{ClientTimeouts, MtlsClient, PeerRule, svid::SvidSource};

/// The most that is read of an answer, in bytes. The largest real one is a share: some 150.
const MAX_ANSWER: usize = 64 * 1024;

/// A client of one Keeper; clones share its connections.
#[derive(Clone, Debug)]
pub struct KeeperClient(Caller);

impl KeeperClient {
    /// A client that shows the SVID of `source` and talks to nobody but a Keeper under the trust roots of that role.
    ///
    /// # Errors
    /// Only where the TLS library cannot be configured at all.
    pub fn new(
        source: &SvidSource,
        roots: Arc<TrustRootsByRole>,
        keeper: &HttpsUrl,
        timeouts: ClientTimeouts,
    ) -> Result<Self, rustls::Error> {
        let http = MtlsClient::new(source, PeerRule::Roles(&[Role::Keeper], roots), timeouts)?;
        let http = http.with_max_answer(MAX_ANSWER);
        Ok(Self(Caller { http, base: keeper.to_string() }))
    }

    /// K1: gives the Keeper its share, in place of the one it may hold.
    ///
    /// # Errors
    /// [`CallError`]; 409 where it holds another, and the caller is Bootstrap.
    pub async fn contribute(&self, request: &ContributeRequest) -> Result<(), CallError> {
        let target = KeeperOperation::Contribute.path_and_query();
        EmptyResponse::decode(&self.0.json(target, request.encode()).await?)?;
        Ok(())
    }

    /// K2: asks for the Keeper's share.
    ///
    /// # Errors
    /// [`CallError`]; 400 while the Keeper holds none.
    pub async fn shard(&self) -> Result<ShardResponse, CallError> {
        let target = KeeperOperation::Shard.path_and_query();
        Ok(ShardResponse::decode(&self.0.json(target, EmptyRequest.encode()).await?)?)
    }

    /// Whether the Keeper holds a share. Upstream's Keepers do not have this route and answer 400.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn status(&self) -> Result<KeeperStatusResponse, CallError> {
        let target = KeeperOperation::Status.path_and_query();
        Ok(KeeperStatusResponse::decode(&self.0.json(target, EmptyRequest.encode()).await?)?)
    }
}
