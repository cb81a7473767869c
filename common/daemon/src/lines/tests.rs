use std::{
    fs::{self, File},
    io::{self, PipeReader, Read},
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    sync::Mutex,
    time::{Duration, Instant},
};

use futures_util::future::{join_all, poll_immediate};
use rustix::io::Errno;

use super::*;

mod chained;
mod counted;
mod places;
mod sync;

/// The time limit on a busy machine.
const DEADLINE: Duration = Duration::from_mins(1);

const RESERVES: Care = Care { reserves: true, sync: AuditSync::Never, chain: None };

/// Writes `gap N` where N lines are missing, and keeps the reported failures.
#[derive(Clone, Default)]
struct TestOwner(std::sync::Arc<Mutex<Vec<Option<Failure>>>>);

impl Owner for TestOwner {
    fn write_gap(&self, lost: u64, line: &mut Vec<u8>) {
        line.extend_from_slice(format!("gap {lost}\n").as_bytes());
    }

    fn failure_changed(&self, failure: Option<Failure>) {
        self.0.lock().unwrap().push(failure);
    }
}

fn lines_to(file: File) -> Lines {
    Lines::start("test", file, RESERVES, TestOwner::default()).unwrap()
}

fn piped() -> (PipeReader, Lines) {
    let (reader, writer) = io::pipe().unwrap();
    (reader, lines_to(File::from(OwnedFd::from(writer))))
}

fn put(lines: &Lines, text: &str) -> PendingLine {
    lines.put_as(false, |line| line.extend_from_slice(format!("{text}\n").as_bytes()))
}

/// Everything that is written until the last writer is gone.
fn read_all(mut reader: PipeReader) -> Vec<String> {
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

/// Puts lines of 1 KiB until one fails, and returns how many were written.
async fn fill(lines: &Lines) -> usize {
    let text = "x".repeat(1023);
    for written in 0..1000 {
        if put(lines, &text).await.is_err() {
            return written;
        }
    }
    panic!("a pipe takes only so much");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn lines_are_written_in_the_order_in_which_they_were_put_and_each_is_whole() {
    let (reader, lines) = piped();
    let reading = std::thread::spawn(move || read_all(reader));
    let writers = (0..16).map(|writer| {
        let lines = lines.clone();
        tokio::spawn(async move {
            for number in 0..500 {
                put(&lines, &format!("{writer} {number} {}", "x".repeat(number))).await.unwrap();
            }
        })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    let counts = lines.counts();
    assert_eq!((counts.written, counts.failed, counts.waiting), (8000, 0, 0));
    drop(lines);
    let all = reading.join().unwrap();
    assert_eq!(all.len(), 8000);
    for writer in 0..16 {
        let own = all.iter().filter(|line| line.starts_with(&format!("{writer} ")));
        let expected = (0..500).map(|number| format!("{writer} {number} {}", "x".repeat(number)));
        assert!(own.cloned().eq(expected), "writer {writer}");
    }
}

#[test]
fn a_line_that_nobody_waits_for_is_written_all_the_same() {
    let (reader, lines) = piped();
    drop(put(&lines, "never polled"));
    let mut given_up = put(&lines, "polled once");
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(Future::poll(std::pin::Pin::new(&mut given_up), &mut context).is_pending());
    drop(given_up);
    drop(lines);
    assert_eq!(read_all(reader), ["never polled", "polled once"]);
}

#[test]
fn what_was_put_is_written_when_flush_returns() {
    let (reader, lines) = piped();
    let reading = std::thread::spawn(move || read_all(reader));
    for number in 0..1000 {
        drop(put(&lines, &number.to_string()));
    }
    lines.flush();
    assert_eq!(lines.counts().written, 1000);
    drop(lines);
    assert_eq!(reading.join().unwrap().len(), 1000);
}

#[tokio::test]
async fn a_pipe_that_nobody_reads_holds_no_thread_that_puts_lines() {
    let (_reader, lines) = piped();
    // More than a pipe takes.
    let pending: Vec<_> = (0..200).map(|_| put(&lines, &"x".repeat(1023))).collect();
    let mut waiting = join_all(pending);
    let others = async {
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        _ = &mut waiting => panic!("the pipe took more than it can"),
        () = others => {}
    }
    // A line fails in the end instead of waiting for ever.
    assert!(waiting.await.contains(&Err(Failure::Stalled)));
}

#[tokio::test]
async fn after_a_stall_lines_are_refused_at_once_and_written_again_when_the_reader_reads() {
    let (reader, lines) = piped();
    let written = fill(&lines).await;
    assert_eq!(lines.failure(), Some(Failure::Stalled));
    for _ in 0..100 {
        let refused = poll_immediate(put(&lines, "refused")).await;
        assert_eq!(refused, Some(Err(Failure::Stalled)));
    }
    assert_eq!(lines.counts().failed, 101);

    let reading = std::thread::spawn(move || read_all(reader));
    // No line is needed for that.
    eventually("written again", || lines.failure().is_none());
    put(&lines, "after").await.unwrap();
    drop(lines);
    let all = reading.join().unwrap();
    let whole = "x".repeat(1023);
    // The line on which it stalled may have been cut: then its end came later, and it is whole.
    let first = all.iter().take_while(|line| **line == whole).count();
    assert!((written..=written + 1).contains(&first), "{first} lines for {written}");
    assert_eq!(all[first..], ["gap 101", "after"]);
}

#[tokio::test]
async fn of_lines_that_go_out_together_those_that_fit_are_written_and_the_others_fail_whole() {
    let (reader, lines) = piped();
    let ends = join_all((0..200).map(|_| put(&lines, &"x".repeat(1000)))).await;
    let good = ends.iter().filter(|end| end.is_ok()).count();
    assert!((1..200).contains(&good), "{good} of 200 fit");
    assert!(ends.iter().skip(good).all(Result::is_err), "and the first come first");

    let reading = std::thread::spawn(move || read_all(reader));
    eventually("written again", || lines.failure().is_none());
    drop(lines);
    let all = reading.join().unwrap();
    let told = all.iter().filter(|line| **line == "x".repeat(1000)).count();
    // The line that was cut is made whole later, and has failed all the same.
    assert!((good..=good + 1).contains(&told), "{told} lines for {good}");
    assert_eq!(all.last(), Some(&format!("gap {}", 200 - good)));
}

#[tokio::test]
async fn a_full_disk_fails_lines_until_there_is_space_and_the_gap_is_reported() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let owner = TestOwner::default();
    let told = owner.clone();
    let lines = Lines::start("test", full, RESERVES, owner).unwrap();
    for _ in 0..3 {
        assert_eq!(put(&lines, "lost").await, Err(Failure::Write(Errno::NOSPC)));
    }
    assert_eq!(lines.failure(), Some(Failure::Write(Errno::NOSPC)));

    let (reader, writer) = io::pipe().unwrap();
    lines.replace(File::from(OwnedFd::from(writer)));
    eventually("written again", || lines.failure().is_none());
    put(&lines, "after").await.unwrap();
    drop(lines);
    assert_eq!(read_all(reader), ["gap 3", "after"]);
    assert_eq!(*told.0.lock().unwrap(), [Some(Failure::Write(Errno::NOSPC)), None]);
}

fn put_to_keep(lines: &Lines, text: &str) -> PendingLine {
    lines.put_as(true, |line| line.extend_from_slice(format!("{text}\n").as_bytes()))
}

#[tokio::test]
async fn kept_lines_are_written_late_and_the_gap_counts_all() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let lines = lines_to(full);
    for _ in 0..3 {
        assert_eq!(put_to_keep(&lines, "kept").await, Err(Failure::Write(Errno::NOSPC)));
        assert_eq!(put(&lines, "lost").await, Err(Failure::Write(Errno::NOSPC)));
    }
    let (reader, writer) = io::pipe().unwrap();
    lines.replace(File::from(OwnedFd::from(writer)));
    eventually("written again", || lines.failure().is_none());
    put(&lines, "after").await.unwrap();
    drop(lines);
    assert_eq!(read_all(reader), ["kept", "kept", "kept", "gap 3", "after"]);
}

#[tokio::test]
async fn late_lines_are_written_when_flush_returns() {
    let (mut reader, lines) = piped();
    fill(&lines).await;
    assert_eq!(put_to_keep(&lines, "late").await, Err(Failure::Stalled));
    reader.read_exact(&mut vec![0; 32 << 10]).unwrap();
    lines.flush();
    let there = rustix::io::ioctl_fionread(&reader).unwrap();
    let mut written = vec![0; usize::try_from(there).unwrap()];
    reader.read_exact(&mut written).unwrap();
    assert!(String::from_utf8(written).unwrap().contains("\nlate\n"));
}

#[tokio::test]
async fn a_kept_line_outlasts_a_stall_before_it_and_after_it_and_is_written_once() {
    let (reader, lines) = piped();
    let before =
        (0..200).map(|number| put_to_keep(&lines, &format!("{number} {}", "x".repeat(1000))));
    let before: Vec<_> = before.collect();
    assert!(join_all(before).await.contains(&Err(Failure::Stalled)));
    assert_eq!(poll_immediate(put_to_keep(&lines, "200 last")).await, Some(Err(Failure::Stalled)));
    let reading = std::thread::spawn(move || read_all(reader));
    eventually("written again", || lines.failure().is_none());
    drop(lines);
    let all = reading.join().unwrap();
    let numbers: Vec<usize> =
        all.iter().filter_map(|line| line.split_once(' ')?.0.parse().ok()).collect();
    assert_eq!(numbers, (0..=200).collect::<Vec<_>>(), "{:?}", all.last());
}

/// Puts two lines. The first is more than a pipe takes, and its write hangs when this returns.
fn put_hanging(lines: &Lines) -> PendingLine {
    const SIZE: usize = 200 << 10;
    let hanging = put(lines, &"x".repeat(SIZE));
    // This one is never polled either, so the sink is woken.
    drop(put(lines, "another"));
    eventually("a batch in flight", || lines.counts().waiting_bytes < SIZE as u64);
    hanging
}

#[tokio::test]
async fn a_kept_line_that_waits_behind_a_write_that_hangs_is_written_when_it_returns() {
    let (reader, lines) = piped();
    let hanging = put_hanging(&lines);
    drop(put_to_keep(&lines, "behind it"));
    lines.expire(Instant::now() + Duration::from_secs(10));
    assert_eq!(poll_immediate(hanging).await, Some(Err(Failure::Stalled)));
    let reading = std::thread::spawn(move || read_all(reader));
    eventually("written again", || lines.failure().is_none());
    drop(lines);
    let all = reading.join().unwrap();
    assert_eq!(all.iter().filter(|line| *line == "behind it").count(), 1);
}

#[tokio::test]
async fn a_reader_that_has_closed_its_end_is_an_error_and_not_the_end() {
    let (reader, lines) = piped();
    drop(reader);
    for _ in 0..3 {
        assert_eq!(put(&lines, "lost").await, Err(Failure::Write(Errno::PIPE)));
    }
}

#[tokio::test]
async fn what_waits_is_bounded() {
    let (_reader, lines) = piped();
    let text = "x".repeat(1023);
    let refused = (0..20_000).find_map(|_| {
        let mut pending = put(&lines, &text);
        assert!(lines.counts().waiting_bytes <= 4 << 20);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match Future::poll(std::pin::Pin::new(&mut pending), &mut context) {
            std::task::Poll::Ready(Err(failure)) => Some(failure),
            _ => None,
        }
    });
    assert_eq!(refused, Some(Failure::Stalled));
}

#[tokio::test]
async fn lines_fail_also_while_the_operating_system_holds_the_thread_that_writes() {
    let (_reader, lines) = piped();
    let hanging = put_hanging(&lines);
    drop(put(&lines, "behind it"));
    // As if the write had not returned for a long time.
    lines.expire(Instant::now() + Duration::from_secs(10));
    assert_eq!(lines.failure(), Some(Failure::Stalled));
    assert_eq!(lines.counts().failed, 3);
    assert_eq!(poll_immediate(hanging).await, Some(Err(Failure::Stalled)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_line_is_lost_or_cut_when_the_file_changes() {
    let dir = tempfile::tempdir().unwrap();
    let open = |number: usize| {
        let path = dir.path().join(number.to_string());
        File::options().create(true).append(true).open(path).unwrap()
    };
    let lines = lines_to(open(0));
    let writers = (0..4).map(|writer| {
        let lines = lines.clone();
        tokio::spawn(async move {
            for number in 0..2000 {
                put(&lines, &format!("{writer} {number}")).await.unwrap();
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    for number in 1..10 {
        tokio::task::yield_now().await;
        lines.replace(open(number));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    drop(lines);
    let all: String = (0..10)
        .map(|number| fs::read_to_string(dir.path().join(number.to_string())).unwrap())
        .inspect(|part| assert!(part.is_empty() || part.ends_with('\n')))
        .collect();
    for writer in 0..4 {
        let own = all.lines().filter(|line| line.starts_with(&format!("{writer} ")));
        let expected = (0..2000).map(|number| format!("{writer} {number}"));
        assert!(own.map(str::to_owned).eq(expected), "writer {writer}");
    }
}

#[tokio::test]
async fn space_for_the_lines_to_come_is_always_reserved_behind_the_end_of_a_file() {
    let file = tempfile::tempfile().unwrap();
    let lines = lines_to(file.try_clone().unwrap());
    let reserved = || {
        let metadata = file.metadata().unwrap();
        (metadata.blocks() * 512).saturating_sub(metadata.len())
    };
    assert!(reserved() >= 256 * 1024, "{}", reserved());
    assert_eq!(file.metadata().unwrap().len(), 0, "the file looks no longer than it is");
    let line = "x".repeat(9999);
    for _ in 0..60 {
        put(&lines, &line).await.unwrap();
    }
    assert_eq!(file.metadata().unwrap().len(), 600_000);
    // It is reserved after the line is completed.
    eventually("space ahead", || reserved() >= 128 * 1024);
}

#[test]
fn a_failure_survives_being_a_number() {
    for failure in [
        None,
        Some(Failure::Stalled),
        Some(Failure::Write(Errno::NOSPC)),
        Some(Failure::NoSpaceAhead(Errno::DQUOT)),
    ] {
        assert_eq!(Failure::decode(Failure::encode(failure)), failure);
    }
}
