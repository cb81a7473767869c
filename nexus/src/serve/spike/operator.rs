//! N13, N14 and the status: what operators do with the root key.

use std::sync::Arc;

use bytes::Bytes;
use spike_wire::{Call, call};

use super::Handle;
use crate::{access::Grant, error::Error, service::Nexus};

impl Handle for call::OperatorRecover {
    async fn handle(nexus: &Arc<Nexus>, grant: Grant<Self>) -> Result<Bytes, Error> {
        Ok(Self::encode_reply(&nexus.recover(grant).await?))
    }
}

impl Handle for call::OperatorRestore {
    async fn handle(nexus: &Arc<Nexus>, grant: Grant<Self>) -> Result<Bytes, Error> {
        Ok(Self::encode_reply(&nexus.restore(grant).await?))
    }
}

impl Handle for call::OperatorStatus {
    async fn handle(nexus: &Arc<Nexus>, grant: Grant<Self>) -> Result<Bytes, Error> {
        Ok(Self::encode_reply(&nexus.status(grant).await?))
    }
}
