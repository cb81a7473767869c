use super::*;

fn start(file: File, sync: AuditSync) -> Lines {
    Lines::start("test", file, Care { sync, ..RESERVES }, TestOwner::default()).unwrap()
}

/// Counts as a regular file and takes every write, and the kernel cannot flush it.
fn never_flushed() -> File {
    File::options().write(true).open("/proc/self/comm").unwrap()
}

#[tokio::test]
async fn what_was_written_is_flushed_within_an_interval_without_a_further_line() {
    let lines = start(tempfile::tempfile().unwrap(), AuditSync::Interval);
    put(&lines, "once").await.unwrap();
    eventually("a flush", || lines.is_synced());
}

#[tokio::test]
async fn a_line_of_which_each_is_flushed_is_flushed_when_its_future_ends() {
    let lines = start(tempfile::tempfile().unwrap(), AuditSync::Each);
    for _ in 0..20 {
        put(&lines, "each").await.unwrap();
        assert!(lines.is_synced());
    }
}

#[tokio::test]
async fn a_line_that_cannot_be_flushed_fails_and_lines_after_a_mend_do_not() {
    let lines = start(never_flushed(), AuditSync::Each);
    assert_eq!(put(&lines, "lost").await, Err(Failure::Write(Errno::INVAL)));
    assert_eq!(lines.failure(), Some(Failure::Write(Errno::INVAL)));
    lines.replace(tempfile::tempfile().unwrap());
    eventually("a flush", || lines.failure().is_none());
    put(&lines, "after").await.unwrap();
}

#[tokio::test]
async fn a_flush_that_fails_in_the_background_is_a_failure_until_one_succeeds() {
    let lines = start(never_flushed(), AuditSync::Interval);
    put(&lines, "once").await.unwrap();
    eventually("a failure", || lines.failure() == Some(Failure::Write(Errno::INVAL)));
    lines.replace(tempfile::tempfile().unwrap());
    eventually("a flush", || lines.failure().is_none());
}
