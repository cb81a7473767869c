//! N1 to N6: secrets.

use std::sync::Arc;

use bytes::Bytes;
use spike_wire::{Call, EmptyResponse, SecretGetResponse, call};

use super::Handle;
use crate::{access::Grant, error::Error, service::Nexus};

impl Handle for call::SecretPut {
    async fn handle(nexus: &Arc<Nexus>, grant: Grant<Self>) -> Result<Bytes, Error> {
        nexus.put_secret(grant).await?;
        Ok(Self::encode_reply(&EmptyResponse))
    }
}

impl Handle for call::SecretGet {
    async fn handle(nexus: &Arc<Nexus>, grant: Grant<Self>) -> Result<Bytes, Error> {
        // What the store keeps is the JSON object that was put: it goes out as it is.
        SecretGetResponse::encode_stored(|out| nexus.get_secret(grant, out))
    }
}

impl Handle for call::SecretDelete {
    async fn handle(nexus: &Arc<Nexus>, grant: Grant<Self>) -> Result<Bytes, Error> {
        nexus.delete_secret(grant).await?;
        Ok(Self::encode_reply(&EmptyResponse))
    }
}

impl Handle for call::SecretUndelete {
    async fn handle(nexus: &Arc<Nexus>, grant: Grant<Self>) -> Result<Bytes, Error> {
        nexus.undelete_secret(grant).await?;
        Ok(Self::encode_reply(&EmptyResponse))
    }
}

impl Handle for call::SecretList {
    async fn handle(nexus: &Arc<Nexus>, grant: Grant<Self>) -> Result<Bytes, Error> {
        Ok(Self::encode_reply(&nexus.list_secrets(grant).await?))
    }
}

impl Handle for call::SecretMetadata {
    async fn handle(nexus: &Arc<Nexus>, grant: Grant<Self>) -> Result<Bytes, Error> {
        Ok(Self::encode_reply(&nexus.secret_metadata(grant)?))
    }
}
