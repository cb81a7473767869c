//! N15: Bootstrap makes sure that Nexus has the key that it made.

use spike_common::wire::VerifyRequest;

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
