//! Where audit lines go: a file descriptor that must take each line whole, and soon.

use std::{
    fs::File,
    io,
    os::fd::AsFd,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
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

/// The audit log of one process.
#[derive(Debug)]
pub struct AuditLog {
    sink: Mutex<Sink>,
    /// The reader has stopped reading: no request waits for it again until it takes something.
    stalled: AtomicBool,
    errors: AtomicU64,
}

#[derive(Debug)]
struct Sink {
    file: File,
    /// A regular file takes what it is given; it is no use to ask first.
    ask_first: bool,
    /// The end of a line whose beginning is written: it goes first, so that lines stay whole.
    rest: Vec<u8>,
}

/// An audit line could not be written.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// Nobody reads the other end of the pipe.
    #[error("the audit log takes nothing: its reader has stopped reading")]
    Stalled,
    /// The operating system refused, as on a full disk.
    #[error("the audit log cannot be written")]
    Write(#[source] io::Error),
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
        Self {
            sink: Mutex::new(Sink { file, ask_first, rest: Vec::new() }),
            stalled: AtomicBool::new(false),
            errors: AtomicU64::new(0),
        }
    }

    /// Writes the line of one request.
    ///
    /// It returns when the operating system has the line. A reader that does not keep up is waited for, once, for two
    /// seconds; from then on lines are refused at once until it reads again.
    ///
    /// # Errors
    /// [`AuditError`]: the request must fail, since nobody could ever tell that it happened.
    pub fn write(&self, entry: &Entry<'_>, now: OffsetDateTime) -> Result<(), AuditError> {
        let line = entry.line(now);
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        let patience = if self.stalled.load(Relaxed) { AT_ONCE } else { PATIENCE };
        let written = sink.write(&line, patience);
        self.stalled.store(matches!(written, Err(AuditError::Stalled)), Relaxed);
        if written.is_err() {
            self.errors.fetch_add(1, Relaxed);
        }
        written
    }

    /// Whether a line could be written now.
    ///
    /// # Errors
    /// Why not, in words.
    pub fn check(&self) -> Result<(), String> {
        match self.sink.try_lock() {
            // Somebody is writing, or waiting to: what comes of it shows soon.
            Err(_) if !self.stalled.load(Relaxed) => Ok(()),
            Err(_) => Err(AuditError::Stalled.to_string()),
            Ok(sink) => match sink.ready(&AT_ONCE) {
                Ok(()) => Ok(()),
                Err(error) => Err(error.to_string()),
            },
        }
    }

    /// How many lines could not be written.
    pub fn errors(&self) -> u64 {
        self.errors.load(Relaxed)
    }
}

impl Sink {
    fn write(&mut self, line: &[u8], patience: Timespec) -> Result<(), AuditError> {
        if !self.rest.is_empty() {
            let rest = std::mem::take(&mut self.rest);
            let done = self.write_some(&rest, &patience);
            let (Ok(taken) | Err((taken, _))) = &done;
            self.rest = rest.get(*taken..).unwrap_or_default().to_vec();
            if let Err((_, error)) = done {
                return Err(error);
            }
        }
        match self.write_some(line, &patience) {
            Ok(_) => Ok(()),
            Err((0, error)) => Err(error),
            Err((taken, error)) => {
                self.rest = line.get(taken..).unwrap_or_default().to_vec();
                Err(error)
            }
        }
    }

    /// Writes until all is taken; an error tells how much was.
    fn write_some(&self, bytes: &[u8], patience: &Timespec) -> Result<usize, (usize, AuditError)> {
        let mut taken = 0;
        while let Some(left) = bytes.get(taken..).filter(|left| !left.is_empty()) {
            self.ready(patience).map_err(|error| (taken, error))?;
            match write(&self.file, left) {
                Ok(count) => taken += count,
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(error) => return Err((taken, AuditError::Write(error.into()))),
            }
        }
        Ok(taken)
    }

    /// Waits until the descriptor takes at least a pipe's atomic unit, which is more than a line.
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
                Err(error) => Err(AuditError::Write(error.into())),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read, time::Duration};

    use super::*;
    use crate::audit::RequestId;

    fn write(log: &AuditLog, status: u16) -> Result<(), AuditError> {
        let id = RequestId::generate();
        let entry = Entry {
            component: "",
            trail_id: &id,
            arrived: OffsetDateTime::UNIX_EPOCH,
            peer: "spiffe://spike.ist/workload/app1",
            action: "read",
            path: "/v1/store/secrets",
            query: "",
            subject: None,
            status,
            error: None,
            duration: Duration::ZERO,
        };
        log.write(&entry, OffsetDateTime::UNIX_EPOCH)
    }

    #[test]
    fn a_reader_that_stops_reading_fails_requests_and_lines_stay_whole_when_it_comes_back() {
        let (mut reader, writer) = io::pipe().unwrap();
        let log = AuditLog::to_file(File::from(std::os::fd::OwnedFd::from(writer)));
        let mut written = 0;
        let failed = loop {
            match write(&log, 200) {
                Ok(()) => written += 1,
                Err(error) => break error,
            }
            assert!(written < 100_000, "a pipe takes only so much");
        };
        assert!(matches!(failed, AuditError::Stalled));
        assert!(log.check().is_err());
        // While nobody reads, nobody waits either.
        for _ in 0..100 {
            assert!(write(&log, 200).is_err());
        }
        assert_eq!(log.errors(), 101);

        let reading = std::thread::spawn(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            text
        });
        while write(&log, 418).is_err() {
            std::thread::yield_now();
        }
        drop(log);
        let text = reading.join().unwrap();
        for line in text.lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(line["audit"]["UserID"], "spiffe://spike.ist/workload/app1");
        }
        let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!(last["audit"]["Status"], 418);
    }

    #[test]
    fn a_closed_reader_is_an_error_not_the_end() {
        let (reader, writer) = io::pipe().unwrap();
        let log = AuditLog::to_file(File::from(std::os::fd::OwnedFd::from(writer)));
        drop(reader);
        assert!(matches!(write(&log, 200), Err(AuditError::Write(_))));
    }
}
