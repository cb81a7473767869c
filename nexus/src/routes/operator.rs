//! N13, N14 and the status: what operators do with the root key.

use spike_wire::{EmptyRequest, RestoreRequest};

use super::{HandlerRequest, Outcome};

pub(super) async fn recover(request: HandlerRequest<'_>) -> Outcome {
    request
        .run(
            EmptyRequest::decode,
            |_| None,
            async |nexus, grant, _| Ok(nexus.recover(grant).await?.encode()),
        )
        .await
}

pub(super) async fn restore(request: HandlerRequest<'_>) -> Outcome {
    let about = |body: &RestoreRequest| Some(format!("share {}", body.id));
    request
        .run(RestoreRequest::decode, about, async |nexus, grant, body| {
            Ok(nexus.restore(grant, &body).await?.encode())
        })
        .await
}

pub(super) async fn status(request: HandlerRequest<'_>) -> Outcome {
    request
        .run(
            EmptyRequest::decode,
            |_| None,
            async |nexus, grant, _| Ok(nexus.status(grant).await?.encode()),
        )
        .await
}
