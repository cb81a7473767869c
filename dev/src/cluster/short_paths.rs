//! Two paths that some state directories cannot have: that of a socket, whose length the kernel limits, and that of the
//! programs, which must not have a colon because it is on `PATH`.

use std::{
    io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use spike_config::MAX_SOCKET_PATH;

use crate::temporary::TemporaryDir;

/// The socket of a Workload API.
const SOCKET: &str = "workload-api.sock";

/// The paths, in the state directory if possible, otherwise in a short temporary directory.
#[derive(Debug)]
pub(super) struct ShortPaths {
    /// The socket of the Workload API.
    pub(super) socket: PathBuf,
    /// The directory of the programs.
    pub(super) bin: PathBuf,
    _short: Option<TemporaryDir>,
}

impl ShortPaths {
    pub(super) fn of(dir: &Path) -> io::Result<Self> {
        let (socket, bin) = (dir.join(SOCKET), dir.join("bin"));
        let too_long = is_too_long(&socket);
        let colon = bin.as_os_str().as_encoded_bytes().contains(&b':');
        if !too_long && !colon {
            return Ok(Self { socket, bin, _short: None });
        }
        let short = TemporaryDir::new()?;
        let socket = if too_long { short.path().join(SOCKET) } else { socket };
        let bin = if colon { linked(&bin, &short.path().join("bin"))? } else { bin };
        Ok(Self { socket, bin, _short: Some(short) })
    }
}

/// The path of the socket of a Workload API in `dir`, or in a short temporary directory if that is too long.
pub(super) fn socket_in(dir: &Path) -> io::Result<(PathBuf, Option<TemporaryDir>)> {
    let socket = dir.join(SOCKET);
    if !is_too_long(&socket) {
        return Ok((socket, None));
    }
    let short = TemporaryDir::new()?;
    Ok((short.path().join(SOCKET), Some(short)))
}

fn is_too_long(socket: &Path) -> bool {
    socket.as_os_str().len() > MAX_SOCKET_PATH
}

fn linked(target: &Path, link: &Path) -> io::Result<PathBuf> {
    symlink(target, link)?;
    Ok(link.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_directory_needs_none() {
        let short_paths = ShortPaths::of(Path::new("/srv/my clone/.spike-dev")).unwrap();
        assert_eq!(short_paths.socket, Path::new("/srv/my clone/.spike-dev/workload-api.sock"));
        assert_eq!(short_paths.bin, Path::new("/srv/my clone/.spike-dev/bin"));
    }

    #[test]
    fn a_long_path_has_its_socket_elsewhere_and_one_with_a_colon_its_programs() {
        let long = Path::new("/srv").join("x".repeat(200));
        let short_paths = ShortPaths::of(&long).unwrap();
        assert!(short_paths.socket.as_os_str().len() <= MAX_SOCKET_PATH);
        assert_eq!(short_paths.bin, long.join("bin"));

        let colon = ShortPaths::of(Path::new("/srv/a:b")).unwrap();
        assert_eq!(colon.socket, Path::new("/srv/a:b/workload-api.sock"));
        assert!(!colon.bin.display().to_string().contains(':'));
        assert_eq!(std::fs::read_link(&colon.bin).unwrap(), Path::new("/srv/a:b/bin"));
    }
}
