//! The threads that serve connections, each with a scheduler of its own.
//!
//! A connection stays on its thread, and so do the requests on it: what they touch stays with one processor, and threads
//! need not wake each other. Work that takes long is done elsewhere, so no connection holds the others of its thread up.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
};

use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::threads::{self, Place};

/// How many connections may wait for each thread to begin with them. Others wait in the queue of the system: here they would count as
/// handshakes, of which the oldest gives way.
const WAITING: usize = 4;

/// See the [module](self). Dropping this ends the threads, and drops what still runs on them.
#[derive(Debug)]
pub(super) struct ServingThreads {
    each: Vec<ServingThread>,
    /// One for each connection that may wait.
    waiting: Arc<Semaphore>,
    ended: CancellationToken,
}

#[derive(Debug)]
struct ServingThread {
    runtime: Handle,
    /// How many connections it has.
    connections: Arc<AtomicUsize>,
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
        let mut all = Self { each: Vec::new(), waiting, ended: CancellationToken::new() };
        for number in 0..count {
            all.each.push(ServingThread::start(number, all.ended.clone())?);
        }
        Ok(all)
    }

    /// A place for a connection that is accepted next. Waits for one.
    pub(super) async fn place(&self) -> Waiting {
        // It is never closed.
        Waiting(Arc::clone(&self.waiting).acquire_owned().await.ok())
    }

    /// Runs `serve`, which serves one connection, on the thread that has the fewest. `waiting` is its place until then.
    pub(super) fn spawn(
        &self,
        (tasks, waiting): (&TaskTracker, Waiting),
        serve: impl Future<Output = ()> + Send + 'static,
    ) {
        let fewest = self.each.iter().min_by_key(|thread| thread.connections.load(Relaxed));
        let Some(thread) = fewest else { return };
        let counted = Counted::new(&thread.connections);
        let serve = async move {
            drop(waiting);
            serve.await;
            drop(counted);
        };
        tasks.spawn_on(serve, &thread.runtime);
    }
}

impl ServingThread {
    fn start(number: usize, ended: CancellationToken) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        let handle = runtime.handle().clone();
        let run = move || run(runtime, number, &ended);
        let thread = thread::Builder::new().name(format!("serve-{number}")).spawn(run)?;
        Ok(Self { runtime: handle, connections: Arc::default(), thread: Some(thread) })
    }
}

fn run(runtime: Runtime, number: usize, ended: &CancellationToken) {
    Place::become_serving(number);
    runtime.block_on(ended.cancelled());
    // Drops the tasks. Work elsewhere that they wait for is not waited for.
    runtime.shutdown_background();
}

impl Drop for ServingThreads {
    fn drop(&mut self) {
        self.ended.cancel();
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

/// A connection in the count of its thread.
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
    use std::collections::HashMap;

    use futures_util::FutureExt;
    use tokio::sync::{Notify, mpsc};

    use super::*;

    #[tokio::test]
    async fn connections_are_spread_evenly_and_stay_on_their_threads() {
        let (threads, tasks) = (ServingThreads::start().unwrap(), TaskTracker::new());
        let (sender, mut seen) = mpsc::unbounded_channel();
        let go_on = Arc::new(Notify::new());
        let count = 3 * threads::serving();
        for number in 0..count {
            let (sender, go_on) = (sender.clone(), Arc::clone(&go_on));
            threads.spawn((&tasks, threads.place().await), async move {
                let before = thread::current().id();
                go_on.notified().await;
                assert_eq!(thread::current().id(), before);
                sender.send((number, before)).unwrap();
            });
        }
        tasks.close();
        while !tasks.is_empty() {
            go_on.notify_waiters();
            tokio::task::yield_now().await;
        }
        let mut of_thread = HashMap::new();
        for _ in 0..count {
            *of_thread.entry(seen.recv().await.unwrap().1).or_insert(0) += 1;
        }
        assert_eq!(of_thread.into_values().collect::<Vec<_>>(), vec![3; threads::serving()]);
        assert!(threads.each.iter().all(|thread| thread.connections.load(Relaxed) == 0));
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
