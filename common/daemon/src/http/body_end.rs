//! Until when bodies are waited for, once the daemon ends.

use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

/// How long nothing of a body may arrive once the daemon has begun to end.
const SILENCE: Duration = Duration::from_secs(1);

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct BodyEnd {
    /// The daemon has begun to end.
    begun: CancellationToken,
    /// It waits for bodies no longer.
    over: CancellationToken,
}

impl BodyEnd {
    /// The daemon begins to end: it waits only for bodies that still arrive.
    pub(super) fn begin(&self) {
        self.begun.cancel();
    }

    /// The daemon waits for no body any more.
    pub(super) fn give_up(&self) {
        self.over.cancel();
    }

    /// Waits until a body is not waited for any more, of which `read` says how many bytes have arrived.
    pub(super) async fn reached(&self, read: &AtomicUsize) {
        tokio::select! {
            () = self.over.cancelled() => {}
            () = self.silence(read) => {}
        }
    }

    async fn silence(&self, read: &AtomicUsize) {
        self.begun.cancelled().await;
        loop {
            let before = read.load(Relaxed);
            tokio::time::sleep(SILENCE).await;
            if read.load(Relaxed) == before {
                return;
            }
        }
    }
}
