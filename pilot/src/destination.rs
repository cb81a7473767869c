//! Output to a named file.
//!
//! The path is opened before Nexus is asked. A file that does not exist is written under a temporary name, for its owner alone,
//! and gets its name when it is complete. An existing file, pipe, terminal or device is written to, and keeps its owner, mode
//! and links. It is written only after all of the output has arrived, so a failed call leaves the old content
//! (cli-config-deploy 10.2 no. 6).

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

/// How long to wait until a reader opens a named pipe.
const READER_LIMIT: Duration = Duration::from_secs(30);

/// The pause between two attempts in that time.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// Who may read a file that is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Its owner, because it may hold secrets.
    Owner,
    /// Everybody whom the umask permits, because it holds no data.
    Everybody,
}

/// An output that was opened for writing.
#[derive(Debug)]
pub(crate) enum Destination {
    /// Standard output, also by another name such as `/dev/stdout`.
    Stdout,
    /// A file that does not exist yet.
    New {
        /// The file until it is complete.
        temporary: NamedTempFile,
        /// Its final name.
        place: PathBuf,
    },
    /// A file that exists.
    File(File, PathBuf),
    /// A pipe, a terminal or another device.
    Special(File, PathBuf),
}

impl Destination {
    /// Opens `path` for writing; `-` is standard output. Waits up to 30 s for the reader of a named pipe.
    pub(crate) async fn prepare(
        path: &Path,
        readers: Readers,
        streams: &Streams,
    ) -> Result<Self, Error> {
        let fail = |error| Error::File { path: path.to_owned(), error };
        if path == Path::new("-") || fs::metadata(path).is_ok_and(|there| streams.is_stdout(&there))
        {
            return Ok(Self::Stdout);
        }
        let deadline = Instant::now() + READER_LIMIT;
        loop {
            match open(path) {
                Ok(file) => return Self::of(file, path).map_err(fail),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Self::new(path, readers).map_err(fail);
                }
                Err(error) if nobody_reads(path, &error) => {
                    if Instant::now() >= deadline {
                        let text =
                            format!("nobody has opened this pipe for reading in {READER_LIMIT:?}");
                        return Err(fail(io::Error::other(text)));
                    }
                    sleep(RETRY_PAUSE).await;
                }
                Err(error) => return Err(fail(error)),
            }
        }
    }

    /// The destination for something that exists.
    fn of(file: File, path: &Path) -> io::Result<Self> {
        if file.metadata()?.is_file() {
            return Ok(Self::File(file, path.to_owned()));
        }
        // Only opening must not wait.
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

    /// Writes data of somebody else. On a terminal, control characters are shown as escapes; anywhere else it is as it is.
    pub(crate) fn show(self, data: &[u8], streams: &mut Streams) -> Result<(), Error> {
        match self {
            Self::Stdout => streams.render(|out| out.write_all(data)),
            other => other.write(&[data], streams),
        }
    }

    /// Writes all parts.
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

/// Opens an existing file for writing without changing it, and does not wait for the reader of a pipe.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    OpenOptions::new().write(true).custom_flags(flags.bits().cast_signed()).open(path)
}

fn nobody_reads(path: &Path, error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::NXIO)
        && fs::metadata(path).is_ok_and(|there| there.file_type().is_fifo())
}

/// Refuses a symbolic link whose target is missing. Writing would create the target or replace the link, and nobody asked for
/// either.
pub(crate) fn refuse_dangling(path: &Path) -> io::Result<()> {
    match path.read_link() {
        Ok(target) if !path.exists() => {
            let target = target.display();
            let text = format!(
                "it is a symbolic link to {target}, which does not exist: remove the link, or create the target"
            );
            Err(io::Error::new(io::ErrorKind::NotFound, text))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// The error without the temporary name that the library's text contains.
fn not_created(directory: &Path, error: &io::Error) -> io::Error {
    let name = directory.display();
    let text = match error.kind() {
        io::ErrorKind::NotFound => format!("there is no directory {name}"),
        io::ErrorKind::NotADirectory => format!("{name} is not a directory"),
        kind => format!("no file can be created in the directory {name}: {kind}"),
    };
    io::Error::new(error.kind(), text)
}

/// Writes the file and gives it its name, unless something else got that name in the meantime.
fn create(mut temporary: NamedTempFile, place: &Path, parts: &[&[u8]]) -> io::Result<()> {
    parts.iter().try_for_each(|part| temporary.write_all(part))?;
    temporary.as_file().sync_all()?;
    temporary.persist_noclobber(place).map(drop).map_err(|error| error.error)
}

/// Replaces the content of the file. Space is reserved before anything is overwritten.
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
