//! Calls to a Keeper: contribute, shard and status.

use std::sync::Arc;

use bytes::Bytes;
use spike_config::HttpsUrl;
use spike_domain::{Role, TrustRootsByRole};
use spike_wire::{
    ContributeRequest, EmptyRequest, EmptyResponse, KeeperOperation, KeeperStatusResponse,
    ShardResponse,
};

use super::{CallError, ServerClient};
use crate::{
    ClientTimeouts, MtlsClient, PeerCertificate, PeerRule, TransportError, svid::SvidSource,
};

/// The most bytes of an answer that are read. The longest real one is a share, about 150 bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// A client of one Keeper; clones share its connections.
#[derive(Clone, Debug)]
pub struct KeeperClient {
    server: ServerClient,
    source: SvidSource,
}

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
        Ok(Self { server: ServerClient::new(http, keeper.to_string()), source: source.clone() })
    }

    /// The least by which the Keeper's clock is ahead of this machine's, or behind where it is negative, as of its last answer.
    pub fn clock_ahead(&self) -> Option<time::Duration> {
        self.server.clock.ahead()
    }

    /// The certificate of the Keeper, without a call: a Keeper shows it to everybody, and calls are for Nexus and Bootstrap.
    ///
    /// # Errors
    /// [`TransportError`]: it cannot be reached, or is no Keeper.
    pub async fn certificate(&self) -> Result<PeerCertificate, TransportError> {
        self.server.certificate().await
    }

    /// Gives the Keeper its share, in place of one it may hold (K1).
    ///
    /// # Errors
    /// [`CallError`]; 409 if it holds another one and the caller is Bootstrap.
    pub async fn contribute(&self, request: &ContributeRequest) -> Result<(), CallError> {
        EmptyResponse::decode(&self.call(KeeperOperation::Contribute, request.encode()).await?)?;
        Ok(())
    }

    /// Asks for the Keeper's share (K2).
    ///
    /// # Errors
    /// [`CallError`]; 400 while the Keeper holds none.
    pub async fn shard(&self) -> Result<ShardResponse, CallError> {
        let answer = self.call(KeeperOperation::Shard, EmptyRequest.encode()).await?;
        Ok(ShardResponse::decode(&answer)?)
    }

    /// Whether the Keeper holds a share. Upstream's Keepers do not have this route, and answer 400.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn status(&self) -> Result<KeeperStatusResponse, CallError> {
        let answer = self.call(KeeperOperation::Status, EmptyRequest.encode()).await?;
        Ok(KeeperStatusResponse::decode(&answer)?)
    }

    async fn call(&self, operation: KeeperOperation, body: Bytes) -> Result<Bytes, CallError> {
        let called = self.server.json(operation.path_and_query(), body).await;
        called.map_err(|error| match error {
            CallError::Transport(TransportError::Unaccepted(reason)) => {
                CallError::Transport(TransportError::Unaccepted(self.asked_about_roots(&reason)))
            }
            other => other,
        })
    }

    /// A Keeper accepts nobody but Nexus and Bootstrap, and says no more: what may be the reason. It gives the same alert for an
    /// SVID that is not valid by its clock.
    fn asked_about_roots(&self, reason: &str) -> String {
        let own = self.source.current().map(|material| material.id().clone());
        let Some(id) = own else { return reason.to_owned() };
        let role = Role::ALL.into_iter().find(|role| id.path().contains(role.path()));
        role.map_or_else(
            || reason.to_owned(),
            |role| {
                format!(
                    "{reason}: does {} of the Keeper name {}? Is its clock right?",
                    role.variable(),
                    id.trust_domain()
                )
            },
        )
    }
}
