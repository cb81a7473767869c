//! Large bodies and values: who is asked before they cost anything, and which threads work on them.

use std::sync::{Arc, mpsc};

use axum::response::Response;
use bytes::Bytes;
use futures_util::future::join_all;
use http::StatusCode;
use spike_daemon::http::{LARGE, SMALL_BODY};
use spike_mtls::{
    Peer,
    budget::{Bounds, Class},
    clock,
};
use spike_wire::{Operation, Rule, SecretGetRequest};
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use super::{
    dropped::{body_for, id_for},
    fixture::{Fixture, State, path},
};
use crate::{
    access::Principal,
    error::Error,
    service::long_work::{Bounds as Places, Lane, Place},
};

/// The path of a secret with a large value, and the size of that.
const LONG: &str = "data/long";
const LENGTH: usize = 3 * LARGE;
/// The versions of a long history.
const VERSIONS: usize = 2500;

/// The valid body of a request, made large by white space.
fn large_body(operation: Operation, fixture: &Fixture) -> Bytes {
    let body = body_for(operation, &fixture.shares);
    Bytes::from([body.as_ref(), " ".repeat(SMALL_BODY).as_bytes()].concat())
}

async fn put_long(fixture: &Fixture, name: &str) {
    let unsealed = fixture.unsealed().unwrap();
    let value = Zeroizing::new(format!(r#"{{"k":"{}"}}"#, "v".repeat(LENGTH)).into_bytes());
    unsealed.store().unwrap().put(&path(name), value, clock::unix_nanos()).await.unwrap();
}

fn read_long() -> Bytes {
    SecretGetRequest { path: LONG.to_owned(), version: 0 }.encode()
}

async fn body_of(answer: Response) -> (StatusCode, Bytes) {
    let status = answer.status();
    (status, axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap())
}

type Held = (Vec<mpsc::Sender<()>>, Vec<JoinHandle<Result<((), Place), Error>>>);

/// Takes every place of the lane but those of operators.
async fn fill(fixture: &Fixture, lane: Lane, places: usize) -> Held {
    let (mut ends, mut held) = (Vec::new(), Vec::new());
    for number in 0..places {
        let nexus = Arc::clone(fixture.nexus());
        let caller =
            Principal::from(&Peer::unverified(&format!("spiffe://spike.ist/other/{number}")));
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let (end, ended) = mpsc::channel();
        held.push(tokio::spawn(async move {
            let wait = move |_| {
                begun.send(()).ok();
                ended.recv().ok();
                Ok(())
            };
            nexus.run_long(lane, &caller, "wait", wait).await
        }));
        has_begun.await.unwrap();
        ends.push(end);
    }
    (ends, held)
}

/// A body of 4 MiB was parsed by a thread that served requests, and everybody waited; so did five hundred just below 64 KiB.
#[tokio::test]
async fn large_bodies_of_every_route_wait_for_a_place_and_small_ones_and_operators_do_not() {
    let fixture = Fixture::new(State::Unsealed).await;
    let _held = fill(&fixture, Lane::Bodies, Places::default().bodies).await;
    let answers = Operation::ALL.iter().map(async |operation| {
        let id = id_for(*operation);
        let body = large_body(*operation, &fixture);
        let answer = fixture.send_as((&id, Class::Ordinary), *operation, body).await;
        (*operation, answer.status())
    });
    for (operation, status) in join_all(answers).await {
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{operation}");
    }
    let get = Operation::SecretGet;
    let small = body_for(get, &fixture.shares);
    let id = id_for(get);
    assert_eq!(fixture.send_as((&id, Class::Ordinary), get, small).await.status(), 200);
    let large = large_body(get, &fixture);
    assert_eq!(fixture.send_as((&id, Class::Reserved), get, large).await.status(), 200);
}

#[tokio::test]
async fn a_large_body_is_carried_out_as_a_small_one_is_on_every_route() {
    for operation in Operation::ALL.iter().copied() {
        let state = match operation {
            Operation::OperatorRestore => State::OneShareShort,
            _ => State::Unsealed,
        };
        let fixture = Fixture::new(state).await;
        let id = id_for(operation);
        let body = large_body(operation, &fixture);
        let answer = fixture.send_as((&id, Class::Ordinary), operation, body).await;
        assert_eq!(answer.status(), 200, "{operation}");
    }
}

/// A body of 4 MiB was read and parsed, and then its sender was denied.
#[tokio::test]
async fn who_may_do_nothing_is_denied_before_a_large_body_is_parsed_on_every_route() {
    let fixture = Fixture::new(State::Unsealed).await;
    for operation in Operation::ALL.iter().copied() {
        let nobody = ("spiffe://spike.ist/workload/nobody", Class::Ordinary);
        for (length, status) in [(SMALL_BODY, 400), (SMALL_BODY + 1, 401)] {
            // Decrypting asks first in any case, as upstream does.
            let status = if operation == Operation::CipherDecrypt { 401 } else { status };
            let no_json = Bytes::from(vec![b'x'; length]);
            let answer = fixture.send_as(nobody, operation, no_json).await;
            assert_eq!(answer.status(), status, "{operation} with {length} bytes");
        }
    }
}

#[tokio::test]
async fn a_long_value_arrives_whole_and_holds_its_memory_until_it_is_sent() {
    let memory = Bounds { all: 2 << 20, each: 1 << 20, reserve: 0 };
    let fixture = Fixture::with_memory(State::Unsealed, memory).await;
    put_long(&fixture, LONG).await;
    let id = id_for(Operation::SecretGet);
    let read = async || {
        let answer = fixture.send_as((&id, Class::Ordinary), Operation::SecretGet, read_long());
        answer.await
    };
    let unread = [read().await, read().await, read().await, read().await, read().await];
    for answer in &unread {
        assert_eq!(answer.status(), 200);
    }
    assert_eq!(read().await.status(), 429, "five of them hold almost 1 MiB");
    for answer in unread {
        let (_, body) = body_of(answer).await;
        let expected = format!(r#"{{"data":{{"k":"{}"}}}}"#, "v".repeat(LENGTH));
        assert_eq!(body, expected);
    }
    assert_eq!(read().await.status(), 200);
}

/// A reader of no answers had each one read from the file, decrypted and copied before it was refused.
#[tokio::test]
async fn a_reader_that_holds_too_many_answers_is_refused_before_the_value_is_read() {
    let memory = Bounds { all: 1 << 20, each: LENGTH as u64, reserve: 0 };
    let fixture = Fixture::with_memory(State::Unsealed, memory).await;
    put_long(&fixture, LONG).await;
    // A value that is read waits here for a place.
    let _held = fill(&fixture, Lane::Values, Places::default().values).await;
    let id = id_for(Operation::SecretGet);
    let answer = fixture.send_as((&id, Class::Ordinary), Operation::SecretGet, read_long()).await;
    let (status, body) = body_of(answer).await;
    assert_eq!(status, 429);
    let text = String::from_utf8(body.to_vec()).unwrap();
    assert!(text.contains("no memory for the answer"), "{text}");
}

#[tokio::test]
async fn a_long_value_is_read_where_no_request_is_served() {
    let fixture = Fixture::new(State::Unsealed).await;
    put_long(&fixture, LONG).await;
    let _held = fill(&fixture, Lane::Values, Places::default().values).await;
    let id = id_for(Operation::SecretGet);
    let get = Operation::SecretGet;
    let answer = fixture.send_as((&id, Class::Ordinary), get, read_long()).await;
    let (status, body) = body_of(answer).await;
    assert_eq!(status, 429);
    assert!(body.windows(9).any(|part| part == b"long work"), "{body:?}");
    let answer = fixture.send_as((&id, Class::Reserved), get, read_long()).await;
    assert_eq!(answer.status(), 200, "an operator does not wait");
}

/// Puts so many versions that they are long work, of which the last one has a large value.
async fn put_many(fixture: &Fixture) {
    let unsealed = fixture.unsealed().unwrap();
    let store = unsealed.store().unwrap();
    let put = async |_| {
        store.put(&path("many"), Zeroizing::new(b"{}".to_vec()), clock::unix_nanos()).await
    };
    // A few at once, so that none waits too long on a slow machine.
    for begin in (1..VERSIONS).step_by(50) {
        for done in join_all((begin..(begin + 50).min(VERSIONS)).map(put)).await {
            done.unwrap();
        }
    }
    put_long(fixture, "many").await;
}

/// Asks about the path of [`put_many`].
async fn ask(fixture: &Fixture, operation: Operation) -> Response {
    let body = SecretGetRequest { path: "many".to_owned(), version: 0 }.encode();
    fixture.send_as((&id_for(operation), Class::Ordinary), operation, body).await
}

#[tokio::test]
async fn a_history_of_very_many_versions_is_told_whole() {
    let fixture = Fixture::new(State::Unsealed).await;
    put_many(&fixture).await;
    let (status, body) = body_of(ask(&fixture, Operation::SecretMetadata).await).await;
    assert_eq!(status, 200);
    let told: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(told["versions"].as_object().map(serde_json::Map::len), Some(VERSIONS));
}

#[tokio::test]
async fn no_question_about_a_path_does_long_work_where_requests_are_served() {
    let fixture = Fixture::new(State::Unsealed).await;
    put_many(&fixture).await;
    let _held = fill(&fixture, Lane::Values, Places::default().values).await;
    let is_one = |operation: &Operation| {
        matches!(operation.rule(), Rule::OnThePath(_)) && !operation.changes()
    };
    for operation in Operation::ALL.iter().copied().filter(is_one) {
        let status = ask(&fixture, operation).await.status();
        assert_eq!(status, 429, "{operation} does not wait for a place of `long_work`");
    }
}
