use futures_util::{StreamExt, stream};
use spike_mtls::budget::{Bounds, Budget, Class};

use super::{
    super::{allowance::Denials, block::LARGE},
    *,
};
use crate::limit::{DenialLimit, Rate};

const LIMITS: BodyLimits = BodyLimits { bytes: 4, time: Duration::from_mins(1) };

fn budget(all: u64) -> Budget {
    Budget::new(Bounds { all, each: all, reserve: 0 })
}

fn allowance(budget: &Budget) -> Allowance {
    let account = || budget.account(&Arc::from("a"), Class::Ordinary);
    Allowance {
        in_flight: account(),
        memory: account(),
        delayed: account(),
        refusals: account(),
        discards: account(),
        denials: None,
        ending: Arc::default(),
    }
}

/// Any body is wanted.
#[expect(clippy::unnecessary_wraps, reason = "the type of the question")]
fn no_matter() -> Result<(), BodyError> {
    Ok(())
}

fn peer() -> Peer {
    Peer::unverified("spiffe://spike.ist/a")
}

fn arriving(body: Body, budget: &Budget) -> RequestBody {
    RequestBody::new(body, Arc::new(allowance(budget)), peer())
}

async fn read(body: Body) -> Result<Vec<u8>, BodyError> {
    arriving(body, &budget(100)).read(LIMITS, no_matter).await.map(|held| held.to_vec())
}

fn parts(parts: impl IntoIterator<Item = &'static str>) -> Body {
    let parts: Vec<_> = parts.into_iter().map(Ok::<_, std::io::Error>).collect();
    Body::from_stream(stream::iter(parts))
}

#[tokio::test]
async fn a_body_up_to_the_limit_is_read_and_one_byte_more_is_refused() {
    assert_eq!(read(Body::from("1234")).await.unwrap(), b"1234");
    assert_eq!(read(parts(["1", "23", "4"])).await.unwrap(), b"1234");
    assert_eq!(read(Body::from("12345")).await, Err(BodyError::TooLarge { limit: 4 }));
    assert_eq!(read(parts(["12", "345"])).await, Err(BodyError::TooLarge { limit: 4 }));
    assert_eq!(read(Body::empty()).await.unwrap(), b"");
}

#[tokio::test]
async fn its_memory_is_taken_before_it_arrives_and_returned_with_it() {
    const ABOVE: usize = SMALL_BODY + 4;
    let limits = BodyLimits { bytes: 2 * ABOVE, ..LIMITS };
    let large = || Body::from(vec![b'x'; ABOVE]);
    let without_length = || {
        let half = Bytes::from(vec![b'x'; ABOVE / 2]);
        Body::from_stream(stream::iter([half.clone(), half].map(Ok::<_, std::io::Error>)))
    };
    let budget = budget(ABOVE as u64 + 1);
    for body in [large(), without_length()] {
        let held = arriving(body, &budget).read(limits, no_matter).await.unwrap();
        assert_eq!((held.len(), budget.used()), (ABOVE, ABOVE as u64));
        for more in [large(), without_length()] {
            let second = arriving(more, &budget).read(limits, no_matter).await;
            assert_eq!(second.unwrap_err(), BodyError::Over(Over::Own));
        }
        assert!(
            arriving(Body::from("12"), &budget).read(limits, no_matter).await.is_ok(),
            "small ones pass"
        );
        drop(held);
        assert_eq!(budget.used(), 0);
    }
}

/// A body of 4 MiB was read and parsed before anybody was asked whether its sender may do anything.
#[tokio::test]
async fn a_large_body_is_kept_only_if_its_sender_may_send_one_and_takes_no_memory_before() {
    let limits = BodyLimits { bytes: 4 * LARGE, ..LIMITS };
    let budget = budget(4 * LARGE as u64);
    let declared = |length: usize| Body::from(vec![b'x'; length]);
    let undeclared = |length: usize| pieces(length / 1024).0;
    let unwanted = || Err(BodyError::Over(Over::All));
    for body in [declared(SMALL_BODY), undeclared(SMALL_BODY)] {
        let read = arriving(body, &budget).read(limits, unwanted).await;
        assert_eq!(read.map(|held| held.is_large()), Ok(false), "nobody is asked");
    }
    for body in [declared(SMALL_BODY + 1), declared(2 * LARGE), undeclared(2 * LARGE)] {
        let mut body = arriving(body, &budget);
        let mut most = 0;
        let refuse = || {
            most = budget.used();
            unwanted()
        };
        assert_eq!(body.read(limits, refuse).await.unwrap_err(), BodyError::Over(Over::All));
        assert_eq!(most, 0, "bytes that were taken before");
        assert_eq!(budget.used(), 0);
        let mut asked = 0;
        let allow = || {
            asked += 1;
            Ok::<_, BodyError>(())
        };
        let held = arriving(undeclared(2 * LARGE), &budget).read(limits, allow).await.unwrap();
        assert_eq!((held.len(), held.is_large(), asked), (2 * LARGE, true, 1));
        let taken = held.freed();
        assert_eq!(budget.used(), 2 * LARGE as u64, "what was made of it is counted");
        drop(taken);
        assert_eq!(budget.used(), 0);
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_differs_from_one_that_never_arrives() {
    let broken = stream::iter([Ok("12"), Err(std::io::Error::other("gone"))]);
    assert_eq!(read(Body::from_stream(broken)).await, Err(BodyError::Broken));

    let silent = || Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
    let hurried = BodyLimits { time: Duration::ZERO, ..LIMITS };
    let slow = arriving(silent(), &budget(9)).read(hurried, no_matter).await;
    assert_eq!(slow.unwrap_err(), BodyError::TooSlow);

    let mut late = arriving(silent(), &budget(9));
    late.allowance.ending.give_up();
    assert_eq!(late.read(LIMITS, no_matter).await.unwrap_err(), BodyError::Ending);
}

#[tokio::test]
async fn only_small_bodies_of_a_peer_that_was_denied_too_often_are_read() {
    let budget = budget(u64::MAX / 4);
    let limit = Arc::new(DenialLimit::new(Rate { per_second: 1, burst: 1 }));
    let denials = Some(Denials { limit, id: Arc::from("a") });
    let allowance = Arc::new(Allowance { denials, ..allowance(&budget) });
    let limits = BodyLimits { bytes: 3 * SMALL_BODY, ..LIMITS };
    let read = async |length: usize| {
        let body = Body::from(vec![b'x'; length]);
        let mut body = RequestBody::new(body, Arc::clone(&allowance), peer());
        (body.read(limits, no_matter).await.map(|held| held.len()), body.wasted())
    };
    assert_eq!(read(2 * SMALL_BODY).await, (Ok(2 * SMALL_BODY), 2 * SMALL_BODY));
    assert_eq!(allowance.count_denial(2 * SMALL_BODY), Ok(()), "one token was there, two are owed");
    assert!(allowance.denial_wait().is_some_and(|after| after > Duration::from_secs(2)));
    assert_eq!(read(ALWAYS_READ).await, (Ok(ALWAYS_READ), ALWAYS_READ));
    let (refused, in_vain) = read(ALWAYS_READ + 1).await;
    assert!(matches!(refused, Err(BodyError::SenderDenied { .. })), "{refused:?}");
    assert_eq!(in_vain, ALWAYS_READ + 1);
}

/// A body of `count` pieces of 1 KiB without a declared length, and the number of pieces read.
fn pieces(count: usize) -> (Body, Arc<AtomicUsize>) {
    let taken = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&taken);
    let piece = Bytes::from_static(&[0; 1024]);
    let body = stream::iter(0..count).map(move |_| {
        seen.fetch_add(1, Relaxed);
        Ok::<_, std::io::Error>(piece.clone())
    });
    (Body::from_stream(body), taken)
}

#[tokio::test]
async fn a_denied_body_without_a_length_is_not_read_on_beyond_the_limit_of_its_sender() {
    let limit = Arc::new(DenialLimit::new(Rate { per_second: 1, burst: 2 }));
    let denials = Some(Denials { limit, id: Arc::from("a") });
    let allowance = Arc::new(Allowance { denials, ..allowance(&budget(100)) });
    let (body, taken) = pieces(1024);
    let mut body = RequestBody::new(body, Arc::clone(&allowance), peer());
    assert_eq!(body.deny(), Ok(()));
    let tasks = TaskTracker::new();
    body.discard(&tasks, None);
    tasks.close();
    tasks.wait().await;
    let read = taken.load(Relaxed);
    assert!((16..256).contains(&read), "{read} KiB of 1024 were read");
    assert!(allowance.denial_wait().is_some());
}

#[tokio::test]
async fn the_part_of_a_body_that_never_arrives_is_not_counted() {
    let broken = stream::iter([Ok("12"), Err(std::io::Error::other("gone"))]);
    let mut body = arriving(Body::from_stream(broken), &budget(100));
    assert_eq!(body.read(LIMITS, no_matter).await.unwrap_err(), BodyError::Broken);
    assert_eq!(body.wasted(), 2);
    let hurried = BodyLimits { bytes: 100, time: Duration::ZERO };
    let silent = stream::pending::<Result<http_body::Frame<Bytes>, std::io::Error>>();
    let long = Body::new(SaysItsLength(http_body_util::StreamBody::new(silent)));
    let mut late = arriving(long, &budget(100));
    assert_eq!(late.wasted(), 50);
    assert_eq!(late.read(hurried, no_matter).await.unwrap_err(), BodyError::TooSlow);
    assert_eq!(late.wasted(), 0);
}

/// A body with a declared length of 50 bytes.
struct SaysItsLength<B>(B);

impl<B: http_body::Body + Unpin> http_body::Body for SaysItsLength<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<B::Data>, B::Error>>> {
        std::pin::Pin::new(&mut self.0).poll_frame(cx)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(50)
    }
}

#[tokio::test]
async fn a_discarded_body_is_read_to_its_end_but_not_without_limit() {
    let drained = async |count: usize| {
        let (body, taken) = pieces(count);
        let mut body = arriving(body, &budget(100));
        assert_eq!(
            body.read(LIMITS, no_matter).await.unwrap_err(),
            BodyError::TooLarge { limit: 4 }
        );
        let tasks = TaskTracker::new();
        body.discard(&tasks, None);
        tasks.close();
        tasks.wait().await;
        taken.load(Relaxed)
    };
    assert_eq!(drained(100).await, 100);
    let most = MAX_DISCARDED / 1024;
    assert!((most..most + 10).contains(&drained(10 * most).await), "and no further");
}

/// A body of so many bytes, each of which takes `step` to arrive.
fn slow(bytes: usize, step: Duration) -> Body {
    Body::from_stream(stream::unfold(0, move |sent| async move {
        tokio::time::sleep(step).await;
        (sent < bytes).then(|| (Ok::<_, std::io::Error>(Bytes::from_static(b"1")), sent + 1))
    }))
}

fn never() -> Body {
    Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>())
}

/// Each held up the end of the daemon for five seconds.
#[tokio::test(start_paused = true)]
async fn once_the_daemon_ends_a_body_of_which_nothing_arrives_for_a_second_is_given_up() {
    let begun = tokio::time::Instant::now();
    let mut silent = arriving(never(), &budget(9));
    let ending = Arc::clone(&silent.allowance.ending);
    let (read, ()) = tokio::join!(silent.read(LIMITS, no_matter), async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        ending.begin();
    });
    assert_eq!(read.unwrap_err(), BodyError::Ending);
    assert_eq!(begun.elapsed().as_secs(), 11);
    // The rest of it is not waited for either.
    let tasks = TaskTracker::new();
    silent.discard(&tasks, None);
    tasks.close();
    tasks.wait().await;
    assert_eq!(begun.elapsed().as_secs(), 12);
}

#[tokio::test(start_paused = true)]
async fn once_the_daemon_ends_a_body_that_arrives_slowly_has_its_time_until_none_is_waited_for() {
    let arriving = |bytes: usize| {
        let body = arriving(slow(bytes, Duration::from_millis(900)), &budget(9));
        body.allowance.ending.begin();
        body
    };
    assert_eq!(arriving(4).read(LIMITS, no_matter).await.unwrap().len(), 4);
    let mut late = arriving(4);
    let ending = Arc::clone(&late.allowance.ending);
    let (read, ()) = tokio::join!(late.read(LIMITS, no_matter), async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        ending.give_up();
    });
    assert_eq!(read.unwrap_err(), BodyError::Ending);
}
