//! Files that lines are appended to.

use std::{fs::File, io, path::Path};

use rustix::fs::{Mode, OFlags, RawMode, open};

/// Opens a regular file to append to it, and creates it with this mode if it is missing. `access` says whether it is read too. The
/// last part of the path must not be a link: anyone who may write to the directory could choose another file.
pub(crate) fn open_to_append(path: &Path, access: OFlags, mode: RawMode) -> io::Result<File> {
    let flags = access
        | OFlags::APPEND
        | OFlags::CREATE
        | OFlags::NOFOLLOW
        // Opening a device or a pipe must not block.
        | OFlags::NONBLOCK
        | OFlags::NOCTTY
        | OFlags::CLOEXEC;
    let file = File::from(open(path, flags, Mode::from_raw_mode(mode))?);
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("it is not a regular file"))
    }
}
