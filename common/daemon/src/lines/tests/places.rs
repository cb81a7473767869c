//! Lines of several serving threads.

use std::thread;

use super::*;
use crate::threads::{self, Place};

/// Runs `work` on a new thread that is the serving thread `number`.
fn on_serving_thread<T: Send>(number: usize, work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let work = || {
            Place::become_serving(number);
            work()
        };
        scope.spawn(work).join().unwrap()
    })
}

#[test]
fn lines_of_every_serving_thread_are_written_whole_and_those_of_each_in_their_order() {
    let (reader, lines) = piped();
    let reading = thread::spawn(move || read_all(reader));
    let write_all = |writer: usize| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            for number in 0..500 {
                put(&lines, &format!("{writer} {number} {}", "x".repeat(number))).await.unwrap();
            }
        });
    };
    thread::scope(|scope| {
        for writer in 0..threads::serving() {
            scope.spawn(move || on_serving_thread(writer, || write_all(writer)));
        }
    });
    drop(lines);
    let all = reading.join().unwrap();
    for writer in 0..threads::serving() {
        let own = all.iter().filter(|line| line.starts_with(&format!("{writer} ")));
        let expected = (0..500).map(|number| format!("{writer} {number} {}", "x".repeat(number)));
        assert!(own.cloned().eq(expected), "writer {writer}");
    }
}

#[test]
fn the_line_that_waits_longest_is_written_first_whichever_thread_put_it() {
    let (reader, lines) = piped();
    let first = on_serving_thread(1, || put(&lines, "first"));
    let second = on_serving_thread(0, || put(&lines, "second"));
    let third = put(&lines, "third");
    drop((third, second, first));
    drop(lines);
    assert_eq!(read_all(reader), ["first", "second", "third"]);
}

#[test]
fn flush_waits_for_the_lines_of_every_thread() {
    let (_reader, lines) = piped();
    for number in 0..threads::serving() {
        drop(on_serving_thread(number, || put(&lines, "line")));
    }
    lines.flush();
    let counts = lines.counts();
    assert_eq!((counts.written, counts.waiting), (threads::serving() as u64, 0));
}

/// A peer with many long requests at once made those of everybody fail.
#[tokio::test]
async fn a_burst_of_more_lines_than_may_wait_is_written_if_the_file_takes_them() {
    let lines = lines_to(tempfile::tempfile().unwrap());
    let text = "x".repeat(1024);
    // The thread of the sink, which has just been started, might be writing meanwhile.
    put(&lines, "first").await.unwrap();
    let burst: Vec<_> = (0..3 * 4096).map(|_| put(&lines, &text)).collect();
    assert_eq!(lines.failure(), None);
    assert!(join_all(burst).await.into_iter().all(|written| written.is_ok()));
    assert_eq!((lines.counts().written, lines.counts().failed), (3 * 4096 + 1, 0));
}
