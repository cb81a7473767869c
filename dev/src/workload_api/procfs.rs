//! Reads a process from `/proc`: its parent, its start time, and its program.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// The most ancestors that are followed.
const MAX_ANCESTORS: usize = 256;

/// The most attempts to follow the ancestors, since a process among them may end in the meantime.
const ATTEMPTS: usize = 4;

/// One process. The start time distinguishes it from a later process with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Process {
    /// Its number in our PID namespace.
    pub(super) pid: u32,
    /// Clock ticks after boot.
    pub(super) started: u64,
}

/// Fields of `/proc/PID/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    name: Vec<u8>,
    parent: u32,
    started: u64,
}

impl Process {
    /// The process that has this number now.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn find(pid: u32) -> io::Result<Self> {
        Ok(Self { pid, started: read_stat(pid)?.started })
    }

    /// Whether it has not been reaped yet.
    pub(super) fn is_alive(self) -> bool {
        Self::find(self.pid).is_ok_and(|found| found == self)
    }

    /// The process, its parent, and so on up to the first process. If a process among them ends, its children get another
    /// parent; then this begins again, so that no ancestor is missed.
    ///
    /// # Errors
    /// When the process is gone, or the tree keeps changing.
    pub(super) fn ancestry(self) -> io::Result<Vec<Self>> {
        for _ in 0..ATTEMPTS {
            if let Some(chain) = self.walk()? {
                return Ok(chain);
            }
        }
        Err(io::Error::other("the process tree keeps changing"))
    }

    /// One attempt; `None` if the tree changed in the meantime.
    fn walk(self) -> io::Result<Option<Vec<Self>>> {
        let mut stat = read_stat(self.pid)?;
        if stat.started != self.started {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the process has ended"));
        }
        let mut chain = vec![self];
        while stat.parent != 0 {
            if chain.len() == MAX_ANCESTORS {
                return Err(io::Error::other("too many ancestors"));
            }
            let pid = stat.parent;
            let Ok(parent) = read_stat(pid) else { return Ok(None) };
            // A parent is older than its child: a younger one is another process under a reused number.
            if parent.started > stat.started {
                return Ok(None);
            }
            chain.push(Self { pid, started: parent.started });
            stat = parent;
        }
        Ok(Some(chain))
    }

    /// The file that it runs.
    ///
    /// # Errors
    /// When the process is gone, or hides it from us.
    pub(super) fn executable(self) -> io::Result<PathBuf> {
        fs::read_link(format!("/proc/{}/exe", self.pid))
    }

    /// The file name of the program it runs.
    ///
    /// The executable of an undumpable process is visible only to root. Then this is the command name, which the kernel cuts at
    /// 15 bytes and the process may change.
    ///
    /// # Errors
    /// When the process is gone.
    pub(super) fn program(self) -> io::Result<Vec<u8>> {
        let name = match self.executable() {
            Ok(path) => program_name(&path),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                read_stat(self.pid)?.name
            }
            Err(error) => return Err(error),
        };
        // Checked again, so that the answer is not about a later process with the same number.
        if self.is_alive() { Ok(name) } else { Err(io::ErrorKind::NotFound.into()) }
    }
}

fn read_stat(pid: u32) -> io::Result<Stat> {
    // Read as bytes, because a command name may not be UTF-8.
    let content = fs::read(PathBuf::from(format!("/proc/{pid}/stat")))?;
    parse_stat(&content).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "unknown stat"))
}

/// Reads `PID (NAME) STATE PPID …`, `proc_pid_stat(5)`. The name may itself hold spaces and parentheses, so it ends at the
/// last closing one.
fn parse_stat(content: &[u8]) -> Option<Stat> {
    let open = content.iter().position(|byte| *byte == b'(')?;
    let close = content.iter().rposition(|byte| *byte == b')')?;
    let name = content.get(open + 1..close)?.to_owned();
    let rest = std::str::from_utf8(content.get(close + 1..)?).ok()?;
    // Counted from the state, which is field 3: the parent is field 4, the start time field 22.
    let mut fields = rest.split_ascii_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    let started = fields.nth(17)?.parse().ok()?;
    Some(Stat { name, parent, started })
}

/// The last part of an executable's path. The kernel lengths a file that was replaced or removed since the start.
fn program_name(executable: &Path) -> Vec<u8> {
    let name = executable.file_name().map_or(&b""[..], OsStr::as_bytes);
    name.strip_suffix(b" (deleted)").unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    /// `/proc/PID/stat` of Linux 6 for a process of this name, with parent 41 and start time 12345.
    fn stat_line(name: &[u8]) -> Vec<u8> {
        [
            b"4242 (",
            name,
            b") S 41 4242 41 34816 4242 4194304 95 0 0 0 0 0 0 0 20 0 1 0 12345 2576384 243 184467\n",
        ]
        .concat()
    }

    #[test]
    fn a_stat_line_tells_name_parent_and_start_time() {
        let stat = parse_stat(&stat_line(b"nexus")).unwrap();
        assert_eq!(stat, Stat { name: b"nexus".to_vec(), parent: 41, started: 12345 });
    }

    #[test]
    fn names_with_spaces_parentheses_and_odd_bytes_do_not_shift_the_fields() {
        for name in [&b"tmux: server"[..], b"(sd-pam)", b"a) R 1 (b", b") S 1 ", b"", b"\xff\n("] {
            let stat = parse_stat(&stat_line(name)).unwrap();
            assert_eq!(stat, Stat { name: name.to_vec(), parent: 41, started: 12345 });
        }
    }

    #[test]
    fn a_stat_line_that_is_cut_short_is_refused() {
        let line = stat_line(b"nexus");
        let start_time = line.len() - b" 2576384 243 184467\n".len() - b"12345".len();
        for length in 0..start_time {
            assert_eq!(parse_stat(&line[..length]), None, "{length} bytes");
        }
    }

    #[test]
    fn the_program_is_the_file_name_without_the_mark_of_a_removed_file() {
        for (path, name) in [
            ("/usr/local/bin/spike", "spike"),
            ("/usr/local/bin/spike (deleted)", "spike"),
            ("/opt/my tool (v2)", "my tool (v2)"),
            ("/opt/spike (deleted)/tool", "tool"),
        ] {
            assert_eq!(program_name(Path::new(path)), name.as_bytes());
        }
    }

    #[test]
    fn a_child_names_us_as_its_parent_and_its_own_program() {
        let mut child = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
        let process = Process::find(child.id()).unwrap();
        let parent = Process::find(std::process::id()).unwrap();
        assert_eq!(process.ancestry().unwrap()[..2], [process, parent]);
        assert!(process.is_alive());
        // Some systems have one program for all small commands.
        let expected = fs::read_link(format!("/proc/{}/exe", child.id())).unwrap();
        assert_eq!(process.program().unwrap(), program_name(&expected));

        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!process.is_alive());
        assert!(process.ancestry().is_err());
    }

    #[test]
    fn a_reused_process_number_is_another_process() {
        let now = Process::find(std::process::id()).unwrap();
        let before = Process { started: now.started - 1, ..now };
        assert!(!before.is_alive());
        assert!(before.ancestry().is_err());
        assert!(before.program().is_err());
    }
}
