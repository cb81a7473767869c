//! A real Prometheus, with the alerts of `deploy/observability`.
//!
//! They are rewritten line by line, so that a test need not wait for hours: `for:` is left out, and every range is [`WINDOW`]. What is
//! asked, and with which thresholds, stays.

use std::{
    collections::BTreeSet,
    fmt::Write,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use serde_json::Value;
use spike_tests::{PATIENCE, eventually, skipped};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Child,
};

use crate::repository::{root, text};

/// The range that takes the place of every other.
const WINDOW: &str = "[20s]";

/// How long an alert may take to fire, or to clear: the window, and what a busy machine needs.
const LIMIT: Duration = Duration::from_secs(90);

/// A program of the package of Prometheus; `None` where there is none.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let fetched = root().join("target/tools").join(name);
    let all = [fetched, name.into()];
    all.into_iter().find(|program| {
        let asked = Command::new(program).arg("--version").stderr(Stdio::null()).output();
        asked.is_ok_and(|output| output.status.success())
    })
}

/// A running Prometheus. Dropping it kills it.
pub(super) struct Prometheus {
    port: u16,
    _process: Child,
    dir: TempDir,
    /// The alerts that were seen firing.
    seen: Mutex<BTreeSet<String>>,
}

impl Prometheus {
    /// Asks these addresses twice a second, and judges the alerts as often. `None` where there is no Prometheus.
    pub(super) async fn start(targets: &[SocketAddr]) -> Result<Option<Self>> {
        match program("prometheus") {
            Some(program) => Self::run(&program, targets).await.map(Some),
            None => {
                skipped("no prometheus on PATH (on Debian: the package prometheus)").map(|()| None)
            }
        }
    }

    async fn run(program: &Path, targets: &[SocketAddr]) -> Result<Self> {
        let targets: Vec<String> = targets.iter().map(ToString::to_string).collect();
        let dir = tempfile::tempdir()?;
        let rules = text("deploy/observability/alerts.yaml")?;
        std::fs::write(dir.path().join("alerts.yaml"), shortened(&rules))?;
        // Nexus comes first.
        let names = (0..targets.len()).map(|index| match index {
            0 => "nexus".to_owned(),
            index => format!("keeper-{index}"),
        });
        let scraped: Vec<_> = targets
            .iter()
            .zip(names)
            .map(|(target, name)| {
                format!("{{targets: [\"{target}\"], labels: {{instance: {name}}}}}")
            })
            .collect();
        let scraped = scraped.join(", ");
        let config = format!(
            "global: {{scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}}\n\
             rule_files: [alerts.yaml]\n\
             scrape_configs: [{{job_name: spike, static_configs: [{scraped}]}}]\n"
        );
        let file = dir.path().join("prometheus.yaml");
        std::fs::write(&file, config)?;
        // Another process may take the port in between; then Prometheus ends.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let log = std::fs::File::create(dir.path().join("log"))?;
        let process = tokio::process::Command::new(program)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        let prometheus = Self { port, _process: process, dir, seen: Mutex::default() };
        let up = eventually("every target is asked", PATIENCE, async || {
            let answer = prometheus.query("up").await;
            let up = answer.ok().filter(|up| {
                up.len() == targets.len()
                    && up.iter().all(|sample| sample.pointer("/value/1") == Some(&"1".into()))
            });
            Ok(up.map(|_| ()))
        });
        let log = || std::fs::read_to_string(prometheus.dir.path().join("log"));
        up.await.with_context(|| log().unwrap_or_default())?;
        Ok(prometheus)
    }

    pub(super) async fn get(&self, path: &str) -> Result<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (_, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
        let answer: Value = serde_json::from_str(body).with_context(|| body.to_owned())?;
        answer.get("data").cloned().with_context(|| format!("{path}: {body}"))
    }

    /// The samples of an expression, now.
    pub(super) async fn query(&self, expression: &str) -> Result<Vec<Value>> {
        self.results(&format!("/api/v1/query?query={}", encoded(expression)?)).await
    }

    /// The samples of an expression, twice a second from the first to the second time.
    pub(super) async fn over(&self, expression: &str, time: (f64, f64)) -> Result<Vec<Value>> {
        let (query, (start, end)) = (encoded(expression)?, time);
        let range = format!("start={start}&end={end}&step=0.5");
        self.results(&format!("/api/v1/query_range?query={query}&{range}")).await
    }

    async fn results(&self, path: &str) -> Result<Vec<Value>> {
        let data = self.get(path).await?;
        Ok(data.get("result").and_then(Value::as_array).context("no samples")?.clone())
    }

    /// The names of the alerts that fire.
    async fn firing(&self) -> Result<BTreeSet<String>> {
        let data = self.get("/api/v1/alerts").await?;
        let alerts = data.get("alerts").and_then(Value::as_array).context("no alerts")?;
        let firing = alerts.iter().filter(|alert| alert.get("state") == Some(&"firing".into()));
        let names = firing.filter_map(|alert| alert.pointer("/labels/alertname")?.as_str());
        Ok(names.map(Into::into).collect())
    }

    /// Waits until these alerts were seen firing since the last time that none was.
    pub(super) async fn fires(&self, alerts: &[&str]) -> Result<()> {
        let expected: BTreeSet<String> = alerts.iter().map(ToString::to_string).collect();
        let fired = eventually("these alerts", LIMIT, async || {
            let firing = self.firing().await?;
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.extend(firing);
            Ok(expected.is_subset(&seen).then_some(()))
        })
        .await;
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        fired.with_context(|| format!("{seen:?} instead of {expected:?}"))
    }

    /// Waits until exactly these alerts fire.
    pub(super) async fn fires_just(&self, alerts: &[&str]) -> Result<()> {
        let expected: BTreeSet<_> = alerts.iter().map(ToString::to_string).collect();
        let mut firing = BTreeSet::new();
        eventually("just these alerts", LIMIT, async || {
            firing = self.firing().await?;
            Ok((firing == expected).then_some(()))
        })
        .await
        .with_context(|| format!("{firing:?} instead of {expected:?}"))?;
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(())
    }

    /// Waits until no alert fires.
    pub(super) async fn is_quiet(&self) -> Result<()> {
        self.fires_just(&[]).await
    }
}

fn encoded(expression: &str) -> Result<String> {
    let mut encoded = String::new();
    for byte in expression.bytes() {
        write!(encoded, "%{byte:02X}")?;
    }
    Ok(encoded)
}

/// The rules without their delays, and with short ranges.
pub(super) fn shortened(rules: &str) -> String {
    let mut short = String::new();
    for line in rules.lines().filter(|line| !line.trim_start().starts_with("for: ")) {
        let mut rest = line;
        while let Some((before, after)) = rest.split_once('[') {
            short.push_str(before);
            let range = after.split_once(']').filter(|(range, _)| is_duration(range));
            if let Some((_, behind)) = range {
                short.push_str(WINDOW);
                rest = behind;
            } else {
                short.push('[');
                rest = after;
            }
        }
        short.push_str(rest);
        short.push('\n');
    }
    short
}

/// Such as `5m`.
fn is_duration(text: &str) -> bool {
    let digits = text.trim_end_matches(['s', 'm', 'h', 'd']);
    digits.len() + 1 == text.len() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[test]
fn the_rewrite_leaves_out_the_delays_and_shortens_the_ranges_and_nothing_else() -> Result<()> {
    let rule = "      - alert: A\n        expr: increase(a{b=~\"[xy]\"}[30m]) > rate(c[1d]) * 60\n        for: 5m\n        labels: {x: y}\n";
    let short = "      - alert: A\n        expr: increase(a{b=~\"[xy]\"}[20s]) > rate(c[20s]) * 60\n        labels: {x: y}\n";
    assert_eq!(shortened(rule), short);
    let rules = text("deploy/observability/alerts.yaml")?;
    let kept = rules.lines().filter(|line| !line.trim_start().starts_with("for: "));
    for (kept, short) in kept.zip(shortened(&rules).lines()) {
        assert!(kept == short || short.contains(WINDOW), "{kept}");
    }
    Ok(())
}
