//! What a fake answers: the order of checks, and the answer of each operation.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::StatusCode;
use spike_domain::{ACL_PATH, CIPHER_PATH, SecretPath};
use spike_mtls::client::{CallError, Ended, Refusal};
use spike_wire::{
    Call, DECRYPTION_FAILED, DecryptResponse, EmptyResponse, ErrorCode, JsonError, Operation,
    PolicyPutResponse, SecretBytes, SecretGetResponse, SecretValues, call,
};

use super::{State, cipher, failure::refused};

/// The largest body that Nexus takes by default, in bytes.
const MAX_BODY: usize = 4 * 1024 * 1024;
/// The largest plaintext that Nexus takes by default, in bytes.
const MAX_PLAINTEXT: usize = 65_536;

/// Who may not do what: prefixes of paths.
#[derive(Default)]
pub(super) struct Denials {
    /// Whether only calls that change something are denied.
    prefixes: BTreeMap<String, bool>,
}

impl Denials {
    pub(super) fn deny(&mut self, prefix: &str, only_writes: bool) {
        self.prefixes.insert(prefix.to_owned(), only_writes);
    }

    pub(super) fn allow(&mut self, prefix: &str) {
        self.prefixes.remove(prefix);
    }

    fn are_for(&self, path: &str, changes: bool) -> bool {
        self.prefixes
            .iter()
            .any(|(prefix, only_writes)| path.starts_with(prefix) && (changes || !only_writes))
    }
}

/// Why a call is refused: the code, and the explanation.
struct Refused(ErrorCode, Option<String>);

impl From<JsonError> for Refused {
    fn from(error: JsonError) -> Self {
        invalid(error.to_string())
    }
}

fn invalid(reason: impl Into<String>) -> Refused {
    Refused(ErrorCode::ApiBadRequest, Some(reason.into()))
}

const NOT_FOUND: Refused = Refused(ErrorCode::ApiNotFound, None);
const DENIED: Refused = Refused(ErrorCode::AccessUnauthorized, None);

impl State {
    /// Answers one call.
    pub(super) fn answer(&mut self, operation: Operation, body: &[u8]) -> Ended<Bytes> {
        let request_id = format!("fake-{}", self.calls.len() + 1);
        self.note(operation, subject(operation, body));
        let failure = self.next.pop_front().or_else(|| self.standing.clone());
        let retry_after = failure.as_ref().and_then(super::Failure::retry_after);
        let outcome = match failure {
            Some(failure) => {
                if failure.is_done() {
                    // Nobody sees what came of it.
                    drop(self.carry_out(operation, body));
                }
                Err(failure.error(&request_id))
            }
            None if body.len() > MAX_BODY => Err(CallError::Refused(Refusal {
                status: StatusCode::PAYLOAD_TOO_LARGE,
                code: None,
                reason: Some(too_large()),
                request_id: Some(request_id.clone()),
            })),
            None => self
                .carry_out(operation, body)
                .map_err(|Refused(code, reason)| refused(code, reason.as_deref(), &request_id)),
        };
        Ended { outcome, request_id: Some(request_id), retry_after }
    }

    fn carry_out(&mut self, operation: Operation, body: &[u8]) -> Result<Bytes, Refused> {
        match operation {
            Operation::SecretPut => {
                let asked = call::SecretPut::decode(body)?;
                self.path(&asked.path, true)?;
                self.store.put(&asked.path, asked.values.as_ref()).map_err(invalid)?;
                Ok(EmptyResponse.encode())
            }
            Operation::SecretGet => {
                let asked = call::SecretGet::decode(body)?;
                self.path(&asked.path, false)?;
                let json = self.store.get(&asked.path, asked.version).ok_or(NOT_FOUND)?;
                let data = SecretValues::from_json_object(json)?;
                Ok(SecretGetResponse { data }.encode())
            }
            Operation::SecretDelete => {
                let asked = call::SecretDelete::decode(body)?;
                self.path(&asked.path, true)?;
                found(self.store.delete(&asked.path, &asked.versions))
            }
            Operation::SecretUndelete => {
                let asked = call::SecretUndelete::decode(body)?;
                self.path(&asked.path, true)?;
                found(self.store.undelete(&asked.path, &asked.versions))
            }
            Operation::SecretList => {
                let asked = call::SecretList::decode(body)?;
                if self.denials.are_for("", false) {
                    return Err(DENIED);
                }
                Ok(self.store.list(&asked, |path| !self.denials.are_for(path, false)).encode())
            }
            Operation::SecretMetadata => {
                let asked = call::SecretMetadata::decode(body)?;
                self.path(&asked.path, false)?;
                Ok(self.store.metadata(&asked).ok_or(NOT_FOUND)?.encode())
            }
            Operation::CipherEncrypt | Operation::CipherDecrypt => self.cipher(operation, body),
            Operation::PolicyPut
            | Operation::PolicyGet
            | Operation::PolicyDelete
            | Operation::PolicyList => self.policy(operation, body),
            // Ours, or of operators and Bootstrap: as upstream's answers to what it does not know.
            Operation::PolicyExplain
            | Operation::PolicyWhoCan
            | Operation::PolicyLint
            | Operation::OperatorRecover
            | Operation::OperatorRestore
            | Operation::OperatorStatus
            | Operation::BootstrapVerify
            | Operation::BootstrapSurvey => Err(invalid("the fake has no such call")),
        }
    }

    fn cipher(&mut self, operation: Operation, body: &[u8]) -> Result<Bytes, Refused> {
        self.allowed(CIPHER_PATH, false)?;
        if operation == Operation::CipherEncrypt {
            let asked = call::CipherEncrypt::decode(body)?;
            let plaintext = asked.plaintext.expose_secret();
            if plaintext.len() > MAX_PLAINTEXT {
                return Err(invalid("the plaintext is over the limit"));
            }
            self.encryptions += 1;
            return Ok(cipher::encrypt(self.encryptions, plaintext).encode());
        }
        let asked = call::CipherDecrypt::decode(body)?;
        let plaintext = cipher::decrypt(&asked).ok_or_else(|| invalid(DECRYPTION_FAILED))?;
        Ok(DecryptResponse { plaintext: SecretBytes::from(plaintext.as_slice()) }.encode())
    }

    fn policy(&mut self, operation: Operation, body: &[u8]) -> Result<Bytes, Refused> {
        self.allowed(ACL_PATH, operation.changes())?;
        match operation {
            Operation::PolicyPut => {
                let asked = call::PolicyPut::decode(body)?;
                let id = asked.name.clone();
                let now = self.store.now();
                let refused = |(code, reason): (_, &str)| Refused(code, Some(reason.to_owned()));
                self.policies.put(asked, now).map_err(refused)?;
                Ok(PolicyPutResponse { id }.encode())
            }
            Operation::PolicyGet => {
                let asked = call::PolicyGet::decode(body)?;
                Ok(self.policies.get(&asked.name).ok_or(NOT_FOUND)?.encode())
            }
            Operation::PolicyDelete => {
                found(self.policies.delete(&call::PolicyDelete::decode(body)?.name))
            }
            _ => Ok(self.policies.list(&call::PolicyList::decode(body)?).encode()),
        }
    }

    /// Whether the peer may do this at a path, and whether it is one.
    fn path(&self, path: &str, changes: bool) -> Result<(), Refused> {
        self.allowed(path, changes)?;
        SecretPath::parse(path).map(drop).map_err(|error| invalid(error.to_string()))
    }

    fn allowed(&self, path: &str, changes: bool) -> Result<(), Refused> {
        if self.denials.are_for(path, changes) { Err(DENIED) } else { Ok(()) }
    }
}

fn too_large() -> String {
    format!("the body is larger than {MAX_BODY} bytes (SPIKE_HTTP_SERVER_MAX_BODY_SIZE)")
}

fn found(found: bool) -> Result<Bytes, Refused> {
    if found { Ok(EmptyResponse.encode()) } else { Err(NOT_FOUND) }
}

/// The path, prefix or name in a request.
fn subject(operation: Operation, body: &[u8]) -> String {
    let subject = match operation {
        Operation::SecretPut => call::SecretPut::decode(body).map(|asked| asked.path),
        Operation::SecretGet => call::SecretGet::decode(body).map(|asked| asked.path),
        Operation::SecretDelete | Operation::SecretUndelete => {
            call::SecretDelete::decode(body).map(|asked| asked.path)
        }
        Operation::SecretList => call::SecretList::decode(body).map(|asked| asked.prefix),
        Operation::SecretMetadata => call::SecretMetadata::decode(body).map(|asked| asked.path),
        Operation::PolicyPut => call::PolicyPut::decode(body).map(|asked| asked.name),
        Operation::PolicyGet | Operation::PolicyDelete => {
            call::PolicyGet::decode(body).map(|asked| asked.name)
        }
        Operation::CipherEncrypt
        | Operation::CipherDecrypt
        | Operation::PolicyList
        | Operation::PolicyExplain
        | Operation::PolicyWhoCan
        | Operation::PolicyLint
        | Operation::OperatorRecover
        | Operation::OperatorRestore
        | Operation::OperatorStatus
        | Operation::BootstrapVerify
        | Operation::BootstrapSurvey => return String::new(),
    };
    subject.unwrap_or_default()
}
