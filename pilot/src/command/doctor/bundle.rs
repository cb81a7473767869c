//! The archive for an expert.
//!
//! No value that may be a secret is in it: of the settings only values that are valid for a kind that is no free text, and of what
//! was found no values of settings.

mod keys;

use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use spike_config::{
    Environment,
    table::{self, Rule, Variable},
};
use spike_daemon::{VERSION, open_regular};
use spike_mtls::clock::{now, rfc3339};
use spike_wire::StatusResponse;
use tempfile::NamedTempFile;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::check::Report;
use super::tar::Tar;
use super::{findings, settings, within};
use crate::command::operator::status_node;
use crate::error::Error;
use crate::output::write_json;

/// How far back a log goes, and how much of it is taken.
const LOG_AGE: Duration = Duration::minutes(15);
const LOG_BYTES: u64 = 4 * 1024 * 1024;
/// The most that is read of an answer.
const ANSWER_BYTES: u64 = 4 * 1024 * 1024;

/// What goes into an archive, beside what was found.
pub(super) struct Wanted<'a> {
    pub(super) path: &'a Path,
    pub(super) telemetry: &'a [SocketAddr],
    pub(super) logs: &'a [PathBuf],
}

impl Wanted<'_> {
    /// Refuses to take the place of a file, before anything is done.
    pub(super) fn check(&self) -> Result<(), Error> {
        let is_special = |at: std::fs::Metadata| !at.is_file() && !at.is_dir();
        if std::fs::metadata(self.path).is_ok_and(is_special) {
            return Err(Error::usage_hint(
                format!("{} is no file that can be made", self.path.display()),
                "name a new file: the archive appears whole, and is for its owner alone",
            ));
        }
        if self.path.symlink_metadata().is_ok() {
            return Err(Error::usage_hint(
                format!("{} exists already", self.path.display()),
                "choose another name, or remove it",
            ));
        }
        self.logs.iter().try_for_each(|log| recent(log, now()).map(drop))
    }

    /// Writes the archive for its owner alone, and returns what is in it.
    pub(super) async fn write(
        &self,
        report: &Report,
        status: Option<&StatusResponse>,
        environment: &Environment,
    ) -> Result<Packed, Error> {
        let mut left_out = Vec::new();
        let mut files =
            found(&report.without_values(), status).map_err(|error| self.fail(error))?;
        files.push(("settings.txt".to_owned(), settings_text(environment).into_bytes()));
        files.extend(telemetry(self.telemetry).await);
        for (number, log) in self.logs.iter().enumerate() {
            let name = log.file_name().unwrap_or_default().to_string_lossy();
            let name: String = name.chars().filter(char::is_ascii_graphic).take(64).collect();
            let (kept, lines) = keys::without_keys(&recent(log, now())?);
            files.push((format!("logs/{}-{name}", number + 1), kept));
            if lines > 0 {
                left_out.push((log.clone(), lines));
            }
        }
        self.pack(&files).map_err(|error| self.fail(error))?;
        let files = files.into_iter().map(|(name, bytes)| (name, bytes.len())).collect();
        Ok(Packed { files, left_out })
    }

    fn pack(&self, files: &[(String, Vec<u8>)]) -> io::Result<()> {
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        // Its mode is 0600.
        let mut tar = Tar::new(NamedTempFile::new_in(parent.unwrap_or_else(|| Path::new(".")))?);
        let at = now().unix_timestamp();
        files.iter().try_for_each(|(name, bytes)| tar.add(name, bytes, at))?;
        tar.finish()?.persist_noclobber(self.path).map_err(|error| error.error)?;
        Ok(())
    }

    fn fail(&self, error: io::Error) -> Error {
        Error::File { path: self.path.to_owned(), error }
    }
}

/// What was written.
pub(super) struct Packed {
    /// The names and sizes of what is in the archive.
    pub(super) files: Vec<(String, usize)>,
    /// How many lines of which log are not in it, because they look like keys.
    pub(super) left_out: Vec<(PathBuf, usize)>,
}

fn found(report: &Report, status: Option<&StatusResponse>) -> io::Result<Vec<(String, Vec<u8>)>> {
    let (mut text, mut data) = (Vec::new(), Vec::new());
    findings::report(&mut text, report)?;
    let answer = findings::answer(report);
    write_json(&mut data, &findings::report_node(report, &answer), 2)?;
    let version = format!("spike {VERSION}\nwritten at {}\n", rfc3339(now()));
    let mut files = vec![
        ("version.txt".to_owned(), version.into_bytes()),
        ("doctor.txt".to_owned(), text),
        ("doctor.json".to_owned(), data),
    ];
    if let Some(status) = status {
        let mut data = Vec::new();
        write_json(&mut data, &status_node(status), 2)?;
        files.push(("status.json".to_owned(), data));
    }
    Ok(files)
}

/// The settings, a line for each. A free text, a value that is not valid, and one of an unknown name may be secrets.
fn settings_text(environment: &Environment) -> String {
    let invalid = settings::invalid(environment);
    let is_shown = |variable: &Variable| {
        variable.rule != Rule::Text && !invalid.iter().any(|name| name == variable.name)
    };
    let line = |name: &str| match table::find(name) {
        Some(variable) if is_shown(variable) => {
            let value = environment.get(name).unwrap_or_default().to_string_lossy();
            format!("{name}={}\n", value.escape_debug())
        }
        Some(_) => format!("{name}: set; its value is left out\n"),
        None => format!("{name}: not a setting of SPIKE; its value is left out\n"),
    };
    let ours = |name: &&str| name.starts_with("SPIKE_") || name.starts_with("SPIFFE_");
    environment.names().filter(ours).map(line).collect()
}

/// Health and metrics of these listeners; of the usual ones on this machine, if none is named.
async fn telemetry(named: &[SocketAddr]) -> Vec<(String, Vec<u8>)> {
    let usual = [9553, 9443].map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let mut files = Vec::new();
    for address in if named.is_empty() { &usual } else { named } {
        for path in ["healthz", "readyz", "metrics"] {
            let place = address.to_string().replace(['[', ']'], "").replace(':', "_");
            let bytes = match within(get(*address, path)).await {
                Ok(bytes) => bytes,
                Err(error) => format!("no answer: {error}\n").into_bytes(),
            };
            files.push((format!("telemetry/{place}/{path}.txt"), bytes));
        }
    }
    files
}

/// The answer with its head.
async fn get(address: SocketAddr, path: &str) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES).read_to_end(&mut answer).await?;
    Ok(answer)
}

/// The lines of the last minutes, as far as they fit. A line without a time goes with the one before it.
fn recent(log: &Path, now: OffsetDateTime) -> Result<Vec<u8>, Error> {
    let read = || -> io::Result<Vec<u8>> {
        // A pipe would wait for whoever writes to it.
        let mut file = open_regular(log)?;
        let skipped = file.metadata()?.len().saturating_sub(LOG_BYTES);
        file.seek(SeekFrom::Start(skipped))?;
        let mut bytes = Vec::new();
        file.take(LOG_BYTES).read_to_end(&mut bytes)?;
        let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
        if skipped > 0 {
            // It began in the middle.
            lines.next();
        }
        let mut kept = Vec::new();
        let mut is_recent = true;
        for line in lines {
            if let Some(time) = time_of(line) {
                is_recent = time + LOG_AGE >= now;
            }
            if is_recent {
                kept.extend_from_slice(line);
            }
        }
        Ok(kept)
    };
    read().map_err(|error| Error::Input { what: log.display().to_string(), error })
}

/// The time of a line of JSON.
fn time_of(line: &[u8]) -> Option<OffsetDateTime> {
    let line: serde_json::Value = serde_json::from_slice(line).ok()?;
    let text = line.get("time")?.as_str()?;
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_may_be_secret_are_left_out() {
        let environment = Environment::from_pairs([
            ("SPIKE_TRUST_ROOT_NEXUS", "example.org"),
            ("SPIKE_HTTP_CLIENT_TIMEOUT", "hunter1"),
            ("SPIKE_NEXUS_API_URL", "https://me:hunter2@nexus"),
            ("SPIKE_TRUST_ROOT", "hunter3"),
            ("SPIKE_NEXUS_TOKEN", "hunter4"),
            ("HOME", "/home/hunter5"),
        ]);
        let text = settings_text(&environment);
        assert!(text.contains("SPIKE_TRUST_ROOT_NEXUS=example.org\n"), "{text}");
        assert!(!text.contains("hunter"), "{text}");
        assert_eq!(text.lines().count(), 5, "{text}");
    }

    /// It was told to remove `/dev/stdout`.
    #[test]
    fn a_device_in_place_of_a_file_is_told_as_that() {
        let wanted = Wanted { path: Path::new("/dev/null"), telemetry: &[], logs: &[] };
        let error = wanted.check().unwrap_err();
        assert!(error.to_string().contains("is no file that can be made"), "{error}");
    }

    #[test]
    fn only_the_last_minutes_of_a_log_are_taken() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("nexus.log");
        let now = now();
        let line = |age: Duration, word: &str| {
            format!("{{\"time\":\"{}\",\"message\":\"{word}\"}}\n", rfc3339(now - age))
        };
        let lines = [
            "banner\n".to_owned(),
            line(Duration::hours(1), "old"),
            "more of the old\n".to_owned(),
            line(Duration::minutes(14), "new"),
            "more of the new\n".to_owned(),
        ];
        std::fs::write(&log, lines.concat()).unwrap();
        let kept = String::from_utf8(recent(&log, now).unwrap()).unwrap();
        assert_eq!(kept, format!("banner\n{}more of the new\n", lines[3]));
        let large = line(Duration::ZERO, &"x".repeat(1000)).repeat(5000);
        std::fs::write(&log, &large).unwrap();
        let kept = recent(&log, now).unwrap();
        assert!(kept.len() as u64 <= LOG_BYTES && kept.len() > 4_000_000, "{}", kept.len());
        assert!(kept.starts_with(b"{\"time\""), "no half of a line");
        assert!(recent(&dir.path().join("none"), now).is_err());
    }

    /// It waited for ever for somebody who writes to the pipe.
    #[test]
    fn a_pipe_in_place_of_a_log_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, mode).unwrap();
        let error = recent(&pipe, now()).unwrap_err();
        assert!(error.to_string().contains("pipe: it is not a regular file"), "{error}");
    }
}
