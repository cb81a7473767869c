//! Where audit lines go: whole lines, in the order of their ends, and no answer before its line is with the operating
//! system.
//!
//! Lines of requests that end at the same time go out in one write: a line waits for one turn of the scheduler, in which
//! others may join it, and whoever comes back first writes for all.

use std::{
    cell::RefCell,
    fs::File,
    io,
    os::fd::AsFd,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{Errno, write},
};
use time::OffsetDateTime;

use super::Entry;

/// How long a reader of the log may stop reading before requests fail.
const PATIENCE: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };
const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// How much a pipe takes for certain once it says that it takes anything (`PIPE_BUF`, Linux pipe(7)). A longer write could
/// block for as long as nobody reads.
const PIPE_UNIT: usize = 4096;

/// How often a line lets others run while another thread writes, before its thread waits for that.
const TURNS: u8 = 16;

/// The largest batch whose room is kept for another.
const SPARE: usize = 1 << 20;

/// A line that takes more room than this, in bytes, does not keep it.
const LONG_LINE: usize = 4096;

thread_local! {
    /// Where a thread makes its lines. Nothing in them is secret.
    static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The audit log of one process.
#[derive(Debug, Clone)]
pub struct AuditLog(Arc<Log>);

/// A refusal.
#[derive(Debug)]
pub struct Refusal<'a> {
    /// action
    pub action: &'static str,
    /// status
    pub status: Option<u16>,
    /// address
    pub address: std::net::SocketAddr,
    /// id
    pub id: Option<&'a str>,
    /// reason
    pub reason: &'a str,
}

#[derive(Debug)]
struct Log {
    /// The lines that go out next.
    open: Mutex<Batch>,
    /// Locked before `open`, where both are.
    sink: Mutex<Sink>,
    /// The reader has stopped reading: no request waits for it again until it takes something.
    stalled: AtomicBool,
    errors: AtomicU64,
}

/// Lines that go out together.
#[derive(Debug, Default)]
struct Batch {
    bytes: Vec<u8>,
    written: Arc<OnceLock<Written>>,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug)]
struct Written {
    /// So many bytes were taken.
    taken: usize,
    /// And then this happened.
    error: Option<AuditError>,
}

impl Written {
    /// What became of the line that ends there.
    fn line(self, end: usize) -> Result<(), AuditError> {
        match self.error {
            Some(error) if end > self.taken => Err(error),
            Some(_) | None => Ok(()),
        }
    }
}

#[derive(Debug)]
struct Sink {
    file: File,
    /// A regular file takes what it is given; it is no use to ask first.
    ask_first: bool,
    /// The end of a line whose beginning is written: it goes first, so that lines stay whole.
    rest: Vec<u8>,
    /// Room for the batch after the next.
    spare: Vec<u8>,
}

/// An audit line could not be written.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum AuditError {
    /// Nobody reads the other end of the pipe.
    #[error("the audit log takes nothing: its reader has stopped reading")]
    Stalled,
    /// The operating system refused, as on a full disk.
    #[error("the audit log cannot be written")]
    Write(#[source] Errno),
}

impl AuditLog {
    /// Writes to standard error, as upstream does.
    ///
    /// # Errors
    /// Where standard error is closed.
    pub fn to_standard_error() -> io::Result<Self> {
        let standard_error = io::stderr().as_fd().try_clone_to_owned()?;
        Ok(Self::to_file(File::from(standard_error)))
    }

    /// Writes to `file`.
    pub fn to_file(file: File) -> Self {
        let ask_first = !file.metadata().is_ok_and(|metadata| metadata.is_file());
        Self(Arc::new(Log {
            open: Mutex::default(),
            sink: Mutex::new(Sink { file, ask_first, rest: Vec::new(), spare: Vec::new() }),
            stalled: AtomicBool::new(false),
            errors: AtomicU64::new(0),
        }))
    }

    /// Writes the line of one request. It is written also where the future is dropped before its end.
    ///
    /// The future ends when the operating system has the line. A reader that does not keep up is waited for, once, for two
    /// seconds; from then on lines are refused at once until it reads again.
    ///
    /// # Errors
    /// [`AuditError`]: the request must fail, since nobody could ever tell that it happened.
    pub fn write(&self, entry: &Entry<'_>, now: OffsetDateTime) -> Writing {
        LINE.with_borrow_mut(|line| {
            line.clear();
            entry.write(line, now);
            let mut open = lock(&self.0.open);
            open.bytes.extend_from_slice(line);
            let (written, end) = (Arc::clone(&open.written), open.bytes.len());
            drop(open);
            if line.capacity() > LONG_LINE {
                *line = Vec::new();
            }
            Writing { log: Arc::clone(&self.0), written, end, turns: 0 }
        })
    }

    /// Whether a line could be written now.
    ///
    /// # Errors
    /// Why not, in words.
    pub fn check(&self) -> Result<(), String> {
        match try_lock(&self.0.sink) {
            // Somebody is writing, or waiting to: what comes of it shows soon.
            None if !self.0.stalled.load(Relaxed) => Ok(()),
            None => Err(AuditError::Stalled.to_string()),
            Some(sink) => match sink.ready(&AT_ONCE) {
                Ok(()) => Ok(()),
                Err(error) => Err(error.to_string()),
            },
        }
    }

    /// How many lines could not be written.
    pub fn errors(&self) -> u64 {
        self.0.errors.load(Relaxed)
    }

    /// Whether a change may be begun.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn accepts_changes(&self) -> Result<(), AuditError> {
        Ok(())
    }

    /// Tells of a refusal.
    pub fn refused(&self, refusal: &Refusal<'_>) {
        tracing::info!(?refusal, "refused");
    }
}

impl Log {
    /// Writes the open batch, unless that is done.
    fn flush(&self, mut sink: MutexGuard<'_, Sink>, written: &OnceLock<Written>) -> Written {
        // A batch leaves `open` only under the lock of the sink, and has its outcome before that is released: one without
        // an outcome is the open one.
        *written.get_or_init(|| {
            let next = Batch { bytes: std::mem::take(&mut sink.spare), ..Batch::default() };
            let Batch { mut bytes, .. } = std::mem::replace(&mut *lock(&self.open), next);
            let patience = if self.stalled.load(Relaxed) { AT_ONCE } else { PATIENCE };
            let written = sink.write(&bytes, patience);
            if bytes.capacity() <= SPARE {
                bytes.clear();
                sink.spare = bytes;
            }
            self.stalled.store(matches!(written.error, Some(AuditError::Stalled)), Relaxed);
            written
        })
    }
}

/// A line on its way to the operating system.
#[derive(Debug)]
#[must_use = "an answer must not go out before its line"]
pub struct Writing {
    log: Arc<Log>,
    written: Arc<OnceLock<Written>>,
    /// Where it ends in its batch.
    end: usize,
    /// How often it has let others run.
    turns: u8,
}

impl Writing {
    /// What became of it; writes it where nobody has yet.
    fn finish(&self) -> Result<(), AuditError> {
        let written = match self.written.get() {
            Some(written) => *written,
            None => self.log.flush(lock(&self.log.sink), &self.written),
        };
        written.line(self.end)
    }

    /// The same, unless another thread is writing: a thread that waits for it is soon asleep, and has to be woken.
    fn try_finish(&self) -> Option<Result<(), AuditError>> {
        let written = match self.written.get() {
            Some(written) => *written,
            None => self.log.flush(try_lock(&self.log.sink)?, &self.written),
        };
        Some(written.line(self.end))
    }
}

impl Future for Writing {
    type Output = Result<(), AuditError>;

    /// Stands back once for whatever else is ready to run, which may have lines too, and a few times more for another
    /// thread that writes.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = match self.turns {
            0 => None,
            TURNS.. => Some(self.finish()),
            _ => self.try_finish(),
        };
        if let Some(outcome) = outcome {
            return Poll::Ready(outcome);
        }
        self.turns += 1;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Writing {
    /// A request that nobody waits for any more has happened all the same.
    fn drop(&mut self) {
        if self.finish().is_err() {
            self.log.errors.fetch_add(1, Relaxed);
        }
    }
}

impl Sink {
    /// Writes whole lines, as many as are taken.
    fn write(&mut self, lines: &[u8], patience: Timespec) -> Written {
        if !self.rest.is_empty() {
            let rest = std::mem::take(&mut self.rest);
            let Written { taken, error } = self.write_some(&rest, &patience);
            self.rest = rest.get(taken..).unwrap_or_default().to_vec();
            if error.is_some() {
                return Written { taken: 0, error };
            }
        }
        let written = self.write_some(lines, &patience);
        let (before, after) = lines.split_at(written.taken.min(lines.len()));
        if before.last().is_some_and(|byte| *byte != b'\n') {
            self.rest =
                after.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default().to_vec();
        }
        written
    }

    /// Writes until all is taken, or tells how much was.
    fn write_some(&self, bytes: &[u8], patience: &Timespec) -> Written {
        let mut taken = 0;
        let error = loop {
            let mut left = bytes.get(taken..).unwrap_or_default();
            if self.ask_first {
                left = left.get(..PIPE_UNIT).unwrap_or(left);
            }
            if left.is_empty() {
                break None;
            }
            if let Err(error) = self.ready(patience) {
                break Some(error);
            }
            match write(&self.file, left) {
                Ok(count) => taken += count,
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(error) => break Some(AuditError::Write(error)),
            }
        };
        Written { taken, error }
    }

    /// Waits until the descriptor takes at least [`PIPE_UNIT`].
    fn ready(&self, patience: &Timespec) -> Result<(), AuditError> {
        if !self.ask_first {
            return Ok(());
        }
        let mut descriptor = [PollFd::new(&self.file, PollFlags::OUT)];
        loop {
            return match poll(&mut descriptor, Some(patience)) {
                Ok(0) => Err(AuditError::Stalled),
                Ok(_) => Ok(()),
                Err(Errno::INTR) => continue,
                Err(error) => Err(AuditError::Write(error)),
            };
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `None` where somebody else holds it.
fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

#[cfg(test)]
mod tests;
