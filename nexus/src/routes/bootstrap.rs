//! Bootstrap: what there is before it makes a key, and N15, by which it makes sure that Nexus has the key that it made.

use spike_wire::{EmptyRequest, VerifyRequest};

use super::{HandlerRequest, Outcome};

pub(super) async fn verify(request: HandlerRequest<'_>) -> Outcome {
    request
        .run(
            VerifyRequest::decode,
            |_| None,
            async |nexus, grant, body| Ok(nexus.verify(grant, &body).await?.encode()),
        )
        .await
}

pub(super) async fn survey(request: HandlerRequest<'_>) -> Outcome {
    request
        .run(
            EmptyRequest::decode,
            |_| None,
            async |nexus, grant, _| Ok(nexus.survey(grant).await?.encode()),
        )
        .await
}
