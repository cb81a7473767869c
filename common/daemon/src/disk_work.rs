//! Work that a disk may hold up, on the threads that serve connections: a read of the store.
//!
//! It is done on the serving thread, because most of it takes microseconds, and to hand it to another thread costs as much. Each thread
//! notes since when it is at such work. Once one of them takes long, the others do none, and their callers hand it over. Two that begin
//! within that time may both be held, so all may be: then new connections are for a thread in reserve, which never does such work.

use std::{
    cell::OnceCell,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use crate::threads::Apart;

/// From when on the others do no such work. Longer than a thread waits for a processor, most of the time.
const SLOW: Duration = Duration::from_millis(5);

/// From when on a thread gets no new connections.
const HELD: Duration = Duration::from_millis(100);

thread_local! {
    /// The work of the threads that serve with this one, and the number of this one. Empty for all other threads.
    static HERE: OnceCell<(Arc<DiskWork>, usize)> = const { OnceCell::new() };
}

/// Since when each serving thread is at such work.
#[derive(Debug)]
pub struct DiskWork {
    start: Instant,
    /// Microseconds after `start`; 0: it is not.
    since: Box<[Apart<AtomicU64>]>,
}

/// Does `work` on this thread; `None`: do it on a thread that serves nobody, because a disk may hold this one up.
pub fn on_this_thread<T>(work: impl FnOnce() -> T) -> Option<T> {
    HERE.with(|here| match here.get() {
        None => Some(work()),
        Some((all, number)) => all.begin(*number).map(|_until_it_ends| work()),
    })
}

impl DiskWork {
    /// For so many threads.
    pub fn of(threads: usize) -> Arc<Self> {
        let since = (0..threads).map(|_| Apart(AtomicU64::new(0))).collect();
        Arc::new(Self { start: Instant::now(), since })
    }

    /// Makes this thread the one of this number, counted from 0. One beyond the others is the reserve.
    pub fn join(self: &Arc<Self>, number: usize) {
        // A thread serves with the same others for all its life.
        HERE.with(|here| here.set((Arc::clone(self), number)).ok());
    }

    /// Whether a disk holds up the thread of this number.
    pub(crate) fn is_held(&self, number: usize) -> bool {
        let now = self.now();
        self.since.get(number).is_some_and(|Apart(since)| takes(since, now) >= HELD)
    }

    fn begin(&self, number: usize) -> Option<Begun<'_>> {
        let Apart(own) = self.since.get(number)?;
        let now = self.now();
        if self.since.iter().any(|Apart(since)| takes(since, now) >= SLOW) {
            return None;
        }
        own.store(now, Relaxed);
        Some(Begun(own))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX).max(1)
    }
}

/// For how long a thread is at work.
fn takes(since: &AtomicU64, now: u64) -> Duration {
    match since.load(Relaxed) {
        0 => Duration::ZERO,
        since => Duration::from_micros(now.saturating_sub(since)),
    }
}

/// Work of one thread, until it ends, also by a panic.
struct Begun<'a>(&'a AtomicU64);

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        self.0.store(0, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread};

    use super::*;

    /// Whether a serving thread of this number would do the work.
    fn does(all: &Arc<DiskWork>, number: usize) -> bool {
        let own = Arc::clone(all);
        let asked = thread::spawn(move || {
            own.join(number);
            on_this_thread(|| ()).is_some()
        });
        asked.join().unwrap()
    }

    /// Each further read of a disk that hangs blocked another thread, until none was left.
    #[test]
    fn while_work_takes_long_no_other_thread_begins_any_until_it_ends() {
        let all = DiskWork::of(3);
        let (release, held) = mpsc::channel::<()>();
        let (tell, begun) = mpsc::channel();
        let own = Arc::clone(&all);
        let slow = thread::spawn(move || {
            own.join(0);
            on_this_thread(|| {
                tell.send(()).unwrap();
                held.recv().ok();
            })
        });
        begun.recv().unwrap();
        while !all.is_held(0) {
            thread::yield_now();
        }
        assert!(!does(&all, 1) && !does(&all, 2) && !all.is_held(1));
        // No connection waits for this one.
        assert_eq!(on_this_thread(|| 7), Some(7));
        drop(release);
        assert!(slow.join().unwrap().is_some() && !all.is_held(0));
        assert!(does(&all, 1));
    }

    #[test]
    fn the_reserve_does_no_such_work_and_a_panic_ends_it() {
        let all = DiskWork::of(2);
        assert!(!does(&all, 2));
        let own = Arc::clone(&all);
        let panicked = thread::spawn(move || {
            own.join(1);
            on_this_thread(|| panic!("a bug"))
        });
        assert!(panicked.join().is_err());
        assert!(all.since.iter().all(|Apart(since)| since.load(Relaxed) == 0));
    }
}
