//! N1 to N6: secrets.

use std::sync::Arc;

use bytes::Bytes;
use spike_domain::{History, Selector};
use spike_mtls::clock;
use spike_wire::{
    Call, EmptyResponse, SecretGetRequest, SecretGetResponse, SecretListRequest,
    SecretListResponse, SecretMetadata, SecretMetadataRequest, SecretMetadataResponse,
    SecretPutRequest, SecretVersionsRequest, VersionMetadata, call,
};

use super::{Handle, page};
use crate::{
    access::Grant,
    error::Error,
    service::{
        Nexus,
        lists::{ListSecrets, Names},
        secrets::{
            DeleteVersions, DescribeSecret, PutSecret, ReadSecret, UndeleteVersions, Values,
        },
    },
};

impl Handle for call::SecretPut {
    type Asked = PutSecret;

    fn asked(SecretPutRequest { path, values }: SecretPutRequest) -> PutSecret {
        let values = match values {
            Some(values) => Values::new(values.names(), values.to_json_object()),
            // Upstream takes a body without this key for a secret without values. A mistake in the query would then empty the
            // secret.
            None => Err("the key is missing; a secret without values is {}".to_owned()),
        };
        PutSecret { path, values }
    }

    async fn handle(nexus: &Arc<Nexus>, grant: Grant<PutSecret>) -> Result<Bytes, Error> {
        nexus.put_secret(grant).await?;
        Ok(Self::encode_reply(&EmptyResponse))
    }
}

impl Handle for call::SecretGet {
    type Asked = ReadSecret;

    fn asked(SecretGetRequest { path, version }: SecretGetRequest) -> ReadSecret {
        ReadSecret { path, version: version.into() }
    }

    async fn handle(nexus: &Arc<Nexus>, grant: Grant<ReadSecret>) -> Result<Bytes, Error> {
        // The store keeps the JSON object that was put. It is sent unchanged.
        SecretGetResponse::encode_stored(|out| nexus.read_secret(grant, out))
    }
}

impl Handle for call::SecretDelete {
    type Asked = DeleteVersions;

    fn asked(SecretVersionsRequest { path, versions }: SecretVersionsRequest) -> DeleteVersions {
        DeleteVersions { path, versions: selectors(&versions) }
    }

    async fn handle(nexus: &Arc<Nexus>, grant: Grant<DeleteVersions>) -> Result<Bytes, Error> {
        nexus.delete_versions(grant).await?;
        Ok(Self::encode_reply(&EmptyResponse))
    }
}

impl Handle for call::SecretUndelete {
    type Asked = UndeleteVersions;

    fn asked(SecretVersionsRequest { path, versions }: SecretVersionsRequest) -> UndeleteVersions {
        UndeleteVersions { path, versions: selectors(&versions) }
    }

    async fn handle(nexus: &Arc<Nexus>, grant: Grant<UndeleteVersions>) -> Result<Bytes, Error> {
        nexus.undelete_versions(grant).await?;
        Ok(Self::encode_reply(&EmptyResponse))
    }
}

impl Handle for call::SecretList {
    type Asked = ListSecrets;

    fn asked(SecretListRequest { prefix, after, limit }: SecretListRequest) -> ListSecrets {
        ListSecrets { prefix, page: page(after, limit) }
    }

    async fn handle(nexus: &Arc<Nexus>, grant: Grant<ListSecrets>) -> Result<Bytes, Error> {
        let Names { names, next } = nexus.list_secrets(grant).await?;
        Ok(Self::encode_reply(&SecretListResponse { keys: names, next }))
    }
}

impl Handle for call::SecretMetadata {
    type Asked = DescribeSecret;

    fn asked(request: SecretMetadataRequest) -> DescribeSecret {
        let SecretMetadataRequest { path, version, include_deleted } = request;
        DescribeSecret { path, version: version.into(), include_deleted }
    }

    async fn handle(nexus: &Arc<Nexus>, grant: Grant<DescribeSecret>) -> Result<Bytes, Error> {
        Ok(Self::encode_reply(&metadata(&nexus.describe_secret(grant)?)))
    }
}

/// An empty list means the current version, as a 0 in it does.
fn selectors(versions: &[i64]) -> Vec<Selector> {
    match versions {
        [] => vec![Selector::Current],
        versions => versions.iter().copied().map(Selector::from).collect(),
    }
}

fn metadata(history: &History) -> SecretMetadataResponse {
    let versions = history.versions().iter().map(|version| {
        let entry = VersionMetadata {
            created_time: clock::at(version.created),
            version: version.number,
            deleted_time: version.deleted.map(clock::at),
        };
        (version.number, entry)
    });
    SecretMetadataResponse {
        versions: versions.collect(),
        metadata: SecretMetadata {
            current_version: history.current().map_or(0, |version| version.number),
            oldest_version: history.oldest().map_or(0, |version| version.number),
            created_time: clock::at(history.created()),
            updated_time: clock::at(history.updated()),
            max_versions: i64::from(history.max_versions().get()),
        },
    }
}
