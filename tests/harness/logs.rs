//! Audit lines and metrics of a daemon.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

/// One audit line.
#[derive(Clone, Debug)]
pub struct AuditLine(Value);

impl AuditLine {
    /// The line of the request with this id.
    ///
    /// # Errors
    /// If there is none in `text`.
    pub fn find(text: &str, request_id: &str) -> Result<Self> {
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut lines =
            lines.filter(|line| line.pointer("/audit/TrailID") == Some(&request_id.into()));
        Ok(Self(lines.next().with_context(|| format!("no audit line of request {request_id}"))?))
    }

    /// A field of the record; `null` if there is none.
    pub fn get(&self, field: &str) -> &Value {
        self.0.get("audit").and_then(|audit| audit.get(field)).unwrap_or(&Value::Null)
    }
}

/// The metrics at one moment.
#[derive(Clone, Debug)]
pub struct Metrics {
    samples: BTreeMap<String, f64>,
}

impl Metrics {
    /// Reads the text format, without the lines that are no samples.
    pub fn parse(text: &str) -> Self {
        let samples = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        Self { samples: samples.collect() }
    }

    /// The value of a sample. Its name includes the labels as written.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.samples.get(name).copied()
    }

    /// The names of all samples, labels included.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.samples.keys().map(String::as_str)
    }
}
