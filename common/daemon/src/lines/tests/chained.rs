use super::*;
use crate::chain::{Chain, LineHash, Mark};

fn chained_to(file: File) -> Lines {
    let care = Care { chain: Some(Chain::begin()), ..RESERVES };
    Lines::start("test", file, care, JsonOwner).unwrap()
}

/// Its lines are JSON objects.
struct JsonOwner;

impl Owner for JsonOwner {
    fn write_gap(&self, lost: u64, line: &mut Vec<u8>) {
        line.extend_from_slice(format!("{{\"gap\":{lost}}}\n").as_bytes());
    }

    fn failure_changed(&self, _: Option<Failure>) {}
}

fn put_object(lines: &Lines, text: &str) -> PendingLine {
    lines.put_as(true, |line| line.extend_from_slice(format!("{{\"x\":\"{text}\"}}\n").as_bytes()))
}

/// Checks that each line has the next number and the hash of the line before.
fn assert_chained(all: &[String]) {
    let mut before = LineHash::NONE;
    for (number, line) in (1..).zip(all) {
        let mark = Mark::of(line.as_bytes()).unwrap_or_else(|| panic!("no mark: {line}"));
        assert_eq!((mark.number, mark.previous), (number, before));
        before = LineHash::of(line.as_bytes());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn lines_of_many_writers_are_chained_in_the_order_in_which_they_are_written() {
    let (reader, writer) = io::pipe().unwrap();
    let lines = chained_to(File::from(OwnedFd::from(writer)));
    let reading = std::thread::spawn(move || read_all(reader));
    let writers = (0..8).map(|writer| {
        let lines = lines.clone();
        tokio::spawn(async move {
            for number in 0..300 {
                put_object(&lines, &format!("{writer} {number}")).await.unwrap();
            }
        })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    let head = lines.head().unwrap();
    drop(lines);
    let all = reading.join().unwrap();
    assert_eq!((all.len(), head.number), (2400, 2400));
    assert_eq!(head.hash, LineHash::of(all.last().unwrap().as_bytes()));
    assert_chained(&all);
}

#[tokio::test]
async fn a_stall_in_the_middle_of_a_batch_leaves_a_whole_chain() {
    let (reader, writer) = io::pipe().unwrap();
    let lines = chained_to(File::from(OwnedFd::from(writer)));
    let text = "x".repeat(1000);
    let ends = join_all((0..200).map(|_| put_object(&lines, &text))).await;
    assert!(ends.iter().any(Result::is_ok) && ends.iter().any(Result::is_err));
    let reading = std::thread::spawn(move || read_all(reader));
    eventually("written again", || lines.failure().is_none());
    drop(lines);
    let all = reading.join().unwrap();
    assert_eq!(all.iter().filter(|line| line.contains(&text)).count(), 200, "each once");
    assert_chained(&all);
}

#[tokio::test]
async fn a_disk_that_was_full_leaves_no_hole_in_the_chain() {
    let lines = chained_to(File::options().write(true).open("/dev/full").unwrap());
    for _ in 0..3 {
        assert!(put_object(&lines, "late").await.is_err());
    }
    assert_eq!(lines.head().unwrap().number, 0);
    let (reader, writer) = io::pipe().unwrap();
    lines.replace(File::from(OwnedFd::from(writer)));
    eventually("written again", || lines.failure().is_none());
    put_object(&lines, "after").await.unwrap();
    drop(lines);
    let all = read_all(reader);
    assert_eq!(all.len(), 4);
    assert_chained(&all);
}
