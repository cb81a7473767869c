use futures_util::StreamExt;
use tokio::time::timeout;

use super::*;
use crate::{
    Retry,
    fake::{Failure, Fake},
    tests::poll_once,
};

const PATH: &str = "tenants/acme/db";
const EVERY: Duration = Duration::from_secs(10);

fn fake() -> (Fake, Watch) {
    let fake = Fake::new();
    fake.put(PATH, [("pass", "first")]);
    let watch = fake.client().with_retry(Retry::none()).watch(PATH, EVERY);
    (fake, watch)
}

fn pass(secret: &Secret) -> &str {
    secret.expose("pass").unwrap()
}

#[tokio::test(start_paused = true)]
async fn it_returns_the_current_version_at_once_and_then_each_new_one() {
    let (fake, mut watch) = fake();
    let begun = Instant::now();
    let first = watch.next().await.unwrap();
    assert_eq!((pass(&first), first.version()), ("first", Some(1)));
    assert_eq!(begun.elapsed(), Duration::ZERO);
    for (number, value) in [(2, "second"), (3, "third")] {
        fake.put(PATH, [("pass", value)]);
        let changed = watch.next().await.unwrap();
        assert_eq!((pass(&changed), changed.version()), (value, Some(number)));
    }
    assert!(timeout(100 * EVERY, watch.next()).await.is_err(), "nothing has changed");
}

#[tokio::test(start_paused = true)]
async fn a_version_that_was_deleted_and_comes_back_is_returned_again() {
    let (fake, mut watch) = fake();
    watch.next().await.unwrap();
    fake.delete(PATH, &[]);
    assert!(timeout(10 * EVERY, watch.next()).await.is_err(), "no version is live");
    fake.client().undelete(PATH, &[]).await.unwrap();
    assert_eq!(pass(&watch.next().await.unwrap()), "first");
}

// It used to ask thousands of times a second.
#[tokio::test(start_paused = true)]
async fn a_denied_watch_asks_less_and_less_often() {
    let (fake, mut watch) = fake();
    fake.deny(PATH);
    let end = Instant::now() + Duration::from_hours(1);
    let mut asked = Vec::new();
    while Instant::now() < end && asked.len() < 1000 {
        assert!(matches!(watch.next().await, Err(Error::Denied { .. })));
        asked.push(Instant::now());
    }
    // From about 10 s to about a minute: 60 in an hour, or up to twice that by the jitter.
    assert!((30..150).contains(&asked.len()), "{} requests in an hour", asked.len());
    let pauses: Vec<_> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses.iter().all(|pause| *pause >= EVERY / 2), "{pauses:?}");
    assert!(pauses.iter().all(|pause| *pause <= Duration::from_secs(90)), "{pauses:?}");
    fake.allow(PATH);
    assert_eq!(pass(&timeout(LONGEST * 2, watch.next()).await.unwrap().unwrap()), "first");
}

#[tokio::test(start_paused = true)]
async fn after_a_success_the_pause_is_the_interval_again() {
    let (fake, mut watch) = fake();
    fake.fail_next(6, Failure::Unreachable);
    for _ in 0..6 {
        assert!(watch.next().await.is_err());
    }
    watch.next().await.unwrap();
    fake.put(PATH, [("pass", "second")]);
    let begun = Instant::now();
    watch.next().await.unwrap();
    assert!(begun.elapsed() <= EVERY * 3 / 2, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_busy_nexus_is_left_alone_for_as_long_as_it_asks() {
    let (fake, mut watch) = fake();
    let retry_after = Duration::from_mins(10);
    fake.fail_next(1, Failure::Busy { retry_after });
    assert!(watch.next().await.is_err());
    let begun = Instant::now();
    watch.next().await.unwrap();
    assert!(begun.elapsed() >= retry_after, "{:?}", begun.elapsed());
}

// A `select!` beside a ticker used to begin each poll at once.
#[tokio::test(start_paused = true)]
async fn a_watch_that_a_select_drops_again_and_again_keeps_its_pace() {
    let (fake, mut watch) = fake();
    watch.next().await.unwrap();
    let before = fake.calls().len();
    let mut ticker = tokio::time::interval(EVERY / 100);
    for _ in 0..10_000 {
        tokio::select! {
            changed = watch.next() => panic!("{changed:?}"),
            _ = ticker.tick() => {}
        }
    }
    // 100 intervals.
    let asked = fake.calls().len() - before;
    assert!((60..200).contains(&asked), "{asked} requests in 100 intervals");
}

#[tokio::test(start_paused = true)]
async fn dropping_it_at_any_await_loses_no_version() {
    let (fake, mut watch) = fake();
    let mut seen = Vec::new();
    for number in 1..50 {
        // Polled once, and dropped: each await of each request is reached that way.
        let polled = poll_once(&mut Box::pin(watch.next())).await;
        if let Poll::Ready(changed) = polled {
            seen.push(changed.unwrap().version().unwrap());
            fake.put(PATH, [("pass", number.to_string().as_str())]);
        }
        tokio::time::advance(EVERY * 2).await;
    }
    let all: Vec<i64> = (1..).take(seen.len()).collect();
    assert_eq!(seen, all);
    assert!(seen.len() > 5, "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn after_a_reset_the_version_that_was_seen_is_returned_again() {
    let (fake, mut watch) = fake();
    watch.next().await.unwrap();
    fake.fail_next(1, Failure::Unreachable);
    assert!(watch.next().await.is_err());
    watch.reset();
    assert_eq!(watch.next().await.unwrap().version(), Some(1));
    assert!(timeout(100 * EVERY, watch.next()).await.is_err(), "only once");
}

#[tokio::test(start_paused = true)]
async fn it_is_a_stream_too() {
    let (fake, watch) = fake();
    let mut versions = watch.map(|changed| changed.unwrap().version());
    assert_eq!(versions.next().await, Some(Some(1)));
    fake.put(PATH, [("pass", "second")]);
    assert_eq!(versions.next().await, Some(Some(2)));
}

#[tokio::test(start_paused = true)]
async fn an_interval_of_nothing_is_no_flood() {
    let (fake, _) = fake();
    let mut watch = fake.client().watch(PATH, Duration::ZERO);
    watch.next().await.unwrap();
    let before = fake.calls().len();
    assert!(timeout(Duration::from_secs(10), watch.next()).await.is_err());
    let asked = fake.calls().len() - before;
    assert!(asked <= 2000, "{asked} requests in ten seconds");
}
