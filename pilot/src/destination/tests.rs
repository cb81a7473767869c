use std::io::Read as _;
use std::os::unix::fs::symlink;
use std::thread;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::tempdir;

use super::*;

fn streams() -> Streams {
    Streams::new(io::empty(), io::sink(), io::sink())
}

/// Prepares a place and writes to it.
fn put(path: &Path, text: &str) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut streams = streams();
    let place = runtime.block_on(Destination::prepare(path, Readers::Owner, &streams))?;
    place.write(&[text.as_bytes()], &mut streams)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_file_that_is_not_there_is_made_for_its_owner_alone() {
    let directory = tempdir().unwrap();
    let place = directory.path().join("new");
    put(&place, "text").unwrap();
    assert_eq!((fs::read_to_string(&place).unwrap().as_str(), mode(&place)), ("text", 0o600));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn a_file_that_is_there_keeps_its_mode_and_its_other_names() {
    let directory = tempdir().unwrap();
    let (place, other) = (directory.path().join("there"), directory.path().join("other"));
    fs::write(&place, "a longer text of before").unwrap();
    fs::set_permissions(&place, Permissions::from_mode(0o640)).unwrap();
    fs::hard_link(&place, &other).unwrap();
    put(&place, "text").unwrap();
    assert_eq!(fs::read_to_string(&other).unwrap(), "text");
    assert_eq!(mode(&place), 0o640);
}

// The message named a temporary file.
#[test]
fn a_directory_that_is_not_there_is_named() {
    let directory = tempdir().unwrap();
    let told = |name: &str| {
        let told = put(&directory.path().join(name), "text").unwrap_err().to_string();
        told.replace(directory.path().to_str().unwrap(), "DIR")
    };
    assert_eq!(told("a/b"), "cannot write DIR/a/b: there is no directory DIR/a");
    fs::write(directory.path().join("file"), "").unwrap();
    assert!(told("file/b").starts_with("cannot write DIR/file/b: "), "{}", told("file/b"));
    assert!(!told("file/b").contains(".tmp"), "{}", told("file/b"));
}

#[test]
fn what_got_the_name_in_the_meantime_is_not_replaced() {
    let directory = tempdir().unwrap();
    let place = directory.path().join("new");
    let prepared = Destination::new(&place, Readers::Owner).unwrap();
    fs::write(&place, "somebody else's").unwrap();
    assert!(prepared.write(&[b"text"], &mut streams()).is_err());
    assert_eq!(fs::read_to_string(&place).unwrap(), "somebody else's");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn a_link_to_nothing_is_an_error_that_names_what_it_points_to() {
    let directory = tempdir().unwrap();
    let link = directory.path().join("link");
    symlink("gone", &link).unwrap();
    let error = put(&link, "text").unwrap_err().to_string();
    assert!(error.contains("a symbolic link to gone, which does not exist"), "{error}");
    assert!(link.is_symlink() && !directory.path().join("gone").exists());
}

#[test]
fn a_named_pipe_is_written_to_once_somebody_reads() {
    let directory = tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let writer = thread::spawn({
        let pipe = pipe.clone();
        move || put(&pipe, "text").is_ok()
    });
    let mut read = String::new();
    File::open(&pipe).unwrap().read_to_string(&mut read).unwrap();
    assert!(writer.join().unwrap());
    assert_eq!(read, "text");
    assert!(fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo());
}

#[test]
fn a_descriptor_of_this_process_is_written_to_and_not_replaced() {
    let (mut reader, writer) = io::pipe().unwrap();
    let path = format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&writer));
    put(Path::new(&path), "text").unwrap();
    drop(writer);
    let mut read = String::new();
    reader.read_to_string(&mut read).unwrap();
    assert_eq!(read, "text");
}

#[test]
fn a_directory_is_refused() {
    let directory = tempdir().unwrap();
    assert!(put(directory.path(), "text").is_err());
}
