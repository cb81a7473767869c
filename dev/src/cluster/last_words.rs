//! What a daemon said before it ended, for the person who started the cluster.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

/// How much of a log is looked at, in bytes.
const LOOKED_AT: u64 = 64 * 1024;

/// How many lines are shown.
const SHOWN: usize = 12;

/// How long the logs of a daemon were when it started: what comes after is its own.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Marks {
    pub(super) log: u64,
    pub(super) audit: u64,
}

impl Marks {
    /// The lengths of both logs now.
    pub(super) fn now(log: &Path, audit: &Path) -> Self {
        let length = |path: &Path| path.metadata().map_or(0, |metadata| metadata.len());
        Self { log: length(log), audit: length(audit) }
    }
}

/// The errors that a daemon logged since `marks`, and what it wrote to standard error that is no audit line: problems of
/// its settings, above all. Empty where there is nothing of the kind.
pub(super) fn last_words(log: &Path, audit: &Path, marks: Marks) -> String {
    let plain = tail(audit, marks.audit).unwrap_or_default();
    let plain = plain.lines().filter(|line| !line.starts_with('{') && !line.trim().is_empty());
    let logged = tail(log, marks.log).unwrap_or_default();
    let errors = logged.lines().filter_map(error);
    let mut lines: Vec<String> = plain.map(str::to_owned).chain(errors).collect();
    let skip = lines.len().saturating_sub(SHOWN);
    lines.drain(..skip);
    lines.join("\n")
}

/// A line of the log as a person reads it, if it is an error.
fn error(line: &str) -> Option<String> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    let text = |name: &str| line.get(name).and_then(serde_json::Value::as_str);
    (text("level") == Some("ERROR")).then(|| {
        let message = text("message").unwrap_or_default();
        text("reason").map_or(message.to_owned(), |reason| format!("{message}: {reason}"))
    })
}

fn tail(path: &Path, from: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    // A log that was cut is read from its beginning.
    let from = if from > length { 0 } else { from };
    file.seek(SeekFrom::Start(from.max(length.saturating_sub(LOOKED_AT))))?;
    let mut bytes = Vec::new();
    file.take(LOOKED_AT).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_and_what_is_no_audit_line_are_told_but_only_of_this_start() {
        let dir = tempfile::tempdir().unwrap();
        let (log, audit) = (dir.path().join("log"), dir.path().join("audit"));
        std::fs::write(&log, "{\"level\":\"ERROR\",\"message\":\"before\"}\n").unwrap();
        std::fs::write(&audit, "error: before\n").unwrap();
        let marks = Marks::now(&log, &audit);
        let add = |path: &Path, text: &str| {
            let before = std::fs::read_to_string(path).unwrap();
            std::fs::write(path, before + text).unwrap();
        };
        add(
            &log,
            "{\"level\":\"INFO\",\"message\":\"fine\"}\n\
             {\"level\":\"ERROR\",\"message\":\"cannot start\",\"reason\":\"the port is taken\"}\n",
        );
        add(&audit, "{\"audit\":1}\nerror: SPIKE_NEXUS_DATA_DIR=\"/etc\"\n");
        assert_eq!(
            last_words(&log, &audit, marks),
            "error: SPIKE_NEXUS_DATA_DIR=\"/etc\"\ncannot start: the port is taken"
        );
        assert_eq!(last_words(&log, &audit, Marks::now(&log, &audit)), "");
    }
}
