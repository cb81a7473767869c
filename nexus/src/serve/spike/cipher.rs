//! N11 and N12: the cipher, in JSON and in stream mode. Their order of checks is their own (wire-api 4.3).

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use spike_daemon::http::{AnswerMemory, BodyError, BodyLimits, FrameError, Reply};
use spike_wire::{
    Call, DECRYPTION_FAILED, DecryptResponse, EncryptResponse, STREAM_CONTENT_TYPE,
    STREAM_HEADER_LEN, SecretBytes, StreamCiphertext, WRITTEN_VERSION, call, is_readable_version,
};

use super::{CarryOut, HandlerRequest, Outcome, assert_same_operation};
use crate::{
    access::Principal,
    error::Error,
    service::{
        Nexus,
        cipher::{Decrypt, Encrypt},
    },
};

/// The size of the JSON besides the bytes: names, version, nonce, and an `algorithm` that is ignored.
const JSON_OVERHEAD: usize = 4096;
/// The most characters of JSON for one byte of data: a list of numbers, as Go reads it too.
const JSON_PER_BYTE: usize = 5;

const _: () = assert_same_operation::<call::CipherEncrypt, Encrypt<'_>>();
const _: () = assert_same_operation::<call::CipherDecrypt, Decrypt<'_>>();

impl CarryOut for call::CipherEncrypt {
    async fn carry_out(mut request: HandlerRequest<'_>) -> Outcome {
        let asked = Question::of(&request);
        let limits = asked.limits();
        // Boxed, as where bodies become requests: these are the largest futures.
        let encrypted = Box::pin(request.work_on_body(limits, move |body| {
            let Question { nexus, principal, memory, is_stream } = asked;
            let encrypt = |plaintext: &[u8]| {
                nexus.encrypt(nexus.access().authorize(principal, Encrypt { plaintext })?)
            };
            if is_stream {
                let encrypted = encrypt(body)?;
                let ciphertext = encrypted.ciphertext.as_slice();
                let framed = StreamCiphertext { nonce: &encrypted.nonce, ciphertext };
                return Ok(Reply::octets(memory.keep(Bytes::from(framed.encode()))?));
            }
            let request = Self::decode(body)?;
            let encrypted = encrypt(request.plaintext.expose_secret())?;
            let reply = EncryptResponse {
                version: WRITTEN_VERSION,
                nonce: encrypted.nonce.to_vec(),
                ciphertext: encrypted.ciphertext,
            };
            Ok(Reply::ok(memory.keep(reply.encode())?))
        }));
        with_upstreams_error(encrypted.await.map(|(reply, _held)| reply))
    }
}

impl CarryOut for call::CipherDecrypt {
    /// A peer that may not decrypt gets 401 whatever its body is. The body is read first all the same: an answer on a
    /// connection that is closed while the peer still sends may be lost.
    async fn carry_out(mut request: HandlerRequest<'_>) -> Outcome {
        let asked = Question::of(&request);
        let limits = asked.limits();
        let decrypted = Box::pin(request.work_on_body(limits, move |body| {
            let Question { nexus, principal, memory, is_stream } = asked;
            let grant = nexus.access().authorize_unread::<Decrypt<'_>>(principal)?;
            if is_stream {
                let StreamCiphertext { nonce, ciphertext } = match StreamCiphertext::parse(body) {
                    Ok(framed) => framed,
                    Err(code) => return Ok(Reply::plain_error(code.status(), code.as_str())),
                };
                return match nexus.decrypt(grant.carrying(Decrypt { nonce, ciphertext })) {
                    Ok(plaintext) => Ok(Reply::octets(memory.keep(Bytes::from_owner(plaintext))?)),
                    Err(Error::Undecryptable) => {
                        Ok(Reply::plain_error(StatusCode::BAD_REQUEST, DECRYPTION_FAILED))
                    }
                    Err(error) => Err(error),
                };
            }
            let request = Self::decode(body)?;
            // Releases up to 0.8.0 wrote the character 1, which is 49 in JSON (K7).
            if !is_readable_version(request.version) {
                let reason = format!("expected 1, got {}", request.version);
                return Err(Error::Invalid { field: "version", reason });
            }
            let asked = Decrypt { nonce: &request.nonce, ciphertext: &request.ciphertext };
            let plaintext = nexus.decrypt(grant.carrying(asked))?;
            let plaintext = SecretBytes::from(plaintext.as_slice());
            Ok(Reply::ok(memory.keep(DecryptResponse { plaintext }.encode())?))
        }));
        let result = match decrypted.await {
            Ok((reply, _held)) => Ok(reply),
            Err(error) => {
                let access = request.nexus.access();
                access.authorize_unread::<Decrypt<'_>>(request.principal).and(Err(error))
            }
        };
        with_upstreams_error(result)
    }
}

/// What the work on a body needs of its request.
struct Question {
    nexus: Arc<Nexus>,
    principal: Principal,
    memory: AnswerMemory,
    /// The cipher takes raw bytes for exactly one content type. No other route looks at it.
    is_stream: bool,
}

impl Question {
    fn of(request: &HandlerRequest<'_>) -> Self {
        Self {
            nexus: Arc::clone(request.nexus),
            principal: request.principal.clone(),
            memory: request.memory.clone(),
            is_stream: request.content_type().is_some_and(is_stream),
        }
    }

    /// The size of the largest valid request: a body of 100 MiB is not read only to be refused.
    fn limits(&self) -> BodyLimits {
        let data = self.nexus.max_ciphertext();
        let bytes = if self.is_stream {
            data.saturating_add(STREAM_HEADER_LEN).saturating_add(1)
        } else {
            data.saturating_mul(JSON_PER_BYTE).saturating_add(JSON_OVERHEAD)
        };
        BodyLimits { bytes, ..self.nexus.frame().body_limits() }
    }
}

/// The comparison is exact: a parameter, or another case, means JSON.
fn is_stream(content_type: &HeaderValue) -> bool {
    content_type.as_bytes() == STREAM_CONTENT_TYPE.as_bytes()
}

/// A body over the limit gets the answer of a plaintext or ciphertext over the limit.
fn with_upstreams_error(result: Result<Reply, Error>) -> Outcome {
    Outcome::from(result.map_err(|error| match error {
        Error::Frame(FrameError::Body(error @ BodyError::TooLarge { .. })) => {
            Error::TooLargeToCipher(error)
        }
        other => other,
    }))
}
