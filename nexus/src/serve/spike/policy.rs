//! N7 to N10, and questions: policies.

use std::sync::Arc;

use bytes::Bytes;
use spike_wire::{Call, EmptyResponse, call};

use super::Handle;
use crate::{access::Grant, error::Error, service::Nexus};

impl Handle for call::PolicyPut {
    async fn handle(nexus: &Arc<Nexus>, grant: Grant<Self>) -> Result<Bytes, Error> {
        Ok(Self::encode_reply(&nexus.put_policy(grant).await?))
    }
}

impl Handle for call::PolicyGet {
    async fn handle(nexus: &Arc<Nexus>, grant: Grant<Self>) -> Result<Bytes, Error> {
        Ok(Self::encode_reply(&nexus.get_policy(grant)?))
    }
}

impl Handle for call::PolicyDelete {
    async fn handle(nexus: &Arc<Nexus>, grant: Grant<Self>) -> Result<Bytes, Error> {
        nexus.delete_policy(grant).await?;
        Ok(Self::encode_reply(&EmptyResponse))
    }
}

impl Handle for call::PolicyList {
    async fn handle(nexus: &Arc<Nexus>, grant: Grant<Self>) -> Result<Bytes, Error> {
        Ok(Self::encode_reply(&nexus.list_policies(grant).await?))
    }
}

impl Handle for call::PolicyExplain {
    async fn handle(nexus: &Arc<Nexus>, grant: Grant<Self>) -> Result<Bytes, Error> {
        Ok(Self::encode_reply(&nexus.explain(grant).await?))
    }
}

impl Handle for call::PolicyWhoCan {
    async fn handle(nexus: &Arc<Nexus>, grant: Grant<Self>) -> Result<Bytes, Error> {
        Ok(Self::encode_reply(&nexus.who_can(grant).await?))
    }
}

impl Handle for call::PolicyLint {
    async fn handle(nexus: &Arc<Nexus>, grant: Grant<Self>) -> Result<Bytes, Error> {
        Ok(Self::encode_reply(&nexus.lint_policies(grant).await?))
    }
}
