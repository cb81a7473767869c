//! N1 to N6: secrets.

use spike_wire::{
    EmptyResponse, SecretGetRequest, SecretGetResponse, SecretListRequest, SecretMetadataRequest,
    SecretPutRequest, SecretVersionsRequest,
};

use super::{HandlerRequest, Outcome};

pub(super) async fn put(request: HandlerRequest<'_>) -> Outcome {
    let about = |body: &SecretPutRequest| Some(body.path.clone());
    request
        .run(SecretPutRequest::decode, about, async |nexus, grant, body| {
            nexus.put_secret(grant, &body).await?;
            Ok(EmptyResponse.encode())
        })
        .await
}

pub(super) async fn get(request: HandlerRequest<'_>) -> Outcome {
    let about = |body: &SecretGetRequest| Some(body.path.clone());
    request
        .run(SecretGetRequest::decode, about, async |nexus, grant, body| {
            // What the store keeps is the JSON object that was put: it goes out as it is.
            SecretGetResponse::encode_stored(|out| nexus.get_secret(grant, &body, out))
        })
        .await
}

pub(super) async fn delete(request: HandlerRequest<'_>) -> Outcome {
    let about = |body: &SecretVersionsRequest| Some(body.path.clone());
    request
        .run(SecretVersionsRequest::decode, about, async |nexus, grant, body| {
            nexus.delete_secret(grant, &body).await?;
            Ok(EmptyResponse.encode())
        })
        .await
}

pub(super) async fn undelete(request: HandlerRequest<'_>) -> Outcome {
    let about = |body: &SecretVersionsRequest| Some(body.path.clone());
    request
        .run(SecretVersionsRequest::decode, about, async |nexus, grant, body| {
            nexus.undelete_secret(grant, &body).await?;
            Ok(EmptyResponse.encode())
        })
        .await
}

pub(super) async fn list(request: HandlerRequest<'_>) -> Outcome {
    request
        .run(
            SecretListRequest::decode,
            |_| None,
            async |nexus, grant, body| Ok(nexus.list_secrets(grant, body).await?.encode()),
        )
        .await
}

pub(super) async fn metadata(request: HandlerRequest<'_>) -> Outcome {
    let about = |body: &SecretMetadataRequest| Some(body.path.clone());
    request
        .run(SecretMetadataRequest::decode, about, async |nexus, grant, body| {
            Ok(nexus.secret_metadata(grant, &body)?.encode())
        })
        .await
}
