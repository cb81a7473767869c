use std::{collections::HashMap, panic::panic_any, thread::ThreadId};

use futures_util::FutureExt;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::*;
use crate::disk_work::on_this_thread;

/// Serves a connection that ends with what is sent, and waits until its thread has begun with it. Returns that thread.
async fn begin(
    threads: &ServingThreads,
    tasks: &TaskTracker,
    end: impl Future + Send + 'static,
) -> ThreadId {
    let (began, thread) = oneshot::channel();
    threads.spawn((tasks, threads.place().await), async move {
        began.send(thread::current().id()).ok();
        end.await;
    });
    thread.await.unwrap()
}

fn most_and_fewest(of: impl IntoIterator<Item = ThreadId>) -> (usize, usize) {
    let mut counts = HashMap::new();
    of.into_iter().for_each(|thread| *counts.entry(thread).or_insert(0) += 1);
    assert_eq!(counts.len(), threads::serving());
    (counts.values().copied().max().unwrap(), counts.into_values().min().unwrap())
}

#[tokio::test]
async fn connections_are_spread_evenly_and_stay_on_their_threads() {
    let (threads, tasks) = (ServingThreads::start().unwrap(), TaskTracker::new());
    let (moved, mut seen) = mpsc::unbounded_channel();
    let mut of_threads = Vec::new();
    for _ in 0..3 * threads::serving() {
        let moved = moved.clone();
        let work = async move {
            let before = thread::current().id();
            tokio::time::sleep(Duration::from_millis(1)).await;
            moved.send(thread::current().id() != before).unwrap();
        };
        of_threads.push(begin(&threads, &tasks, work).await);
    }
    assert_eq!(most_and_fewest(of_threads), (3, 3));
    drop(moved);
    while let Some(moved) = seen.recv().await {
        assert!(!moved);
    }
}

/// New connections went to the thread with the fewest, which a peer chose by closing its own on that thread.
#[tokio::test]
async fn a_peer_that_closes_its_connections_on_one_thread_does_not_get_those_of_others_there() {
    let (threads, tasks) = (ServingThreads::start().unwrap(), TaskTracker::new());
    let mut held = Vec::new();
    for _ in 0..16 * threads::serving() {
        let (end, ended) = oneshot::channel::<()>();
        held.push((begin(&threads, &tasks, ended).await, end));
    }
    let chosen = held.first().unwrap().0;
    held.retain(|(thread, _)| *thread != chosen);
    while tasks.len() > held.len() {
        tokio::task::yield_now().await;
    }
    let mut others = Vec::new();
    for _ in 0..4 * threads::serving() {
        others.push(begin(&threads, &tasks, std::future::pending::<()>()).await);
    }
    assert_eq!(most_and_fewest(others), (4, 4));
}

/// They were all taken at once, and the oldest were cut as handshakes that take too long.
#[tokio::test]
async fn no_more_connections_are_taken_than_the_threads_begin_with() {
    let threads = ServingThreads::start().unwrap();
    let mut places = Vec::new();
    for _ in 0..WAITING * threads::serving() {
        places.push(threads.place().await);
    }
    assert!(threads.place().now_or_never().is_none());
    let tasks = TaskTracker::new();
    threads.spawn((&tasks, places.pop().unwrap()), std::future::pending());
    // The thread begins with it, and it is served for long.
    threads.place().await;
    assert_eq!(tasks.len(), 1);
}

/// Holds a thread, as a disk does, until what is returned is dropped.
async fn hold_one(threads: &ServingThreads, tasks: &TaskTracker) -> std::sync::mpsc::Sender<()> {
    let (release, held) = std::sync::mpsc::channel::<()>();
    threads.spawn((tasks, threads.place().await), async move {
        held.recv().ok();
    });
    release
}

/// It got its part of all new connections, until nobody had a place left.
#[tokio::test]
async fn a_thread_that_a_disk_holds_does_not_keep_connections_from_the_others() {
    let (threads, tasks) = (ServingThreads::start().unwrap(), TaskTracker::new());
    let release = hold_one(&threads, &tasks).await;
    let (began, mut seen) = mpsc::unbounded_channel();
    let count = 2 * WAITING * threads::serving();
    for _ in 0..count {
        let place = timeout(Duration::from_secs(10), threads.place()).await.expect("a place");
        let began = began.clone();
        threads.spawn((&tasks, place), async move {
            began.send(()).ok();
            std::future::pending::<()>().await;
        });
    }
    for _ in 0..count - WAITING {
        timeout(Duration::from_secs(10), seen.recv()).await.expect("it is served");
    }
    drop(release);
}

/// The connections that waited for them had all places, and nobody got in any more.
#[tokio::test]
async fn while_a_disk_holds_all_threads_new_connections_are_served_by_the_reserve() {
    let (threads, tasks) = (ServingThreads::start().unwrap(), TaskTracker::new());
    let mut releases = Vec::new();
    let (tell, begun) = std::sync::mpsc::channel();
    for _ in 0..threads::serving() {
        let (release, held) = std::sync::mpsc::channel::<()>();
        let tell = tell.clone();
        threads.spawn((&tasks, threads.place().await), async move {
            on_this_thread(|| {
                tell.send(()).ok();
                held.recv().ok()
            });
        });
        releases.push(release);
    }
    // Two that begin within milliseconds are both held; on a busy machine, they may not be.
    let mut held = 0;
    while held < threads::serving() && begun.recv_timeout(Duration::from_millis(500)).is_ok() {
        held += 1;
    }
    let waiting: Vec<_> = (0..WAITING * threads::serving())
        .map_while(|_| threads.place().now_or_never())
        .map(|place| threads.spawn((&tasks, place), std::future::pending()))
        .collect();
    assert!(!waiting.is_empty());
    becomes(|| threads.each.iter().filter(|each| !each.is_free()).count() == held).await;
    let reserve = lasting(&threads, &tasks, 2 * WAITING).await;
    if held == threads::serving() {
        assert!(reserve.iter().all(|(thread, _)| *thread == reserve[0].0));
    }
    drop(releases);
    let runs = |each: &ServingThread| each.is_free() && each.waiting.load(Relaxed) == 0;
    becomes(|| threads.each.iter().all(runs)).await;
    let after = lasting(&threads, &tasks, threads::serving()).await;
    assert_eq!(most_and_fewest(after.into_iter().map(|(thread, _)| thread)), (1, 1));
}

/// The end waited for it for ever.
#[tokio::test]
async fn a_thread_that_a_disk_holds_does_not_hold_up_the_end() {
    let (threads, tasks) = (ServingThreads::start().unwrap(), TaskTracker::new());
    let release = hold_one(&threads, &tasks).await;
    drop(threads);
    drop(release);
}

#[tokio::test]
async fn what_still_runs_is_dropped_with_the_threads() {
    let (threads, tasks) = (ServingThreads::start().unwrap(), TaskTracker::new());
    let held = Arc::new(());
    let weak = Arc::downgrade(&held);
    threads.spawn((&tasks, threads.place().await), async move {
        std::future::pending::<()>().await;
        drop(held);
    });
    drop(threads);
    assert!(weak.upgrade().is_none() && tasks.is_empty());
}

/// It panics as often as it says whenever it is dropped. A scheduler drops what a task panicked with, and catches only one more panic.
struct Stubborn(u8);

impl Drop for Stubborn {
    fn drop(&mut self) {
        if self.0 > 0 {
            panic_any(Self(self.0 - 1));
        }
    }
}

/// Panics in a task as soon as the scheduler alone has it. Returns the thread.
async fn panic_with(
    threads: &ServingThreads,
    tasks: &TaskTracker,
    panic: impl FnOnce() + Send + 'static,
) -> ThreadId {
    let (go_on, told) = oneshot::channel::<()>();
    let thread = begin(threads, tasks, async move {
        told.await.ok();
        panic();
    });
    let thread = thread.await;
    go_on.send(()).ok();
    thread
}

/// Connections that last: each with its thread, and with what is gone once it is dropped.
async fn lasting(
    threads: &ServingThreads,
    tasks: &TaskTracker,
    count: usize,
) -> Vec<(ThreadId, std::sync::Weak<()>)> {
    let mut lasting = Vec::new();
    for _ in 0..count {
        let held = Arc::new(());
        let weak = Arc::downgrade(&held);
        let end = async move {
            std::future::pending::<()>().await;
            drop(held);
        };
        lasting.push((begin(threads, tasks, end).await, weak));
    }
    lasting
}

/// Holds up each thread that drops its connections, until what is returned is dropped.
async fn hold_drops(
    threads: &ServingThreads,
    tasks: &TaskTracker,
) -> Vec<std::sync::mpsc::Sender<()>> {
    struct Holds(std::sync::mpsc::Receiver<()>);
    impl Drop for Holds {
        fn drop(&mut self) {
            self.0.recv().ok();
        }
    }
    let mut releases = Vec::new();
    for _ in 0..threads::serving() {
        let (release, held) = std::sync::mpsc::channel();
        let held = Holds(held);
        begin(threads, tasks, async move {
            std::future::pending::<()>().await;
            drop(held);
        })
        .await;
        releases.push(release);
    }
    releases
}

async fn becomes(is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !is_so() {
        assert!(Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_connection_that_panics_also_while_it_is_dropped_ends_alone() {
    let (threads, tasks) = (ServingThreads::start().unwrap(), TaskTracker::new());
    let others = lasting(&threads, &tasks, 2 * threads::serving()).await;
    let stubborn = Stubborn(1);
    let panics: [Box<dyn FnOnce() + Send>; 3] = [
        Box::new(|| panic!("a bug")),
        Box::new(move || drop(stubborn)),
        Box::new(|| panic_any(Stubborn(1))),
    ];
    for panic in panics {
        panic_with(&threads, &tasks, panic).await;
        becomes(|| tasks.len() == others.len()).await;
        assert_eq!(threads.check(), Ok(()));
    }
    assert!(others.iter().all(|(_, held)| held.upgrade().is_some()));
    let new = lasting(&threads, &tasks, threads::serving()).await;
    assert_eq!(most_and_fewest(new.into_iter().map(|(thread, _)| thread)), (1, 1));
}

/// The thread ended: its connections stayed open for ever, got company, and the check told of a disk.
#[tokio::test]
async fn a_panic_that_no_task_catches_ends_the_connections_of_its_thread_and_the_thread_goes_on() {
    let (threads, tasks) = (ServingThreads::start().unwrap(), TaskTracker::new());
    let before = lasting(&threads, &tasks, 2 * threads::serving()).await;
    let releases = hold_drops(&threads, &tasks).await;
    let struck = panic_with(&threads, &tasks, || panic_any(Stubborn(2))).await;
    becomes(|| threads.check().is_err()).await;
    let told = threads.check().unwrap_err();
    assert!(told.contains("ended in a bug"), "{told}");
    let elsewhere = lasting(&threads, &tasks, threads::serving()).await;
    assert!(elsewhere.iter().all(|(thread, _)| *thread != struck), "it gets none meanwhile");
    drop(releases);
    becomes(|| threads.check().is_ok()).await;
    for (thread, held) in before {
        assert_eq!(held.upgrade().is_none(), thread == struck);
    }
    let again = lasting(&threads, &tasks, threads::serving()).await;
    assert_eq!(most_and_fewest(again.into_iter().map(|(thread, _)| thread)), (1, 1));
}

/// What it panicked with panics once more, so the thread itself ends.
#[tokio::test]
async fn a_thread_that_does_not_go_on_gets_no_connections_and_the_check_says_so() {
    let (threads, tasks) = (ServingThreads::start().unwrap(), TaskTracker::new());
    let before = lasting(&threads, &tasks, 2 * threads::serving()).await;
    let struck = panic_with(&threads, &tasks, || panic_any(Stubborn(3))).await;
    let is_over = |each: &ServingThread| each.thread.as_ref().is_some_and(JoinHandle::is_finished);
    becomes(|| threads.each.iter().any(is_over)).await;
    assert!(threads.check().unwrap_err().contains("ended in a bug"));
    for (thread, held) in before {
        assert_eq!(held.upgrade().is_none(), thread == struck);
    }
    let elsewhere = lasting(&threads, &tasks, 2 * threads::serving()).await;
    assert!(elsewhere.iter().all(|(thread, _)| *thread != struck));
}

/// It waits for a moment before it goes on.
#[tokio::test]
async fn a_thread_that_waits_for_its_next_scheduler_does_not_hold_up_the_end() {
    let (threads, tasks) = (ServingThreads::start().unwrap(), TaskTracker::new());
    let releases = hold_drops(&threads, &tasks).await;
    panic_with(&threads, &tasks, || panic_any(Stubborn(2))).await;
    becomes(|| threads.check().is_err()).await;
    drop(releases);
    let begun = Instant::now();
    drop(threads);
    assert!(begun.elapsed() < END_TIME, "{:?}", begun.elapsed());
}
