//! The threads that serve connections, each with a scheduler of its own.
//!
//! A connection stays on its thread, and so do the requests on it: what they touch stays with one processor, and threads
//! need not wake each other. Work that takes long is done elsewhere, so no connection holds the others of its thread up.
//!
//! A disk may hold a thread up ([`crate::disk_work`]), with the connections that it has. It gets no further ones. While all are held,
//! new connections are for one more thread, the reserve, which no disk of the data holds up.
//!
//! What a connection does is a task, and the scheduler catches the panics of tasks, also while it drops them: such a panic ends one
//! connection. The scheduler itself may panic, such as when the system refuses to wait for events. Then the connections of the thread
//! cannot be served any more: the thread drops them, so that their peers notice, and goes on with another scheduler. The process stays,
//! because a Keeper that ends loses its share.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
        mpsc::{self, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use spike_mtls::clock::Moment;
use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    UnderWay,
    disk_work::DiskWork,
    telemetry::HELD_UP,
    threads::{self, Place},
};

/// How many connections may wait for each thread to begin with them. Others wait in the queue of the system: here they would count as
/// handshakes, of which the oldest gives way.
const WAITING: usize = 4;

/// How often whoever waits for a place looks whether all threads are held.
const LOOK: Duration = Duration::from_millis(100);

/// How often a thread notes that it runs.
const BEAT: Duration = Duration::from_secs(1);

/// How long the end of the threads is waited for, all together. One that a disk holds ends with the process.
const END_TIME: Duration = Duration::from_secs(1);

/// See the [module](self). Dropping this ends the threads, and drops what still runs on them.
#[derive(Debug)]
pub(super) struct ServingThreads {
    each: Vec<ServingThread>,
    reserve: ServingThread,
    /// One for each connection that may wait.
    waiting: Arc<Semaphore>,
    /// The same for the reserve.
    waiting_there: Arc<Semaphore>,
    /// Whose turn it is, if all are alike.
    turn: AtomicUsize,
    ended: CancellationToken,
    /// Nothing is sent: it ends with the last thread.
    running: Mutex<mpsc::Receiver<()>>,
}

#[derive(Debug)]
struct ServingThread {
    number: usize,
    disk_work: Arc<DiskWork>,
    scheduler: Arc<Scheduler>,
    /// How many connections it has not begun with.
    waiting: Arc<AtomicUsize>,
    /// `None`: it was joined.
    thread: Option<JoinHandle<()>>,
}

/// The scheduler of one thread.
#[derive(Debug)]
struct Scheduler {
    /// Another one after each panic.
    runtime: Mutex<Handle>,
    /// What it does between two notes that it runs.
    beat: UnderWay,
    /// It has panicked, and there is no other one yet.
    is_broken: AtomicBool,
}

impl ServingThreads {
    /// Starts them.
    ///
    /// # Errors
    /// The operating system's, if it gives no thread or no descriptor.
    pub(super) fn start() -> io::Result<Self> {
        let count = threads::serving();
        let (runs, running) = mpsc::channel();
        let (ended, disk_work) = (CancellationToken::new(), DiskWork::of(count));
        // Those that have started end if one does not.
        let all_or_none = ended.clone().drop_guard();
        let start =
            |number| ServingThread::start((number, &disk_work), ended.clone(), runs.clone());
        let each = (0..count).map(start).collect::<io::Result<_>>()?;
        let reserve = start(count)?;
        all_or_none.disarm();
        Ok(Self {
            each,
            reserve,
            waiting: Arc::new(Semaphore::new(WAITING * count)),
            waiting_there: Arc::new(Semaphore::new(WAITING)),
            turn: AtomicUsize::new(0),
            ended,
            running: Mutex::new(running),
        })
    }

    /// Whether every thread runs.
    ///
    /// # Errors
    /// How many do not, since when at most, and what to do.
    pub(super) fn check(&self) -> Result<(), String> {
        let all = || self.each.iter().chain([&self.reserve]);
        let broken = all().filter(|thread| thread.scheduler.is_broken()).count();
        if broken > 0 {
            return Err(format!(
                "{broken} of the {} threads that serve connections ended in a bug and did not start again yet: the log has the place. Report \
                 it; if this stays, restart",
                all().count()
            ));
        }
        let idle = |thread: &ServingThread| thread.scheduler.beat.for_at_least(HELD_UP);
        let held: Vec<_> = all().filter_map(idle).map(Moment::elapsed).collect();
        let Some(longest) = held.iter().max() else { return Ok(()) };
        Err(format!(
            "{} of the {} threads that serve connections have not run for {} s: most likely a disk holds them up, that of the audit log or \
             of the database, and their connections wait. Look at that disk; a restart frees the connections",
            held.len(),
            all().count(),
            longest.as_secs()
        ))
    }

    /// A place for a connection that is accepted next. Waits for one.
    pub(super) async fn place(&self) -> Waiting {
        loop {
            // Connections that wait for a thread that is held keep their places.
            let is_any_free = self.each.iter().any(ServingThread::is_free);
            let places = if is_any_free { &self.waiting } else { &self.waiting_there };
            if let Ok(place) = timeout(LOOK, Arc::clone(places).acquire_owned()).await {
                // They are never closed.
                return Waiting(place.ok());
            }
        }
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
        let next = in_turn
            .filter(|(_, thread)| thread.is_free())
            .min_by_key(|(_, thread)| thread.waiting.load(Relaxed));
        let thread = match next {
            Some((passed_over, thread)) => {
                self.turn.fetch_add(passed_over + 1, Relaxed);
                thread
            }
            None => &self.reserve,
        };
        let waiting = Counted::new(&thread.waiting);
        let serve = async move {
            drop((waiting, place));
            serve.await;
        };
        tasks.spawn_on(serve, &thread.scheduler.handle());
    }
}

impl ServingThread {
    /// Ends with `ended`. Keeps `runs` until then.
    fn start(
        (number, disk_work): (usize, &Arc<DiskWork>),
        ended: CancellationToken,
        runs: mpsc::Sender<()>,
    ) -> io::Result<Self> {
        let runtime = runtime()?;
        let scheduler = Arc::new(Scheduler::of(&runtime));
        let (own, disk_work) = (Arc::clone(&scheduler), Arc::clone(disk_work));
        let works = Arc::clone(&disk_work);
        let run = move || {
            Place::become_serving(number);
            works.join(number);
            own.run(runtime, &ended);
            drop(runs);
        };
        let thread = thread::Builder::new().name(format!("serve-{number}")).spawn(run)?;
        Ok(Self { number, disk_work, scheduler, waiting: Arc::default(), thread: Some(thread) })
    }

    /// Whether it may get connections: it runs, as far as is known.
    fn is_free(&self) -> bool {
        let Scheduler { beat, .. } = &*self.scheduler;
        !self.scheduler.is_broken()
            && !self.disk_work.is_held(self.number)
            && beat.for_at_least(HELD_UP).is_none()
    }
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_io().enable_time().build()
}

impl Scheduler {
    fn of(runtime: &Runtime) -> Self {
        let beat = UnderWay::default();
        beat.begin();
        let runtime = Mutex::new(runtime.handle().clone());
        Self { runtime, beat, is_broken: AtomicBool::new(false) }
    }

    fn handle(&self) -> Handle {
        self.runtime.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn is_broken(&self) -> bool {
        self.is_broken.load(Relaxed)
    }

    /// Schedules the tasks of this thread until `ended`.
    fn run(&self, first: Runtime, ended: &CancellationToken) {
        let mut next = Some(first);
        while let Some(runtime) = next {
            if self.drive(runtime, ended) {
                return;
            }
            tracing::error!(
                "a bug: the scheduler of a thread that serves panicked. The connections of the thread are closed, and it goes on with \
                 another one"
            );
            next = self.another(ended);
        }
    }

    /// Schedules tasks until `ended`, and drops them. `false`: the scheduler panicked.
    fn drive(&self, runtime: Runtime, ended: &CancellationToken) -> bool {
        let schedule = || {
            runtime.block_on(async {
                tokio::select! {
                    () = ended.cancelled() => {}
                    () = self.note_that_it_runs() => {}
                }
            });
        };
        // What it panicked with is dropped at the very end: that may panic as well, and then there is no other scheduler.
        let ended = catch_unwind(AssertUnwindSafe(schedule));
        if ended.is_err() {
            self.is_broken.store(true, Relaxed);
        }
        // Drops the tasks. Work elsewhere that they wait for is not waited for.
        catch_unwind(AssertUnwindSafe(|| runtime.shutdown_background())).ok();
        ended.is_ok()
    }

    /// Another scheduler, a moment later: a bug that strikes at once must not fill the log. `None`: `ended` came first.
    fn another(&self, ended: &CancellationToken) -> Option<Runtime> {
        let mut not_before = Instant::now() + BEAT;
        while !ended.is_cancelled() {
            let left = not_before.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                thread::park_timeout(left);
                continue;
            }
            match runtime() {
                Ok(runtime) => {
                    *self.runtime.lock().unwrap_or_else(PoisonError::into_inner) =
                        runtime.handle().clone();
                    self.beat.begin();
                    self.is_broken.store(false, Relaxed);
                    return Some(runtime);
                }
                Err(error) => {
                    tracing::error!(reason = %error, "a thread that serves has no scheduler: it tries again");
                    not_before = Instant::now() + BEAT;
                }
            }
        }
        None
    }

    async fn note_that_it_runs(&self) {
        let mut every = tokio::time::interval(BEAT);
        loop {
            every.tick().await;
            self.beat.begin();
        }
    }
}

impl Drop for ServingThreads {
    fn drop(&mut self) {
        self.ended.cancel();
        // One may wait for its next scheduler.
        self.each
            .iter()
            .chain([&self.reserve])
            .filter_map(|each| each.thread.as_ref())
            .for_each(|own| own.thread().unpark());
        let running = self.running.get_mut().unwrap_or_else(PoisonError::into_inner);
        let ended = running.recv_timeout(END_TIME);
        if ended == Err(RecvTimeoutError::Timeout) {
            tracing::warn!(
                "a thread that serves is held up, most likely by a disk: it is left behind"
            );
            return;
        }
        for thread in self.each.iter_mut().chain([&mut self.reserve]) {
            // A panic has been told.
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
mod tests;
