//! A peer may leave at any moment. Store, decisions and audit log agree, whenever the answer to a request is dropped.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use spike_crypto::{AssociatedData, Encrypted, RootCipher, Share};
use spike_domain::{Role, Selector, TrustRootsByRole};
use spike_wire::{
    DecryptRequest, EncryptRequest, ExplainRequest, Operation, PolicyNameRequest, PolicyPutRequest,
    RestoreRequest, Rule, SecretBytes, SecretGetRequest, SecretPutRequest, SecretValues,
    SecretVersionsRequest, Shard, VerifyRequest, WRITTEN_VERSION, WhoCanRequest,
};

use super::fixture::{
    DELETED, Fixture, KEPT, NEW, NEW_POLICY, OLD_POLICY, State, path, policy, readable, reader,
    root_key,
};
use crate::policy::Permission;

/// More polls than any answer takes.
const MOST_POLLS: usize = 100;

/// The status in the audit log of a request whose answer was dropped before the first poll.
const GIVEN_UP: u64 = 499;

/// A SPIFFE ID that may do it without a policy.
pub(super) fn id_for(operation: Operation) -> String {
    let role = match operation.rule() {
        Rule::Roles(roles) => roles[0],
        Rule::OnThePath(_) | Rule::OnSystemPath(..) | Rule::Names(..) | Rule::Cipher(..) => {
            Role::PilotSuperuser
        }
    };
    TrustRootsByRole::default().of(role).ids(role).next().unwrap()
}

/// A body for which it is carried out. The default is a body with the path of a secret.
pub(super) fn body_for(operation: Operation, shares: &[Share]) -> Bytes {
    let named = |name: &str| PolicyNameRequest { name: name.to_owned() }.encode();
    let versions =
        |path: &str| SecretVersionsRequest { path: path.to_owned(), versions: vec![1] }.encode();
    match operation {
        Operation::SecretPut => {
            let values = SecretValues::from_json_object(br#"{"k":"v"}"#).unwrap();
            SecretPutRequest { path: NEW.to_owned(), values }.encode()
        }
        Operation::SecretDelete => versions(KEPT),
        Operation::SecretUndelete => versions(DELETED),
        Operation::PolicyPut => {
            let text = policy(NEW_POLICY);
            let request = PolicyPutRequest {
                name: NEW_POLICY.to_owned(),
                spiffeid_pattern: text.spiffe_id_pattern,
                path_pattern: text.path_pattern,
                permissions: text.permissions,
                create_only: false,
            };
            request.encode()
        }
        Operation::PolicyGet | Operation::PolicyDelete => named(OLD_POLICY),
        Operation::PolicyExplain => {
            let request = ExplainRequest {
                spiffe_id: reader(OLD_POLICY),
                path: readable(OLD_POLICY),
                permission: "read".to_owned(),
            };
            request.encode()
        }
        Operation::PolicyWhoCan => {
            let permission = "read".to_owned();
            WhoCanRequest { path: readable(OLD_POLICY), permission }.encode()
        }
        Operation::CipherEncrypt => {
            EncryptRequest { plaintext: SecretBytes::from(b"text".as_slice()) }.encode()
        }
        Operation::CipherDecrypt => {
            let Encrypted { nonce, ciphertext } = encrypted();
            let nonce = nonce.to_vec();
            DecryptRequest { version: WRITTEN_VERSION, nonce, ciphertext }.encode()
        }
        Operation::OperatorRestore => {
            let Share { index, value } = &shares[1];
            let shard = Shard::new(value.expose_bytes());
            RestoreRequest { id: index.get().into(), shard, more: false }.encode()
        }
        Operation::BootstrapVerify => {
            let Encrypted { nonce, ciphertext } = encrypted();
            VerifyRequest { nonce: nonce.to_vec(), ciphertext }.encode()
        }
        _ => SecretGetRequest { path: KEPT.to_owned(), version: 0 }.encode(),
    }
}

/// A ciphertext that only a holder of the root key can read.
fn encrypted() -> Encrypted {
    let cipher = RootCipher::new(&root_key());
    cipher.aead().encrypt(b"text", &AssociatedData::none()).unwrap()
}

/// The states of Nexus in which it is tested.
pub(super) const fn states_for(operation: Operation) -> &'static [State] {
    match operation {
        Operation::OperatorRestore => &[State::OneShareShort],
        Operation::BootstrapVerify => &[State::Unsealed, State::KeyUnproved],
        _ => &[State::Unsealed],
    }
}

/// The present state of everything that a request can change.
#[derive(Debug, PartialEq, Eq)]
struct Contents {
    sealed: bool,
    /// The secrets that can be read.
    live: Vec<&'static str>,
    policies: Vec<String>,
    is_exported: bool,
}

impl Contents {
    fn of(fixture: &Fixture) -> Self {
        let Some(unsealed) = fixture.unsealed() else {
            let policies = vec![OLD_POLICY.to_owned()];
            return Self { sealed: true, live: vec![KEPT], policies, is_exported: false };
        };
        let store = unsealed.store().unwrap();
        let is_live = |name: &&str| {
            let value = store.get(&path(name), Selector::Current).unwrap();
            value.is_some_and(|value| value.as_slice() == br#"{"k":"v"}"#)
        };
        Self {
            sealed: false,
            live: [DELETED, KEPT, NEW].into_iter().filter(is_live).collect(),
            policies: store.policy_names().unwrap(),
            is_exported: store.last_export().unwrap().is_some(),
        }
    }

    /// The state after the request was carried out.
    fn after(self, operation: Operation, state: State) -> Self {
        match operation {
            Operation::SecretPut => Self { live: vec![KEPT, NEW], ..self },
            Operation::SecretDelete => Self { live: Vec::new(), ..self },
            Operation::SecretUndelete => Self { live: vec![DELETED, KEPT], ..self },
            Operation::PolicyPut => {
                Self { policies: vec![NEW_POLICY.to_owned(), OLD_POLICY.to_owned()], ..self }
            }
            Operation::PolicyDelete => Self { policies: Vec::new(), ..self },
            Operation::OperatorRecover => Self { is_exported: true, ..self },
            Operation::OperatorRestore => Self { sealed: false, ..self },
            // The proof of a key without data creates a store.
            Operation::BootstrapVerify if state == State::KeyUnproved => {
                Self { sealed: false, live: Vec::new(), policies: Vec::new(), ..self }
            }
            _ if !operation.changes() => self,
            _ => panic!("what does {operation} change?"),
        }
    }
}

/// Polls a future whenever it is woken, and drops it after this many polls. `None`: it was not ready by then.
async fn polled<F: Future + Unpin>(mut future: F, polls: usize) -> Option<F::Output> {
    let mut left = polls;
    let poll = |context: &mut Context<'_>| {
        let Some(next) = left.checked_sub(1) else { return Poll::Ready(None) };
        left = next;
        match Pin::new(&mut future).poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    };
    poll_fn(poll).await
}

/// Compares who may read by the policies in force with who may read by the stored ones.
fn decisions_follow_the_store(fixture: &Fixture, what: &str) {
    let Some(unsealed) = fixture.unsealed() else { return };
    let stored = unsealed.store().unwrap().policy_names().unwrap();
    for name in [OLD_POLICY, NEW_POLICY] {
        let set = unsealed.policies().unwrap().set();
        let decision = set.decide(&reader(name), &readable(name), Permission::Read);
        let is_allowed = matches!(decision, crate::policy::Decision::Allowed { .. });
        assert_eq!(is_allowed, stored.iter().any(|stored| stored == name), "{what}: {name}");
    }
}

/// Drops the answer after this many polls, and checks the result. Returns whether there was an answer by then.
async fn given_up_after(polls: usize, operation: Operation, state: State) -> bool {
    let what = format!("{operation} in {state:?} after {polls} polls");
    let fixture = Fixture::new(state).await;
    let before = Contents::of(&fixture);
    let body = body_for(operation, &fixture.shares);
    let answer = polled(fixture.send(&id_for(operation), operation, &body), polls).await;
    fixture.quiet().await;

    let records = fixture.records();
    assert_eq!(records.len(), 1, "{what}: {records:?}");
    let status = records[0]["Status"].as_u64();
    assert_eq!(records[0]["Path"], operation.path(), "{what}");
    if let Some(answer) = &answer {
        assert_eq!(status, Some(answer.status().as_u16().into()), "{what}");
    }
    // Every request that has begun is carried out.
    assert_eq!(status, Some(if polls == 0 { GIVEN_UP } else { 200 }), "{what}: {records:?}");
    let expected = if polls == 0 { before } else { before.after(operation, state) };
    assert_eq!(Contents::of(&fixture), expected, "{what}");
    decisions_follow_the_store(&fixture, &what);
    answer.is_some()
}

#[tokio::test]
async fn whenever_an_answer_is_given_up_store_decisions_and_audit_log_agree_on_every_route() {
    for operation in Operation::ALL.iter().copied() {
        for state in states_for(operation).iter().copied() {
            let mut polls = 0;
            while !given_up_after(polls, operation, state).await {
                polls += 1;
                assert!(polls < MOST_POLLS, "{operation} in {state:?} never ends");
            }
            // Otherwise no answer was dropped half-way.
            assert!(polls > 1, "{operation} in {state:?} has nothing to wait for");
        }
    }
}
