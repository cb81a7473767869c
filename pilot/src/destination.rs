//! Where output goes that is given a file's name.
//!
//! What a path is, is found out by opening it, before Nexus is asked. A file that is not there is new: it is written beside
//! its place, for its owner alone, and gets its name when it is whole. Everything that is there is written to and keeps its
//! owner, its mode and its links: a pipe, a terminal, a device, a file. A file is first written to when all of the output
//! is here, so that a failed call leaves what it held (cli-config-deploy 10.2 no. 6).

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FallocateFlags, OFlags, fallocate, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use tempfile::{Builder, NamedTempFile};
use tokio::time::{Instant, sleep};

use crate::context::Streams;
use crate::error::Error;

/// How long somebody may take to open the other end of a named pipe.
const READER_AWAY: Duration = Duration::from_secs(30);

/// How often it is tried in the meantime.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Who may read a file that is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Its owner: it may hold secrets.
    Owner,
    /// Whoever the umask lets: it holds nothing but what every copy of this program holds.
    Everybody,
}

/// A place that can be written.
#[derive(Debug)]
pub(crate) enum Destination {
    /// Standard output, under whatever name.
    Stdout,
    /// A file that is not there yet.
    New {
        /// The file until it is whole.
        temporary: NamedTempFile,
        /// Its name then.
        place: PathBuf,
    },
    /// A file that is there.
    File(File, PathBuf),
    /// A pipe, a terminal or another device.
    Special(File, PathBuf),
}

impl Destination {
    /// Finds out what `path` is, and whether it can be written. Waits for the reader of a named pipe for a while.
    pub(crate) async fn prepare(
        path: &Path,
        readers: Readers,
        streams: &Streams,
    ) -> Result<Self, Error> {
        let fail = |error| Error::File { path: path.to_owned(), error };
        if fs::metadata(path).is_ok_and(|there| streams.is_stdout(&there)) {
            return Ok(Self::Stdout);
        }
        let deadline = Instant::now() + READER_AWAY;
        loop {
            match open(path) {
                Ok(file) => return Self::of(file, path).map_err(fail),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Self::new(path, readers).map_err(fail);
                }
                Err(error) if nobody_reads(path, &error) => {
                    if Instant::now() >= deadline {
                        let text =
                            format!("nobody has opened this pipe for reading in {READER_AWAY:?}");
                        return Err(fail(io::Error::other(text)));
                    }
                    sleep(LOOK_AGAIN).await;
                }
                Err(error) => return Err(fail(error)),
            }
        }
    }

    /// Something that is there.
    fn of(file: File, path: &Path) -> io::Result<Self> {
        if file.metadata()?.is_file() {
            return Ok(Self::File(file, path.to_owned()));
        }
        // Only the opening must not wait.
        fcntl_setfl(&file, fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
        Ok(Self::Special(file, path.to_owned()))
    }

    fn new(path: &Path, readers: Readers) -> io::Result<Self> {
        refuse_dangling(path)?;
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new("."));
        let mode = match readers {
            Readers::Owner => 0o600,
            Readers::Everybody => 0o666,
        };
        let temporary = Builder::new()
            .permissions(Permissions::from_mode(mode))
            .tempfile_in(directory)
            .map_err(|error| not_created(directory, &error))?;
        Ok(Self::New { temporary, place: path.to_owned() })
    }

    /// Writes all of it.
    pub(crate) fn write(self, parts: &[&[u8]], streams: &mut Streams) -> Result<(), Error> {
        let (done, path) = match self {
            Self::Stdout => {
                return streams
                    .render_raw(|out| parts.iter().try_for_each(|part| out.write_all(part)));
            }
            Self::New { temporary, place } => (create(temporary, &place, parts), place),
            Self::File(file, path) => (overwrite(file, parts), path),
            Self::Special(mut file, path) => {
                (parts.iter().try_for_each(|part| file.write_all(part)), path)
            }
        };
        done.map_err(|error| Error::File { path, error })
    }
}

/// Opens what is there for writing, changes nothing about it, and does not wait for the other end of a pipe.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    OpenOptions::new().write(true).custom_flags(flags.bits().cast_signed()).open(path)
}

fn nobody_reads(path: &Path, error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::NXIO)
        && fs::metadata(path).is_ok_and(|there| there.file_type().is_fifo())
}

/// A link to nothing is not a file that is not there: what it names would be made, or the link replaced, and neither was
/// asked for.
pub(crate) fn refuse_dangling(path: &Path) -> io::Result<()> {
    match path.read_link() {
        Ok(target) if !path.exists() => {
            let target = target.display();
            let text = format!(
                "it is a symbolic link to {target}, which is not there: remove the link, or create what it names"
            );
            Err(io::Error::new(io::ErrorKind::NotFound, text))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Why there is no new file. The library's text names its temporary file, which nobody has asked for.
fn not_created(directory: &Path, error: &io::Error) -> io::Error {
    let name = directory.display();
    let text = match error.kind() {
        io::ErrorKind::NotFound => format!("there is no directory {name}"),
        io::ErrorKind::NotADirectory => format!("{name} is not a directory"),
        kind => format!("no file can be created in the directory {name}: {kind}"),
    };
    io::Error::new(error.kind(), text)
}

/// Gives the file its name when it is whole, unless something has got that name in the meantime.
fn create(mut temporary: NamedTempFile, place: &Path, parts: &[&[u8]]) -> io::Result<()> {
    parts.iter().try_for_each(|part| temporary.write_all(part))?;
    temporary.as_file().sync_all()?;
    temporary.persist_noclobber(place).map(drop).map_err(|error| error.error)
}

/// Puts `parts` in the place of what the file held. That there is room is made sure of before anything is overwritten.
fn overwrite(mut file: File, parts: &[&[u8]]) -> io::Result<()> {
    let length = parts.iter().map(|part| part.len() as u64).sum();
    if length > 0 {
        match fallocate(&file, FallocateFlags::KEEP_SIZE, 0, length) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {}
            Err(error) => return Err(error.into()),
        }
    }
    parts.iter().try_for_each(|part| file.write_all(part))?;
    file.set_len(length)?;
    file.sync_all()
}

#[cfg(test)]
mod tests;
