//! Files that others may have written: notes in a data directory, marks of Bootstrap, recovery files, backups.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use rustix::fs::{Mode, OFlags, open};

/// Opens a regular file for reading. Opening a pipe or a device does not block.
///
/// # Errors
/// The operating system's; [`io::ErrorKind::InvalidData`] for what is no regular file.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(open(path, flags, Mode::empty())?);
    let found = file.metadata()?;
    if found.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !found.is_file() {
        return Err(invalid("it is not a regular file".to_owned()));
    }
    Ok(file)
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// The content of a regular file of at most `most` bytes. The buffer never grows, so that nothing of it is left behind.
///
/// # Errors
/// As [`open_regular`]; [`io::ErrorKind::InvalidData`] for a longer file, too.
pub fn read_small(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let file = open_regular(path)?;
    // One byte more shows that there is more.
    let mut content = Vec::with_capacity(most + 1);
    file.take(most as u64 + 1).read_to_end(&mut content)?;
    if content.len() > most {
        return Err(invalid(format!("it has more than {most} bytes")));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_small_file_is_refused_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("note"), "12345").unwrap();
        assert_eq!(read_small(&path("note"), 5).unwrap(), b"12345");
        let pipe = path("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, Mode::RUSR | Mode::WUSR).unwrap();
        File::create(path("sparse")).unwrap().set_len(1 << 40).unwrap();
        std::os::unix::fs::symlink("/dev/zero", path("endless")).unwrap();
        let others = [(path("note"), 4), (pipe, 99), (path("sparse"), 99), (path("endless"), 99)];
        for (path, most) in others {
            let error = read_small(&path, most).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{path:?}: {error}");
        }
        let missing = read_small(&path("missing"), 9).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}
