//! N7 to N10: policies.

use spike_wire::{
    EmptyRequest, EmptyResponse, ExplainRequest, PolicyListRequest, PolicyNameRequest,
    PolicyPutRequest, WhoCanRequest,
};

use super::{HandlerRequest, Outcome};

pub(super) async fn put(request: HandlerRequest<'_>) -> Outcome {
    let about = |body: &PolicyPutRequest| Some(body.name.clone());
    request
        .run(PolicyPutRequest::decode, about, async |nexus, grant, body| {
            Ok(nexus.put_policy(grant, &body).await?.encode())
        })
        .await
}

pub(super) async fn get(request: HandlerRequest<'_>) -> Outcome {
    let about = |body: &PolicyNameRequest| Some(body.name.clone());
    request
        .run(PolicyNameRequest::decode, about, async |nexus, grant, body| {
            Ok(nexus.get_policy(grant, &body)?.encode())
        })
        .await
}

pub(super) async fn delete(request: HandlerRequest<'_>) -> Outcome {
    let about = |body: &PolicyNameRequest| Some(body.name.clone());
    request
        .run(PolicyNameRequest::decode, about, async |nexus, grant, body| {
            nexus.delete_policy(grant, &body).await?;
            Ok(EmptyResponse.encode())
        })
        .await
}

pub(super) async fn list(request: HandlerRequest<'_>) -> Outcome {
    request
        .run(
            PolicyListRequest::decode,
            |_| None,
            async |nexus, grant, body| Ok(nexus.list_policies(grant, body).await?.encode()),
        )
        .await
}

pub(super) async fn explain(request: HandlerRequest<'_>) -> Outcome {
    let about = |body: &ExplainRequest| Some(body.path.clone());
    request
        .run(ExplainRequest::decode, about, async |nexus, grant, body| {
            Ok(nexus.explain(grant, body).await?.encode())
        })
        .await
}

pub(super) async fn who_can(request: HandlerRequest<'_>) -> Outcome {
    let about = |body: &WhoCanRequest| Some(body.path.clone());
    request
        .run(WhoCanRequest::decode, about, async |nexus, grant, body| {
            Ok(nexus.who_can(grant, body).await?.encode())
        })
        .await
}

pub(super) async fn lint(request: HandlerRequest<'_>) -> Outcome {
    request
        .run(
            EmptyRequest::decode,
            |_| None,
            async |nexus, grant, _| Ok(nexus.lint_policies(grant).await?.encode()),
        )
        .await
}
