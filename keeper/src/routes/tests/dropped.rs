//! A peer may leave at any time. Whenever its answer is dropped, the share and the audit log agree.

use std::{
    future::poll_fn,
    task::{Context, Poll},
};

use futures_util::{StreamExt as _, stream};
use spike_daemon::serve::HandlerFuture;

use super::*;

/// More polls than any answer takes.
const MAX_POLLS: usize = 20;

/// Polls an answer whenever it is woken, and drops it after `polls` polls. Returns whether it was ready by then.
async fn polled(mut answer: HandlerFuture, polls: usize) -> bool {
    let mut left = polls;
    let poll = |context: &mut Context<'_>| {
        let Some(next) = left.checked_sub(1) else { return Poll::Ready(false) };
        left = next;
        match answer.as_mut().poll(context) {
            Poll::Ready(_) => Poll::Ready(true),
            Poll::Pending if left == 0 => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    };
    poll_fn(poll).await
}

/// A body in two parts that do not arrive at once, so that an answer can be dropped between them.
fn in_two_parts(body: &str) -> Body {
    let (first, second) = body.split_at(body.len() / 2);
    let parts = [first.to_owned(), second.to_owned()];
    Body::from_stream(stream::iter(parts).then(async |part| {
        tokio::task::yield_now().await;
        std::io::Result::Ok(part)
    }))
}

/// Waits until no request uses the Keeper any more.
async fn until_idle(keeper: &Arc<Keeper>, users: usize) {
    let idle = async {
        while Arc::strong_count(keeper) > users {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), idle).await.expect("requests that end");
}

/// Drops the answer after `polls` polls, and checks the share and the audit log. Returns whether there was an answer.
async fn dropped_after(polls: usize, operation: KeeperOperation) -> bool {
    let what = format!("{operation} after {polls} polls");
    let subject = Subject::new();
    let is_contribution = operation == KeeperOperation::Contribute;
    if !is_contribution {
        assert_eq!(subject.post(NEXUS, CONTRIBUTE, &contribution(&SHARE)).await.0, 200);
    }
    let users = Arc::strong_count(&subject.keeper);
    let body = if is_contribution { contribution(&SHARE) } else { "{}".to_owned() };
    let request = Request::post(operation.path()).header(header::HOST, "keeper");
    let request = request.body(in_two_parts(&body)).unwrap();
    let answer = subject.app.connect(Peer::unverified(NEXUS))(request);
    let is_answered = polled(answer, polls).await;
    until_idle(&subject.keeper, users).await;

    let holds_a_share = subject.keeper.share(&Peer::unverified(NEXUS)).is_ok();
    let lines = subject.audit_lines();
    assert_eq!(lines.len(), if is_contribution { 1 } else { 2 }, "{what}");
    let status = lines[lines.len() - 1]["audit"]["Status"].as_u64();
    assert_eq!(status, Some(if polls == 0 { 499 } else { 200 }), "{what}");
    assert_eq!(holds_a_share, !is_contribution || polls > 0, "{what}");
    is_answered
}

#[tokio::test]
async fn whenever_an_answer_is_dropped_the_share_and_the_audit_log_agree_on_every_route() {
    for operation in KeeperOperation::ALL.iter().copied() {
        let mut polls = 0;
        while !dropped_after(polls, operation).await {
            polls += 1;
            assert!(polls < MAX_POLLS, "{operation} never ends");
        }
        // Otherwise no answer was dropped between the parts of its body.
        assert!(polls > 1, "{operation} has nothing to wait for");
    }
}
