use std::cell::Cell;

use super::*;

fn sealed() -> Error {
    Error::Sealed { reason: None }
}

fn busy(seconds: u64) -> Error {
    Error::Busy { reason: None, retry_after: Some(Duration::from_secs(seconds)) }
}

fn unanswered() -> Error {
    Error::Unanswered { reason: "reset".to_owned() }
}

/// Fails three times. Returns how many tries there were.
async fn tries(retry: &Retry, kind: CallKind, error: fn() -> Error) -> (u32, Result<(), Error>) {
    let count = Cell::new(0);
    let deadline = Deadline::from_now(Duration::from_secs(30));
    let result = until(retry, deadline, kind, |_| async {
        count.set(count.get() + 1);
        if count.get() < 4 { Err(error()) } else { Ok(()) }
    })
    .await;
    (count.get(), result)
}

#[tokio::test(start_paused = true)]
async fn writes_too_wait_for_a_sealed_nexus() {
    let retry = Retry::default();
    assert!(matches!(tries(&retry, CallKind::Write, sealed).await, (4, Ok(()))));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_may_have_been_done_is_not_done_again() {
    let retry = Retry::default();
    let (count, result) = tries(&retry, CallKind::Write, unanswered).await;
    assert!(matches!(&result, Err(Error::Unanswered { .. })), "{result:?}");
    assert_eq!(count, 1);
    assert!(matches!(tries(&retry, CallKind::Read, unanswered).await, (4, Ok(()))));
}

#[tokio::test(start_paused = true)]
async fn what_no_further_try_can_change_is_final() {
    let retry = Retry::default();
    let finals: [fn() -> Error; 4] = [
        || Error::Denied { request_id: None },
        || Error::NotFound,
        || Error::WrongServer { id: None, reason: "another".to_owned() },
        || Error::IdentityRefused { reason: "alert".to_owned() },
    ];
    let begun = Instant::now();
    for error in finals {
        for kind in [CallKind::Read, CallKind::Write] {
            let (count, result) = tries(&retry, kind, error).await;
            assert!(count == 1 && result.is_err(), "{result:?}");
        }
    }
    // Not after 30 seconds, as it used to be for another identity at the other end.
    assert_eq!(Instant::now(), begun);
}

#[tokio::test(start_paused = true)]
async fn a_policy_of_tries_ends_with_the_error_of_the_last_one() {
    for (most, count) in [(1, 1), (2, 2), (3, 3), (4, 4)] {
        let retry = Retry::default().with_max_tries(most);
        let (tried, result) = tries(&retry, CallKind::Read, sealed).await;
        assert_eq!(tried, count);
        assert_eq!(matches!(result, Err(Error::Sealed { .. })), most < 4, "{result:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_busy_nexus_is_left_alone_for_as_long_as_it_asks() {
    let begun = Instant::now();
    let retry = Retry::default();
    assert!(matches!(tries(&retry, CallKind::Read, || busy(7)).await, (4, Ok(()))));
    assert!(begun.elapsed() >= Duration::from_secs(21), "{:?}", begun.elapsed());
    let (count, result) = tries(&retry, CallKind::Read, || busy(60)).await;
    assert_eq!(count, 1);
    assert!(matches!(result, Err(Error::Deadline { tries: 1, .. })), "{result:?}");
    assert!(begun.elapsed() < Duration::from_secs(50), "it waited for a try that is too late");
}

#[tokio::test(start_paused = true)]
async fn the_deadline_names_its_limit_the_last_cause_and_the_tries() {
    let begun = Instant::now();
    let deadline = Deadline::from_now(Duration::from_secs(3));
    let result: Result<(), Error> =
        until(&Retry::default(), deadline, CallKind::Read, |_| async { Err(sealed()) }).await;
    let Err(error @ Error::Deadline { .. }) = result else { panic!("{result:?}") };
    let Error::Deadline { limit, tries, was_under_way, last } = &error else { unreachable!() };
    assert_eq!((*limit, *was_under_way), (Duration::from_secs(3), false));
    assert!(matches!(last.as_deref(), Some(Error::Sealed { .. })));
    assert!(*tries > 2);
    let text = error.to_string();
    assert_eq!(
        text,
        format!("not done within 3s, in {tries} tries: SPIKE Nexus is not ready: no reason given")
    );
    assert!(begun.elapsed() <= Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn a_try_that_is_under_way_at_the_deadline_is_told() {
    let deadline = Deadline::from_now(Duration::from_secs(3));
    let result: Result<(), Error> =
        until(&Retry::default(), deadline, CallKind::Write, |tries| async move {
            if tries == 2 { std::future::pending().await } else { Err(sealed()) }
        })
        .await;
    let Err(error) = result else { panic!("{result:?}") };
    assert!(error.may_have_been_done(), "{error}");
    assert_eq!(
        error.to_string(),
        "not done within 3s, in 2 tries, the last of which had no answer yet; before: SPIKE Nexus is not ready: no reason given"
    );
}
