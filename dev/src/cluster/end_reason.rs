//! Why a daemon ended: its own messages, for the person who started the cluster.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
    process::ExitStatus,
};

/// The bytes that are read from the end of a log.
const LOOKED_AT: u64 = 64 * 1024;

/// The most lines that are shown.
const SHOWN: usize = 12;

/// The lengths of the logs of a daemon when it started. What comes after them is of this start.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LogLengths {
    pub(super) log: u64,
    pub(super) audit: u64,
}

impl LogLengths {
    /// The lengths of both logs now.
    pub(super) fn now(log: &Path, audit: &Path) -> Self {
        let length = |path: &Path| path.metadata().map_or(0, |metadata| metadata.len());
        Self { log: length(log), audit: length(audit) }
    }
}

/// What a daemon that ended with `status` wrote about its end after `lengths`; empty if it wrote nothing about it.
///
/// Standard error has problems of the settings and messages of the runtime, among lines of the audit log. If the daemon ended
/// by itself with a failure, the last error of the log is the reason. The daemon survived all other errors.
pub(super) fn end_reason(
    log: &Path,
    audit: &Path,
    lengths: LogLengths,
    status: ExitStatus,
) -> String {
    let mut lines = plain_lines(&tail(audit, lengths.audit).unwrap_or_default());
    if lines.is_empty() && status.code().is_some_and(|code| code != 0) {
        let logged = tail(log, lengths.log).unwrap_or_default();
        lines.extend(logged.lines().filter_map(error).next_back());
    }
    let skip = lines.len().saturating_sub(SHOWN);
    lines.drain(..skip);
    lines.join("\n")
}

/// The lines for people: those that are no JSON of a log.
pub(super) fn plain_lines(text: &str) -> Vec<String> {
    let plain = |line: &&str| !line.starts_with('{') && !line.trim().is_empty();
    text.lines().filter(plain).map(str::to_owned).collect()
}

/// A line of the log as plain text, if it is an error.
fn error(line: &str) -> Option<String> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    let text = |name: &str| line.get(name).and_then(serde_json::Value::as_str);
    (text("level") == Some("ERROR")).then(|| {
        let message = text("message").unwrap_or_default();
        let more = text("reason").or_else(|| text("place"));
        more.map_or(message.to_owned(), |more| format!("{message}: {more}"))
    })
}

/// The end of a file from `from` on, in whole lines.
fn tail(path: &Path, from: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    // A log that was truncated is read from its beginning.
    let from = if from > length { 0 } else { from };
    let start = from.max(length.saturating_sub(LOOKED_AT));
    // One byte more shows whether a line begins at the start.
    let cut = start > from;
    file.seek(SeekFrom::Start(if cut { start - 1 } else { start }))?;
    let mut bytes = Vec::new();
    file.take(LOOKED_AT + 1).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let whole = if cut { text.split_once('\n').map_or("", |(_, whole)| whole) } else { &text };
    Ok(whole.to_owned())
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write, os::unix::process::ExitStatusExt, path::PathBuf};

    use super::*;

    /// The logs of a daemon that has run before.
    struct Logs {
        _dir: tempfile::TempDir,
        log: PathBuf,
        audit: PathBuf,
        lengths: LogLengths,
    }

    impl Logs {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let (log, audit) = (dir.path().join("log"), dir.path().join("audit"));
            fs::write(&log, "{\"level\":\"ERROR\",\"message\":\"before\"}\n").unwrap();
            fs::write(&audit, "error: before\n").unwrap();
            let lengths = LogLengths::now(&log, &audit);
            Self { _dir: dir, log, audit, lengths }
        }

        fn log(&self, text: &str) {
            append(&self.log, text);
        }

        fn audit(&self, text: &str) {
            append(&self.audit, text);
        }

        fn words(&self, status: ExitStatus) -> String {
            end_reason(&self.log, &self.audit, self.lengths, status)
        }
    }

    fn append(path: &Path, text: &str) {
        fs::OpenOptions::new().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn code(code: i32) -> ExitStatus {
        ExitStatus::from_raw(code << 8)
    }

    fn killed() -> ExitStatus {
        ExitStatus::from_raw(9)
    }

    #[test]
    fn a_problem_of_the_settings_is_told() {
        let logs = Logs::new();
        logs.audit("{\"audit\":1}\nerror: SPIKE_NEXUS_DATA_DIR=\"/etc\"\n");
        assert_eq!(logs.words(code(78)), "error: SPIKE_NEXUS_DATA_DIR=\"/etc\"");
    }

    #[test]
    fn a_trouble_that_was_survived_is_not_the_reason_of_the_end() {
        let logs = Logs::new();
        logs.log("{\"level\":\"ERROR\",\"message\":\"the store cannot be written\",\"reason\":\"disk full\"}\n");
        assert_eq!(logs.words(killed()), "");
        assert_eq!(logs.words(code(0)), "");
        logs.log(
            "{\"level\":\"ERROR\",\"message\":\"cannot start\",\"reason\":\"the port is taken\"}\n\
             {\"level\":\"INFO\",\"message\":\"fine\"}\n",
        );
        assert_eq!(logs.words(code(1)), "cannot start: the port is taken");
    }

    #[test]
    fn a_line_of_the_audit_log_is_never_told_even_if_the_look_begins_in_its_middle() {
        let logs = Logs::new();
        let line = format!("{{\"audit\":\"{}\"}}\n", "x".repeat(1000));
        logs.audit(&line.repeat(100));
        assert_eq!(logs.words(killed()), "");
        logs.audit("memory allocation failed\n");
        assert_eq!(logs.words(ExitStatus::from_raw(6)), "memory allocation failed");
    }

    #[test]
    fn what_an_earlier_start_said_is_not_told() {
        assert_eq!(Logs::new().words(code(1)), "");
    }
}
