//! The log: JSON lines on standard output, with upstream's keys and levels.
//!
//! A line is `{"time":…,"level":…,"msg":"<program>","message":"<constant text>",<fields>}`. SPIKE's crates log at the
//! configured level, libraries at WARN and above, those of HTTP at ERROR: DEBUG must never show what a library sees of a
//! connection, and no peer may fill the log.

use std::{
    fmt,
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
};

use serde_json::{Map, Value};
use spike_mtls::clock;
use time::format_description::well_known::Rfc3339;
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format},
    layer::SubscriberExt,
    registry::LookupSpan,
    reload,
    util::SubscriberInitExt,
};

use crate::{
    lines::{Care, Failure, Lines, Owner},
    log_level::{LogLevel, filter},
    text::escape_controls,
};

/// The log of this process. Dropping it waits until its lines are written, for a few seconds at most.
#[derive(Debug)]
#[must_use = "the last lines of a process are written when this is dropped"]
pub struct Log {
    lines: Lines,
    level: LogLevel,
}

impl Log {
    /// Waits until the lines are written, for a few seconds at most.
    pub(crate) fn flush(&self) {
        self.lines.flush();
    }

    /// Continues in `file`, as after a rotation.
    pub(crate) fn reopen(&self, file: File) {
        self.lines.replace(file);
    }

    /// The level, which can be changed.
    pub(crate) const fn level(&self) -> &LogLevel {
        &self.level
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Sends every line of this process to standard output, including panics of any thread. Call it once, in `main`; a
/// second call changes nothing.
///
/// Logging never waits for the reader of the log: lines that are not taken in time are left out, and counted.
///
/// # Errors
/// The operating system's, if it gives no descriptor or no thread.
pub fn start(program: &'static str, level: Level) -> io::Result<Log> {
    start_without(program, level, None)
}

/// As [`start`], without the lines of the crate `silent`, which reports the same to people in another way.
///
/// # Errors
/// As [`start`].
pub fn start_without(
    program: &'static str,
    level: Level,
    silent: Option<&'static str>,
) -> io::Result<Log> {
    let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let lines = Lines::start("log", output, Care::NONE, LogOwner { program })?;
    let filter = filter(level).with_targets(silent.map(|silent| (silent, LevelFilter::OFF)));
    let (filter, handle) = reload::Layer::new(filter);
    let level = LogLevel::new(handle, level);
    let writer = LogWriter(lines.clone());
    let layer = tracing_subscriber::fmt::layer()
        .event_format(JsonLines { program })
        // They would go to standard error, which is the audit log.
        .log_internal_errors(false)
        .with_writer(move || writer.clone());
    if tracing_subscriber::registry().with(filter).with(layer).try_init().is_ok() {
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string);
            // Only the place: the message of a panic may contain a secret.
            tracing::error!(place, "a bug: a task panicked");
        }));
    }
    Ok(Log { lines, level })
}

/// Queues each line.
#[derive(Clone)]
struct LogWriter(Lines);

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        drop(self.0.put_line(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reports failures of the log.
struct LogOwner {
    program: &'static str,
}

impl Owner for LogOwner {
    fn write_gap(&self, lost: u64, line: &mut Vec<u8>) {
        let mut fields = frame(Level::WARN, self.program);
        fields.insert("message".into(), "lines of the log are missing here".into());
        fields.insert("lines".into(), lost.into());
        // Writing to a Vec cannot fail.
        writeln!(line, "{}", Value::Object(fields)).ok();
    }

    /// The gap line is the only place to report it.
    fn failure_changed(&self, _: Option<Failure>) {}
}

/// The fields that every line begins with.
fn frame(level: Level, program: &str) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("time".into(), clock::now().format(&Rfc3339).unwrap_or_default().into());
    fields.insert("level".into(), level.to_string().into());
    fields.insert("msg".into(), program.into());
    fields
}

struct JsonLines {
    program: &'static str,
}

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: format::Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = frame(*event.metadata().level(), self.program);
        event.record(&mut Fields(&mut line));
        writeln!(writer, "{}", escape_controls(&Value::Object(line).to_string()))
    }
}

struct Fields<'a>(&'a mut Map<String, Value>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn no_peer_makes_a_library_write_to_the_log() {
        for level in [Level::DEBUG, Level::WARN] {
            let filter = filter(level);
            for target in ["h2::proto::streams::streams", "hyper::proto::h1::conn"] {
                assert!(!filter.would_enable(target, &Level::WARN), "{target}");
                assert!(filter.would_enable(target, &Level::ERROR), "{target}");
            }
            assert!(filter.would_enable("rustls::conn", &Level::WARN));
            assert_eq!(filter.would_enable("spike_nexus", &Level::DEBUG), level == Level::DEBUG);
        }
    }

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What `log` logs.
    fn captured(log: impl FnOnce()) -> String {
        let captured = Captured::default();
        let sink = captured.clone();
        let layer = tracing_subscriber::fmt::layer()
            .event_format(JsonLines { program: "nexus" })
            .with_writer(move || sink.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        let bytes = captured.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_line_is_json_with_upstreams_keys() {
        let text = captured(|| {
            tracing::warn!(path = "tenants/acme", count = 3, "something\nhappened");
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["msg"], "nexus");
        assert_eq!(line["message"], "something\nhappened");
        assert_eq!(line["path"], "tenants/acme");
        assert_eq!(line["count"], 3);
        assert!(line["time"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn control_characters_reach_the_log_escaped() {
        let hostile = "\u{7f}\u{9b}31m\u{85}\u{2028}\u{202e}\u{1b}[2J";
        let text = captured(|| tracing::warn!(reason = hostile, "something happened"));
        assert!(
            text.trim_end_matches('\n').bytes().all(|byte| (b' '..=b'~').contains(&byte)),
            "{text:?}"
        );
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["reason"], hostile);
    }
}
