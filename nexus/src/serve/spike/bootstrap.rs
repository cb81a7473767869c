//! Bootstrap: what there is before it makes a key, and N15, by which it makes sure that Nexus has the key that it made.

use std::sync::Arc;

use bytes::Bytes;
use spike_wire::{Call, call};

use super::Handle;
use crate::{access::Grant, error::Error, service::Nexus};

impl Handle for call::BootstrapVerify {
    async fn handle(nexus: &Arc<Nexus>, grant: Grant<Self>) -> Result<Bytes, Error> {
        Ok(Self::encode_reply(&nexus.verify(grant).await?))
    }
}

impl Handle for call::BootstrapSurvey {
    async fn handle(nexus: &Arc<Nexus>, grant: Grant<Self>) -> Result<Bytes, Error> {
        Ok(Self::encode_reply(&nexus.survey(grant).await?))
    }
}
