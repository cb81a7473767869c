//! Secrets.

use std::sync::Arc;

use spike_daemon::http::{AnswerBytes, AnswerMemory};
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
            AppendValues, DeleteVersions, DescribeSecret, Description, Long, PutSecret, Read,
            ReadSecret, UndeleteVersions, Values,
        },
    },
    store::StoredValue,
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

    async fn handle(
        nexus: &Arc<Nexus>,
        grant: Grant<PutSecret>,
        _: AnswerMemory,
    ) -> Result<AnswerBytes, Error> {
        nexus.put_secret(grant).await?;
        Ok(Self::encode_reply(&EmptyResponse).into())
    }
}

impl Handle for call::SecretGet {
    type Asked = ReadSecret;

    fn asked(SecretGetRequest { path, version }: SecretGetRequest) -> ReadSecret {
        ReadSecret { path, version: version.into() }
    }

    async fn handle(
        nexus: &Arc<Nexus>,
        grant: Grant<ReadSecret>,
        memory: AnswerMemory,
    ) -> Result<AnswerBytes, Error> {
        // The store keeps the JSON object that was put. It is sent unchanged.
        let answer = |append: AppendValues<'_>| SecretGetResponse::encode_stored(append);
        match nexus.read_secret(grant, answer).await? {
            Read::Whole(body) => Ok(body.into()),
            // Boxed: few secrets need it.
            Read::Long(long) => Box::pin(read_long(nexus, long, memory)).await,
        }
    }
}

/// The answer with long values.
async fn read_long(
    nexus: &Arc<Nexus>,
    long: Long<ReadSecret>,
    memory: AnswerMemory,
) -> Result<AnswerBytes, Error> {
    let [before, after] = SecretGetResponse::AROUND_STORED;
    let length_of = move |value: usize| before.len() + value + after.len();
    // A reader that takes no answers is refused before the work.
    let room = memory.take(length_of(long.length()))?;
    let answer = move |value: &StoredValue| {
        let length = value.plaintext_len();
        let mut block = room.block(length_of(length))?;
        block.extend(before);
        block.extend_with(length, |place| value.open_to(place))?;
        block.extend(after);
        Ok(block.finish())
    };
    nexus.read_long_secret(long, answer).await
}

impl Handle for call::SecretDelete {
    type Asked = DeleteVersions;

    fn asked(SecretVersionsRequest { path, versions }: SecretVersionsRequest) -> DeleteVersions {
        DeleteVersions { path, versions: selectors(&versions) }
    }

    async fn handle(
        nexus: &Arc<Nexus>,
        grant: Grant<DeleteVersions>,
        _: AnswerMemory,
    ) -> Result<AnswerBytes, Error> {
        nexus.delete_versions(grant).await?;
        Ok(Self::encode_reply(&EmptyResponse).into())
    }
}

impl Handle for call::SecretUndelete {
    type Asked = UndeleteVersions;

    fn asked(SecretVersionsRequest { path, versions }: SecretVersionsRequest) -> UndeleteVersions {
        UndeleteVersions { path, versions: selectors(&versions) }
    }

    async fn handle(
        nexus: &Arc<Nexus>,
        grant: Grant<UndeleteVersions>,
        _: AnswerMemory,
    ) -> Result<AnswerBytes, Error> {
        nexus.undelete_versions(grant).await?;
        Ok(Self::encode_reply(&EmptyResponse).into())
    }
}

impl Handle for call::SecretList {
    type Asked = ListSecrets;

    fn asked(SecretListRequest { prefix, after, limit }: SecretListRequest) -> ListSecrets {
        ListSecrets { prefix, page: page(after, limit) }
    }

    async fn handle(
        nexus: &Arc<Nexus>,
        grant: Grant<ListSecrets>,
        memory: AnswerMemory,
    ) -> Result<AnswerBytes, Error> {
        let answer = move |Names { names, next }| {
            Ok(memory.keep(Self::encode_reply(&SecretListResponse { keys: names, next }))?)
        };
        nexus.list_secrets(grant, answer).await
    }
}

impl Handle for call::SecretMetadata {
    type Asked = DescribeSecret;

    fn asked(request: SecretMetadataRequest) -> DescribeSecret {
        let SecretMetadataRequest { path, version, include_deleted } = request;
        DescribeSecret { path, version: version.into(), include_deleted }
    }

    async fn handle(
        nexus: &Arc<Nexus>,
        grant: Grant<DescribeSecret>,
        memory: AnswerMemory,
    ) -> Result<AnswerBytes, Error> {
        let long = match nexus.describe_secret(grant).await? {
            Description::Whole(history) => {
                return Ok(Self::encode_reply(&metadata(&history)).into());
            }
            Description::Long(long) => long,
        };
        let room = memory.take(long.length().saturating_mul(JSON_PER_STORED_BYTE))?;
        let answer = move |history: &History| {
            let body = Self::encode_reply(&metadata(history));
            let mut block = room.block(body.len())?;
            block.extend(&body);
            Ok(block.finish())
        };
        nexus.describe_long_secret(long, answer).await
    }
}

/// A listed version has some 40 bytes, and its metadata in JSON up to 150.
const JSON_PER_STORED_BYTE: usize = 4;

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
