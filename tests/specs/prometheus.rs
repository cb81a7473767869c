//! A real Prometheus asks Nexus and its Keepers, with the alerts and the dashboard of `deploy/observability`.

use std::{
    collections::BTreeSet,
    fmt::Write,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result};
use serde_json::Value;
use spike_tests::{PATIENCE, crew::Crew, eventually, secrets::put, skipped};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Child,
};

use crate::{
    WORKLOAD, crew, metrics,
    repository::{root, text},
};

const GET: &str = "/v1/store/secrets?action=get";

/// `None` where there is none.
fn program() -> Option<PathBuf> {
    let fetched = root().join("target/tools/prometheus");
    let all = [fetched, "prometheus".into()];
    all.into_iter().find(|program| {
        let asked = Command::new(program).arg("--version").stderr(Stdio::null()).output();
        asked.is_ok_and(|output| output.status.success())
    })
}

struct Prometheus {
    port: u16,
    _process: Child,
    dir: TempDir,
}

impl Prometheus {
    /// Asks these addresses twice a second, and judges the alerts at once instead of after minutes.
    async fn start(program: &Path, targets: &[String]) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let rules = text("deploy/observability/alerts.yaml")?;
        let rules = rules.lines().filter(|line| !line.trim_start().starts_with("for: "));
        std::fs::write(dir.path().join("alerts.yaml"), rules.collect::<Vec<_>>().join("\n"))?;
        let config = format!(
            "global: {{scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}}\n\
             rule_files: [alerts.yaml]\n\
             scrape_configs: [{{job_name: spike, static_configs: [{{targets: {targets:?}}}]}}]\n"
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
        let prometheus = Self { port, _process: process, dir };
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

    async fn get(&self, path: &str) -> Result<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (_, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
        let answer: Value = serde_json::from_str(body).with_context(|| body.to_owned())?;
        answer.get("data").cloned().with_context(|| format!("{path}: {body}"))
    }

    /// The samples of an expression, now.
    async fn query(&self, expression: &str) -> Result<Vec<Value>> {
        let mut encoded = String::new();
        for byte in expression.bytes() {
            write!(encoded, "%{byte:02X}")?;
        }
        let data = self.get(&format!("/api/v1/query?query={encoded}")).await?;
        let samples = data.get("result").and_then(Value::as_array);
        Ok(samples.context("no samples")?.clone())
    }

    /// The names of the alerts that fire.
    async fn firing(&self) -> Result<BTreeSet<String>> {
        let data = self.get("/api/v1/alerts").await?;
        let alerts = data.get("alerts").and_then(Value::as_array).context("no alerts")?;
        let firing = alerts.iter().filter(|alert| alert.get("state") == Some(&"firing".into()));
        let names = firing.filter_map(|alert| alert.pointer("/labels/alertname")?.as_str());
        Ok(names.map(Into::into).collect())
    }

    async fn fires_just(&self, alerts: &[&str]) -> Result<()> {
        let expected: BTreeSet<_> = alerts.iter().map(ToString::to_string).collect();
        let mut firing = BTreeSet::new();
        eventually("these alerts", PATIENCE, async || {
            firing = self.firing().await?;
            Ok((firing == expected).then_some(()))
        })
        .await
        .with_context(|| format!("{firing:?} instead of {expected:?}"))
    }
}

/// Some of every request, twice a second, so that there are rates.
async fn use_it(crew: &Crew) -> Result<()> {
    let superuser = crew.superuser()?;
    superuser.put_secret(&put("a/b", &[("key", "value")])).await?;
    for path in [WORKLOAD, spike_tests::SUPERUSER] {
        let mut connection = crew.dial_as(path)?.connect().await?;
        connection.post(GET, r#"{"path":"a/b"}"#).await?;
    }
    Ok(())
}

#[tokio::test]
async fn prometheus_takes_every_metric_fills_the_dashboard_and_fires_alerts_that_clear()
-> Result<()> {
    let Some(program) = program() else {
        return skipped("no prometheus on PATH (on Debian: the package prometheus)");
    };
    let mut crew = crew().start().await?;
    let mut targets = vec![crew.nexus().telemetry().to_string()];
    for index in 1..=3 {
        targets.push(crew.keeper(index)?.telemetry().to_string());
    }
    let prometheus = Prometheus::start(&program, &targets).await?;
    for _ in 0..8 {
        use_it(&crew).await?;
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }

    let data = prometheus.get("/api/v1/label/__name__/values").await?;
    let names = data.as_array().context("no names")?.iter().filter_map(Value::as_str);
    let ours = names.filter(|name| name.starts_with("spike_"));
    let families = ours.map(|name| {
        let ends = ["_total", "_bucket", "_sum", "_count"];
        ends.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name).to_owned()
    });
    assert_eq!(families.collect::<BTreeSet<_>>(), metrics::all()?);

    let dashboard: Value = serde_json::from_str(&text("deploy/observability/dashboard.json")?)?;
    let mut asked = 0;
    for panel in dashboard["panels"].as_array().context("no panels")? {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().context("no expression")?;
            let expression =
                expression.replace("$instance", ".*").replace("$__rate_interval", "10s");
            let samples = prometheus.query(&expression).await?;
            assert!(!samples.is_empty(), "{}: nothing for {expression}", panel["title"]);
            asked += 1;
        }
    }
    assert!(asked > 40, "only {asked} queries");

    // Nobody has made a backup yet.
    prometheus.fires_just(&["SpikeBackupOld"]).await?;
    let mut backup = crew.client("nexus");
    backup.arg("backup").arg(crew.dir().join("backup")).arg("--data-dir").arg(crew.dir());
    let made = backup.output().await?;
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    prometheus.fires_just(&[]).await?;
    crew.kill_keepers([1]).await?;
    prometheus.fires_just(&["SpikeKeeperAway", "SpikeQuorumAtItsLimit"]).await?;
    crew.kill_keepers([2]).await?;
    prometheus.fires_just(&["SpikeKeeperAway", "SpikeQuorumLost"]).await?;
    crew.restart_keepers([1, 2]).await?;
    prometheus.fires_just(&[]).await?;
    crew.stop().await
}
