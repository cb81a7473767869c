//! The threads that serve connections, each with a scheduler of its own.
//!
//! A connection stays on its thread, and so do the requests on it: what they touch stays with one processor, and threads
//! need not wake each other. Work that takes long is done elsewhere, so no connection holds the others of its thread up.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
        mpsc::{self, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::{
    runtime::{Builder, Handle},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::threads::{self, Place};

/// How many connections may wait for each thread to begin with them. Others wait in the queue of the system: here they would count as
/// handshakes, of which the oldest gives way.
const WAITING: usize = 4;

/// How often a thread notes that it runs.
const BEAT: Duration = Duration::from_secs(1);

/// How long a thread may not run without being held up.
const HELD_UP: Duration = Duration::from_secs(3);

/// How long the end of the threads is waited for, all together. One that a disk holds ends with the process.
const END_TIME: Duration = Duration::from_secs(1);

/// See the [module](self). Dropping this ends the threads, and drops what still runs on them.
#[derive(Debug)]
pub(super) struct ServingThreads {
    each: Vec<ServingThread>,
    /// One for each connection that may wait.
    waiting: Arc<Semaphore>,
    /// Whose turn it is, if all are alike.
    turn: AtomicUsize,
    started: Instant,
    ended: CancellationToken,
    /// Nothing is sent: it ends with the last thread.
    running: Mutex<mpsc::Receiver<()>>,
}

#[derive(Debug)]
struct ServingThread {
    runtime: Handle,
    /// How many connections it has not begun with.
    waiting: Arc<AtomicUsize>,
    /// When it last noted that it runs, in milliseconds since the start.
    beat: Arc<AtomicU64>,
    /// `None`: it was joined.
    thread: Option<JoinHandle<()>>,
}

impl ServingThreads {
    /// Starts them.
    ///
    /// # Errors
    /// The operating system's, if it gives no thread or no descriptor.
    pub(super) fn start() -> io::Result<Self> {
        let count = threads::serving();
        let waiting = Arc::new(Semaphore::new(WAITING * count));
        let (runs, running) = mpsc::channel();
        let (each, ended) = (Vec::new(), CancellationToken::new());
        let (turn, running) = (AtomicUsize::new(0), Mutex::new(running));
        let started = Instant::now();
        let mut all = Self { each, waiting, turn, started, ended, running };
        for number in 0..count {
            let ended = all.ended.clone();
            all.each.push(ServingThread::start(number, started, (ended, runs.clone()))?);
        }
        Ok(all)
    }

    /// Whether every thread runs.
    ///
    /// # Errors
    /// How many do not, since when at most, and what to do.
    pub(super) fn check(&self) -> Result<(), String> {
        let idle = |thread: &ServingThread| {
            let last = Duration::from_millis(thread.beat.load(Relaxed));
            self.started.elapsed().saturating_sub(last)
        };
        let held: Vec<_> = self.each.iter().map(idle).filter(|idle| *idle >= HELD_UP).collect();
        let Some(longest) = held.iter().max() else { return Ok(()) };
        Err(format!(
            "{} of the {} threads that serve connections have not run for {} s: most likely a disk holds them up, that of the audit log or \
             of the database, and their connections wait. Look at that disk; a restart frees the connections",
            held.len(),
            self.each.len(),
            longest.as_secs()
        ))
    }

    /// A place for a connection that is accepted next. Waits for one.
    pub(super) async fn place(&self) -> Waiting {
        // It is never closed.
        Waiting(Arc::clone(&self.waiting).acquire_owned().await.ok())
    }

    /// Runs `serve`, which serves one connection, on the next thread in turn, or on one that begins sooner with what it has.
    /// `place` is its place until then.
    ///
    /// How many connections a thread has does not count: a peer that closes those of its own on the other threads would choose
    /// the thread of everybody else.
    pub(super) fn spawn(
        &self,
        (tasks, place): (&TaskTracker, Waiting),
        serve: impl Future<Output = ()> + Send + 'static,
    ) {
        let (before, after) = self.each.split_at(self.turn.load(Relaxed) % self.each.len().max(1));
        let in_turn = after.iter().chain(before).enumerate();
        // One that a disk holds keeps few: there is one among the others for whoever has got a place.
        let next = in_turn.min_by_key(|(_, thread)| thread.waiting.load(Relaxed));
        let Some((passed_over, thread)) = next else { return };
        self.turn.fetch_add(passed_over + 1, Relaxed);
        let waiting = Counted::new(&thread.waiting);
        let serve = async move {
            drop((waiting, place));
            serve.await;
        };
        tasks.spawn_on(serve, &thread.runtime);
    }
}

impl ServingThread {
    /// Ends with `ended`. Keeps `runs` until then.
    fn start(
        number: usize,
        started: Instant,
        (ended, runs): (CancellationToken, mpsc::Sender<()>),
    ) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        let handle = runtime.handle().clone();
        let beat = Arc::new(AtomicU64::new(0));
        let beating = Arc::clone(&beat);
        let run = move || {
            Place::become_serving(number);
            runtime.block_on(async {
                tokio::select! {
                    () = ended.cancelled() => {}
                    () = note_that_it_runs(&beating, started) => {}
                }
            });
            // Drops the tasks. Work elsewhere that they wait for is not waited for.
            runtime.shutdown_background();
            drop(runs);
        };
        let thread = thread::Builder::new().name(format!("serve-{number}")).spawn(run)?;
        Ok(Self { runtime: handle, waiting: Arc::default(), beat, thread: Some(thread) })
    }
}

async fn note_that_it_runs(beat: &AtomicU64, started: Instant) {
    let mut every = tokio::time::interval(BEAT);
    loop {
        every.tick().await;
        let now = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        beat.store(now, Relaxed);
    }
}

impl Drop for ServingThreads {
    fn drop(&mut self) {
        self.ended.cancel();
        let running = self.running.get_mut().unwrap_or_else(PoisonError::into_inner);
        let ended = running.recv_timeout(END_TIME);
        if ended == Err(RecvTimeoutError::Timeout) {
            tracing::warn!(
                "a thread that serves is held up, most likely by a disk: it is left behind"
            );
            return;
        }
        for thread in &mut self.each {
            // One that panicked has said so.
            thread.thread.take().map(JoinHandle::join);
        }
    }
}

/// The place of a connection with which no thread has begun.
#[derive(Debug)]
pub(super) struct Waiting(
    #[expect(dead_code, reason = "it is dropped")] Option<OwnedSemaphorePermit>,
);

/// A connection in the count of those that wait for their thread.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, thread::ThreadId};

    use futures_util::FutureExt;
    use tokio::{
        sync::{mpsc, oneshot},
        time::timeout,
    };

    use super::*;

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
    async fn hold_one(
        threads: &ServingThreads,
        tasks: &TaskTracker,
    ) -> std::sync::mpsc::Sender<()> {
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
}
