//! The end of the process, which no disk holds up.
//!
//! What a disk holds cannot be stopped, and nobody can say when it goes on. So it is waited for within bounds, then told in the
//! log, and left behind: it ends with the process.

use std::{
    io, process,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use tokio::{
    runtime::Runtime,
    signal::unix::{Signal, SignalKind, signal},
};

/// How long what still runs may take once the daemon has ended.
const RUNTIME_GRACE: Duration = Duration::from_secs(5);

/// How long the end may take beyond the drain time. With the default of that, it stays below the 40 s of the units.
const GRACE: Duration = Duration::from_secs(18);

/// How long the end may take after a second signal.
const SECOND_GRACE: Duration = Duration::from_secs(3);

/// How long the last line may take to be written.
const LAST_LINE: Duration = Duration::from_secs(1);

/// The signals that end a daemon.
#[derive(Debug)]
pub(super) struct EndSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl EndSignals {
    pub(super) fn new() -> io::Result<Self> {
        let [terminate, interrupt] = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
        Ok(Self { terminate: terminate?, interrupt: interrupt? })
    }

    /// The next one.
    pub(super) async fn recv(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Ends what still runs on `runtime`. Returns whether it ended in time.
pub(super) fn end_runtime(runtime: Runtime) -> bool {
    let begun = Instant::now();
    runtime.shutdown_timeout(RUNTIME_GRACE);
    let ended = begun.elapsed() < RUNTIME_GRACE;
    if !ended {
        tracing::error!(
            waited = ?RUNTIME_GRACE,
            "work of this process is held up, most likely by a disk, that of the audit log or of the data: it is left behind"
        );
    }
    ended
}

/// Ends the process if it does not end by itself in time: any thread may be held up, the first one too. Dropping this changes
/// nothing.
#[derive(Debug)]
pub(super) struct LastResort(mpsc::Sender<Instant>);

impl LastResort {
    /// For an end that begins now, with a drain that may take so long.
    pub(super) fn after(drain: Duration) -> Self {
        let (shorten, shortened) = mpsc::channel();
        let latest = Instant::now() + drain + GRACE;
        // Held by the thread itself, so that it waits whatever becomes of the rest.
        let held = shorten.clone();
        let wait = move || {
            wait_until(latest, &shortened);
            tracing::error!(
                "the end is held up, most likely by a disk, that of the audit log or of the data: the process ends at once"
            );
            // Another thread writes that line.
            wait_until(Instant::now() + LAST_LINE, &shortened);
            drop(held);
            exit();
        };
        if let Err(error) = thread::Builder::new().name("last-resort".to_owned()).spawn(wait) {
            tracing::warn!(reason = %error, "no thread that bounds the end: a disk that hangs may hold it up");
        }
        Self(shorten)
    }

    /// A second signal has come.
    pub(super) fn hurry(&self) {
        // There may be no such thread.
        self.0.send(Instant::now() + SECOND_GRACE).ok();
    }
}

#[expect(clippy::exit, clippy::disallowed_methods, reason = "the main thread is held up")]
fn exit() -> ! {
    process::exit(1)
}

/// Returns at `latest`, or at the first of the earlier moments that come.
fn wait_until(mut latest: Instant, shortened: &mpsc::Receiver<Instant>) {
    let left = |latest: Instant| latest.saturating_duration_since(Instant::now());
    while let Ok(earlier) = shortened.recv_timeout(left(latest)) {
        latest = latest.min(earlier);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The end waited for it for ever.
    #[test]
    fn a_task_that_a_disk_holds_does_not_hold_up_the_end() {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let (release, held) = mpsc::channel::<()>();
        let (began, begins) = mpsc::channel();
        runtime.spawn_blocking(move || {
            began.send(()).ok();
            held.recv().ok();
        });
        begins.recv().unwrap();
        assert!(!end_runtime(runtime));
        drop(release);
    }

    #[test]
    fn what_ends_by_itself_is_waited_for_and_told_as_such() {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        runtime.spawn(std::future::pending::<()>());
        assert!(end_runtime(runtime));
    }

    #[test]
    fn a_second_signal_makes_the_end_earlier_and_never_later() {
        let (shorten, shortened) = mpsc::channel();
        let now = Instant::now();
        for at in [now, now + Duration::from_mins(10)] {
            shorten.send(at).unwrap();
        }
        wait_until(now + Duration::from_mins(10), &shortened);
        assert!(now.elapsed() < Duration::from_mins(10));
    }
}
