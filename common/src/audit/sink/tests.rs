use std::{
    io::{PipeReader, Read},
    os::fd::OwnedFd,
    time::Duration,
};

use futures_util::future::join_all;

use super::*;
use crate::audit::RequestId;

async fn write(log: &AuditLog, status: u16) -> Result<(), AuditError> {
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
    log.write(&entry, OffsetDateTime::UNIX_EPOCH).await
}

fn piped() -> (PipeReader, AuditLog) {
    let (reader, writer) = io::pipe().unwrap();
    (reader, AuditLog::to_file(File::from(OwnedFd::from(writer))))
}

/// The statuses of the lines that are read until the log is dropped.
fn statuses(mut reader: PipeReader) -> Vec<u64> {
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    let status = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["audit"]["UserID"], "spiffe://spike.ist/workload/app1");
        line["audit"]["Status"].as_u64().unwrap()
    };
    text.lines().map(status).collect()
}

#[tokio::test]
async fn a_reader_that_stops_reading_fails_requests_and_lines_stay_whole_when_it_comes_back() {
    let (reader, log) = piped();
    let mut written = 0;
    let failed = loop {
        match write(&log, 200).await {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 100_000, "a pipe takes only so much");
    };
    assert!(matches!(failed, AuditError::Stalled));
    assert!(log.check().is_err());
    // While nobody reads, nobody waits either.
    for _ in 0..100 {
        assert!(write(&log, 200).await.is_err());
    }
    assert_eq!(log.errors(), 101);

    let reading = std::thread::spawn(move || statuses(reader));
    while write(&log, 418).await.is_err() {
        std::thread::yield_now();
    }
    drop(log);
    assert_eq!(reading.join().unwrap().last(), Some(&418));
}

#[tokio::test]
async fn of_lines_that_go_out_together_those_that_fit_are_written_and_the_others_fail_whole() {
    let (reader, log) = piped();
    // More than a pipe takes, at the same time.
    let ends = join_all((0..1000).map(|_| write(&log, 200))).await;
    let good = ends.iter().filter(|end| end.is_ok()).count();
    assert!((1..1000).contains(&good), "{good} of 1000 fit");
    assert!(ends.iter().skip(good).all(Result::is_err), "and the first come first");

    let reading = std::thread::spawn(move || statuses(reader));
    while write(&log, 418).await.is_err() {
        std::thread::yield_now();
    }
    drop(log);
    let statuses = reading.join().unwrap();
    // The line that was cut is made whole later, and its request has failed all the same.
    let told = statuses.iter().filter(|status| **status == 200).count();
    assert!((good..=good + 1).contains(&told), "{told} lines for {good} requests");
    assert_eq!(statuses.last(), Some(&418));
}

#[tokio::test]
async fn a_line_is_written_also_where_its_request_was_given_up() {
    let (reader, log) = piped();
    let mut given_up = Box::pin(write(&log, 200));
    assert!(futures_util::poll!(&mut given_up).is_pending());
    drop(given_up);
    drop(log);
    assert_eq!(statuses(reader), [200]);
}

#[tokio::test]
async fn a_closed_reader_is_an_error_not_the_end() {
    let (reader, log) = piped();
    drop(reader);
    assert!(matches!(write(&log, 200).await, Err(AuditError::Write(Errno::PIPE))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn lines_of_many_threads_are_all_written_and_whole() {
    let (reader, log) = piped();
    let log = Arc::new(log);
    let reading = std::thread::spawn(move || statuses(reader));
    let writers = (0..16_u16).map(|writer| {
        let log = Arc::clone(&log);
        tokio::spawn(async move {
            for _ in 0..500 {
                write(&log, 200 + writer).await.unwrap();
            }
        })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    drop(log);
    let statuses = reading.join().unwrap();
    for writer in 0..16 {
        let lines = statuses.iter().filter(|status| **status == 200 + writer).count();
        assert_eq!(lines, 500);
    }
}
