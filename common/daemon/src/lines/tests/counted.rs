//! The count of written lines is that of the lines that the output has, whichever way they went. Only those that were written in time
//! were counted.

use super::*;

/// Waits until lines can be written again, and returns how many are counted as written and how many were.
fn counted_and_there(reader: PipeReader, lines: Lines) -> (u64, u64) {
    let reading = std::thread::spawn(move || read_all(reader));
    eventually("written again", || lines.failure().is_none());
    // The line about the gap may still be missing.
    lines.flush();
    let counted = lines.counts().written;
    drop(lines);
    (counted, reading.join().unwrap().len() as u64)
}

#[tokio::test]
async fn a_line_that_is_written_late_counts_as_written() {
    let lines = lines_to(File::options().write(true).open("/dev/full").unwrap());
    for _ in 0..3 {
        assert!(put_to_keep(&lines, "kept").await.is_err());
    }
    assert_eq!((lines.counts().written, lines.counts().failed), (0, 3));
    let (reader, writer) = io::pipe().unwrap();
    lines.replace(File::from(OwnedFd::from(writer)));
    assert_eq!(counted_and_there(reader, lines), (3, 3));
}

#[tokio::test]
async fn a_line_that_was_cut_counts_as_written_once_it_is_whole() {
    let (reader, lines) = piped();
    // A page of the pipe ends within a line.
    let ends = join_all((0..200).map(|_| put(&lines, &"x".repeat(1000)))).await;
    assert!(ends.iter().any(Result::is_err));
    let (counted, there) = counted_and_there(reader, lines);
    assert_eq!(counted, there);
}

#[tokio::test]
async fn a_line_whose_write_hung_for_too_long_counts_as_written_once_it_returns() {
    let (reader, lines) = piped();
    let hanging = put_hanging(&lines);
    lines.expire(Instant::now() + Duration::from_secs(10));
    assert_eq!(poll_immediate(hanging).await, Some(Err(Failure::Stalled)));
    let (counted, there) = counted_and_there(reader, lines);
    assert_eq!(counted, there);
}
