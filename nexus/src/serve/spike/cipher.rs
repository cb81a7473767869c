//! N11 and N12: the cipher, in JSON and in stream mode. Their order of checks is their own (wire-api 4.3).

use std::sync::Arc;

use axum::http::StatusCode;
use bytes::Bytes;
use spike_daemon::http::{BodyError, BodyLimits, FrameError, Reply};
use spike_wire::{DECRYPTION_FAILED, DecryptRequest, STREAM_HEADER_LEN, call};

use super::{Handle, HandlerRequest, Outcome};
use crate::{access::Grant, error::Error, service::Nexus};

/// What JSON needs besides the bytes: names, version, nonce, and an `algorithm` that nobody looks at.
const JSON_OVERHEAD: usize = 4096;
/// The most characters of JSON for one byte of data: a list of numbers, as Go reads it too.
const JSON_PER_BYTE: usize = 5;

pub(super) async fn encrypt(request: HandlerRequest<'_>) -> Outcome {
    let limits = limits(&request);
    if request.is_stream {
        return told_as_upstream(Outcome::from(encrypt_stream(request, limits).await));
    }
    let outcome = request.run_within::<call::CipherEncrypt>(limits).await;
    told_as_upstream(outcome)
}

impl Handle for call::CipherEncrypt {
    async fn handle(nexus: &Arc<Nexus>, grant: Grant<Self>) -> Result<Bytes, Error> {
        Ok(nexus.encrypt(grant)?.encode())
    }
}

/// Whoever may not decrypt is told so whatever the body says. It is read first all the same: an answer to a connection
/// that is closed while the peer still sends may never be heard.
pub(super) async fn decrypt(request: HandlerRequest<'_>) -> Outcome {
    let limits = limits(&request);
    let HandlerRequest { nexus, peer, is_stream, body, .. } = request;
    let result = async {
        let body = body.read(limits).await;
        let grant = nexus.access().authorize_unread::<call::CipherDecrypt>(peer)?;
        let body = body?;
        if is_stream {
            return Ok(match nexus.decrypt_stream(grant.carrying(&body))? {
                Ok(plaintext) => Reply::octets(Bytes::from_owner(plaintext)),
                Err(Some(code)) => Reply::plain_error(code.status(), code.as_str()),
                Err(None) => Reply::plain_error(StatusCode::BAD_REQUEST, DECRYPTION_FAILED),
            });
        }
        let request = DecryptRequest::decode(&body)?;
        Ok(Reply::ok(nexus.decrypt(grant.carrying(request))?.encode()))
    };
    told_as_upstream(Outcome::from(result.await))
}

async fn encrypt_stream(request: HandlerRequest<'_>, limits: BodyLimits) -> Result<Reply, Error> {
    let HandlerRequest { nexus, peer, body, .. } = request;
    let body = body.read(limits).await?;
    let grant = nexus.access().authorize_unread::<call::CipherEncrypt>(peer)?;
    Ok(Reply::octets(Bytes::from(nexus.encrypt_stream(grant.carrying(&body))?)))
}

/// A body over the limit is answered as a plaintext or ciphertext over the limit is.
fn told_as_upstream(outcome: Outcome) -> Outcome {
    let Outcome { result, subject } = outcome;
    let result = result.map_err(|error| match error {
        Error::Frame(FrameError::Body(error @ BodyError::TooLarge { .. })) => {
            Error::TooLargeToCipher(error)
        }
        other => other,
    });
    Outcome { result, subject }
}

/// As much as the largest request takes, and no more: a body of 100 MiB is not read to be refused.
fn limits(request: &HandlerRequest<'_>) -> BodyLimits {
    let data = request.nexus.max_ciphertext();
    let bytes = if request.is_stream {
        data.saturating_add(STREAM_HEADER_LEN).saturating_add(1)
    } else {
        data.saturating_mul(JSON_PER_BYTE).saturating_add(JSON_OVERHEAD)
    };
    BodyLimits { bytes, ..request.nexus.body_limits() }
}
