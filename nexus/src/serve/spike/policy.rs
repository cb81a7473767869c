//! Policies. Questions about them are in `questions`.

use std::sync::Arc;

use spike_daemon::http::{AnswerBytes, AnswerMemory};
use spike_mtls::clock;
use spike_wire::{
    Call, EmptyResponse, Policy, PolicyListRequest, PolicyListResponse, PolicyNameRequest,
    PolicyPutRequest, PolicyPutResponse, call,
};

use super::{Handle, page};
use crate::{
    access::Grant,
    error::Error,
    service::{
        Nexus,
        lists::{ListPolicies, Names, WholePattern},
        policies::{DeletePolicy, PutPolicy, ReadPolicy},
    },
};

impl Handle for call::PolicyPut {
    type Asked = PutPolicy;

    fn asked(request: PolicyPutRequest) -> PutPolicy {
        PutPolicy {
            name: request.name,
            spiffe_id_pattern: request.spiffeid_pattern,
            path_pattern: request.path_pattern,
            permissions: request.permissions,
            create_only: request.create_only,
        }
    }

    async fn handle(
        nexus: &Arc<Nexus>,
        grant: Grant<PutPolicy>,
        _: AnswerMemory,
    ) -> Result<AnswerBytes, Error> {
        let id = nexus.put_policy(grant).await?;
        Ok(Self::encode_reply(&PolicyPutResponse { id }).into())
    }
}

impl Handle for call::PolicyGet {
    type Asked = ReadPolicy;

    fn asked(PolicyNameRequest { name }: PolicyNameRequest) -> ReadPolicy {
        ReadPolicy { name }
    }

    async fn handle(
        nexus: &Arc<Nexus>,
        grant: Grant<ReadPolicy>,
        _: AnswerMemory,
    ) -> Result<AnswerBytes, Error> {
        let stored = nexus.read_policy(grant).await?;
        Ok(Self::encode_reply(&Policy {
            created_at: clock::at(stored.created),
            updated_at: clock::at(stored.updated),
            name: stored.name,
            spiffeid_pattern: stored.text.spiffe_id_pattern,
            path_pattern: stored.text.path_pattern,
            permissions: stored.text.permissions,
        })
        .into())
    }
}

impl Handle for call::PolicyDelete {
    type Asked = DeletePolicy;

    fn asked(PolicyNameRequest { name }: PolicyNameRequest) -> DeletePolicy {
        DeletePolicy { name }
    }

    async fn handle(
        nexus: &Arc<Nexus>,
        grant: Grant<DeletePolicy>,
        _: AnswerMemory,
    ) -> Result<AnswerBytes, Error> {
        nexus.delete_policy(grant).await?;
        Ok(Self::encode_reply(&EmptyResponse).into())
    }
}

impl Handle for call::PolicyList {
    type Asked = ListPolicies;

    fn asked(request: PolicyListRequest) -> ListPolicies {
        ListPolicies {
            // Upstream's filters compare whole patterns, and that of the SPIFFE ID comes first; ours look for a part.
            pattern: match (request.spiffeid_pattern, request.path_pattern) {
                (id, _) if !id.is_empty() => Some(WholePattern::SpiffeId(id)),
                (_, path) if !path.is_empty() => Some(WholePattern::Path(path)),
                (_, _) => None,
            },
            name_contains: request.name_contains,
            spiffe_id_contains: request.spiffeid_contains,
            path_contains: request.path_contains,
            page: page(request.after, request.limit),
        }
    }

    async fn handle(
        nexus: &Arc<Nexus>,
        grant: Grant<ListPolicies>,
        memory: AnswerMemory,
    ) -> Result<AnswerBytes, Error> {
        let answer = move |Names { names, next }| {
            Ok(memory.keep(Self::encode_reply(&PolicyListResponse { names, next }))?)
        };
        nexus.list_policies(grant, answer).await
    }
}
