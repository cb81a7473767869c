//! Files that only their owner may read, whatever the umask is; and how files are removed and replaced.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

/// Writes a new file with this mode, which the umask can only narrow. A file that is there is removed first, because others
/// may have it open or may be able to read it.
///
/// # Errors
/// The operating system's.
pub(crate) fn write_new(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    remove(path)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Writes a file, mode 0600, so that a reader sees the old content or the new one: under another name first, then renamed.
///
/// # Errors
/// The operating system's.
pub(crate) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let fresh = path.with_added_extension("new");
    write_new(&fresh, text, 0o600)?;
    fs::rename(fresh, path)
}

/// Removes a file, if it is there.
///
/// # Errors
/// The operating system's.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Opens a log for appending. It is readable by its owner only, whatever the umask was when it was made.
///
/// # Errors
/// The operating system's.
pub(crate) fn open_log(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    make_private(path)?;
    Ok(file)
}

/// Takes the rights of group and others away, if there are any. A file that this program made needs no change, so a file
/// system without modes is no obstacle.
///
/// # Errors
/// The operating system's.
pub(crate) fn make_private(path: &Path) -> io::Result<()> {
    let mode = fs::metadata(path)?.mode() & 0o777;
    let private = mode & 0o700;
    if mode == private {
        Ok(())
    } else {
        fs::set_permissions(path, Permissions::from_mode(private))
    }
}
