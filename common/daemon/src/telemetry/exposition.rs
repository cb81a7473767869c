//! The two text formats of metrics. A client gets that of OpenMetrics if it says that it reads it, as Prometheus does; everybody
//! else gets the older one of Prometheus, which every tool reads, `promtool check metrics` among them.
//!
//! They differ in little here: OpenMetrics names a counter without its `_total` in the lines about it, and ends with a mark.

use axum::http::{HeaderMap, HeaderValue, header};
use bytes::Bytes;

const OPEN_METRICS: &str = "application/openmetrics-text";

/// A text format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exposition {
    /// That of OpenMetrics 1.0.0.
    OpenMetrics,
    /// That of Prometheus, 0.0.4.
    Prometheus,
}

impl Exposition {
    /// The one that a client with these headers reads.
    pub(crate) fn accepted_by(headers: &HeaderMap) -> Self {
        let accepts = |value: &HeaderValue| {
            let ranges = value.to_str().unwrap_or_default().split(',');
            ranges.map(str::trim).any(|range| {
                let mut parts = range.split(';').map(str::trim);
                let is_open =
                    parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case(OPEN_METRICS));
                is_open && !parts.any(|part| matches!(part, "q=0" | "q=0.0"))
            })
        };
        if headers.get_all(header::ACCEPT).iter().any(accepts) {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    /// The value of `Content-Type`.
    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Metrics in both formats; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct MetricsPage {
    open_metrics: Bytes,
    classic: Bytes,
}

impl MetricsPage {
    /// Those of this text, which is in the format of OpenMetrics.
    pub(super) fn new(open_metrics: String) -> Self {
        Self { classic: classic(&open_metrics).into(), open_metrics: open_metrics.into() }
    }

    /// The text in this format.
    pub(crate) fn text(&self, format: Exposition) -> Bytes {
        match format {
            Exposition::OpenMetrics => self.open_metrics.clone(),
            Exposition::Prometheus => self.classic.clone(),
        }
    }
}

/// The library writes OpenMetrics only: `# HELP` of a metric, then `# TYPE`, then its samples.
fn classic(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len() + 1024);
    let mut help = None;
    for line in open_metrics.lines() {
        if line == "# EOF" || line.starts_with("# UNIT ") {
            continue;
        }
        if line.starts_with("# HELP ") {
            help = Some(line);
            continue;
        }
        let end =
            if line.starts_with("# TYPE ") && line.ends_with(" counter") { "_total" } else { "" };
        for line in help.take().into_iter().chain([line]) {
            match line.strip_prefix("# ").and_then(|rest| {
                let mut words = rest.splitn(3, ' ');
                Some((words.next()?, words.next()?, words.next()?))
            }) {
                Some((what, name, rest)) => {
                    for part in ["# ", what, " ", name, end, " ", rest] {
                        text.push_str(part);
                    }
                }
                None => text.push_str(line),
            }
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(value: &'static str) -> Exposition {
        let value = HeaderValue::from_static(value);
        Exposition::accepted_by(&HeaderMap::from_iter([(header::ACCEPT, value)]))
    }

    #[test]
    fn only_a_client_that_names_open_metrics_gets_it() {
        assert_eq!(Exposition::accepted_by(&HeaderMap::new()), Exposition::Prometheus);
        for (value, format) in [
            ("*/*", Exposition::Prometheus),
            ("text/plain", Exposition::Prometheus),
            ("application/openmetrics-text;q=0,text/plain", Exposition::Prometheus),
            ("application/openmetrics-text", Exposition::OpenMetrics),
            // As Prometheus asks.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                Exposition::OpenMetrics,
            ),
        ] {
            assert_eq!(accepted(value), format, "{value}");
        }
    }

    #[test]
    fn the_older_format_names_a_counter_as_its_samples_do_and_has_no_mark_at_its_end() {
        let open = "# HELP a Requests so far.\n# TYPE a counter\na_total{b=\"# TYPE c counter\"} 1\n\
                    # HELP d Its size.\n# TYPE d gauge\n# UNIT d bytes\nd 2\n# EOF\n";
        let classic = "# HELP a_total Requests so far.\n# TYPE a_total counter\na_total{b=\"# TYPE c counter\"} 1\n\
                       # HELP d Its size.\n# TYPE d gauge\nd 2\n";
        let page = MetricsPage::new(open.to_owned());
        assert_eq!(page.text(Exposition::Prometheus), classic);
        assert_eq!(page.text(Exposition::OpenMetrics), open);
    }
}
