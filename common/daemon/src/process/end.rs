//! The end of the process, which no disk holds up.
//!
//! What a disk holds cannot be stopped, and nobody can say when it goes on. So it is waited for within bounds, then told in the
//! log, and left behind: it ends with the process.

use std::{
    io, process,
    sync::{Arc, OnceLock},
    thread,
    time::{Duration, Instant},
};

use tokio::{
    runtime::{self, Runtime},
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    time::sleep_until,
};

/// How long what still runs may take once the daemon has ended.
const RUNTIME_GRACE: Duration = Duration::from_secs(5);

/// How long the end may take beyond the drain time. With the default of that, it stays below the 40 s of the units.
const GRACE: Duration = Duration::from_secs(18);

/// How long the end may take after a second signal.
const SECOND_GRACE: Duration = Duration::from_secs(3);

/// How long the last line may take to be written.
const LAST_LINE: Duration = Duration::from_secs(1);

/// The signals that end a daemon. A thread waits for them that does nothing else, so that no disk holds it, and ends the process if
/// that does not end by itself in time: any other thread may be held up, the first one too.
#[derive(Debug)]
pub(super) struct EndSignals {
    /// How many have come.
    received: watch::Receiver<u32>,
    /// How many of them [`Self::recv`] has returned.
    returned: u32,
    /// How long the drain may take, once there is something to drain.
    drain: Arc<OnceLock<Duration>>,
}

impl EndSignals {
    /// Starts the thread. From here on, no such signal ends the process by itself.
    pub(super) fn start() -> io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let signals = {
            let _inside = runtime.enter();
            [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?]
        };
        let (sender, received) = watch::channel(0);
        let drain = Arc::<OnceLock<Duration>>::default();
        let of_daemon = Arc::clone(&drain);
        let run = move || runtime.block_on(end_in_time(signals, &sender, &of_daemon));
        thread::Builder::new().name("end-signals".to_owned()).spawn(run)?;
        Ok(Self { received, returned: 0, drain })
    }

    /// The daemon serves, and its end begins with a drain that may take so long.
    pub(super) fn allow(&self, drain: Duration) {
        // There is one drain in the life of a process.
        self.drain.set(drain).ok();
    }

    /// The next one.
    pub(super) async fn recv(&mut self) {
        let next = self.returned + 1;
        // The thread lives as long as the process.
        if self.received.wait_for(|received| *received >= next).await.is_ok() {
            self.returned = next;
        }
    }
}

/// Counts the signals, and ends the process if the first of them does not lead to its end in time.
async fn end_in_time(
    [mut terminate, mut interrupt]: [Signal; 2],
    received: &watch::Sender<u32>,
    drain: &OnceLock<Duration>,
) {
    let mut came: Vec<Instant> = Vec::new();
    loop {
        let latest = latest(&came, drain.get().copied());
        let is_late = async {
            match latest {
                Some(latest) => sleep_until(latest.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            // Again, because the drain may have been allowed meanwhile.
            () = is_late => match self::latest(&came, drain.get().copied()) {
                Some(latest) if latest <= Instant::now() => break,
                _ => continue,
            },
        }
        came.push(Instant::now());
        received.send_modify(|received| *received += 1);
    }
    tracing::error!(
        "the end is held up, most likely by a disk, that of the audit log or of the data: the process ends at once"
    );
    // Another thread writes that line.
    tokio::time::sleep(LAST_LINE).await;
    exit();
}

/// When the process has to have ended by itself, if these signals have come.
fn latest(came: &[Instant], drain: Option<Duration>) -> Option<Instant> {
    let first = *came.first()? + drain.unwrap_or_default() + GRACE;
    Some(came.get(1).map_or(first, |second| first.min(*second + SECOND_GRACE)))
}

#[expect(clippy::exit, clippy::disallowed_methods, reason = "any other thread may be held up")]
fn exit() -> ! {
    process::exit(1)
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// The end waited for it for ever.
    #[test]
    fn a_task_that_a_disk_holds_does_not_hold_up_the_end() {
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
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
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        runtime.spawn(std::future::pending::<()>());
        assert!(end_runtime(runtime));
    }

    #[test]
    fn a_second_signal_makes_the_end_earlier_and_never_later() {
        let (now, drain) = (Instant::now(), Some(Duration::from_mins(10)));
        let (soon, late) = (now + Duration::from_secs(1), now + Duration::from_mins(20));
        assert_eq!(latest(&[], drain), None);
        assert_eq!(latest(&[now, soon], drain), Some(soon + SECOND_GRACE));
        assert_eq!(latest(&[now, late], drain), latest(&[now], drain));
        assert_eq!(latest(&[now, soon, late], drain), latest(&[now, soon], drain));
    }

    #[test]
    fn an_end_without_anything_to_drain_is_bounded_too() {
        let now = Instant::now();
        assert_eq!(latest(&[now], None), Some(now + GRACE));
        let drain = Duration::from_secs(30);
        assert_eq!(latest(&[now], Some(drain)), Some(now + drain + GRACE));
    }
}
