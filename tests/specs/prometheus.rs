//! A real Prometheus asks Nexus and its Keepers, with the alerts and the dashboard of `deploy/observability`.
//!
//! Each alert that one machine can produce fires here because something is broken, and clears once it is mended.

mod identity;
mod picture;
mod requests;
mod root_key;
mod server;
mod store;

use std::{collections::BTreeSet, net::SocketAddr};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use spike_mtls::clock;
use spike_tests::{crew::Crew, secrets::put};
use time::OffsetDateTime;

use self::server::Prometheus;
pub(crate) use self::server::program;
use crate::{
    WORKLOAD, crew, metrics,
    repository::{root, text},
};

/// Drawn by the specification below, with `UPDATE_DOCS=1`.
const PICTURE: &str = "docs/images/dashboard.svg";

const GET: &str = "/v1/store/secrets?action=get";

/// The alerts that fire and clear in the specification of this file.
const FIRED: &[&str] =
    &["SpikeBackupOld", "SpikeKeeperAway", "SpikeQuorumAtItsLimit", "SpikeQuorumLost"];

/// Since 1970.
fn seconds_now() -> f64 {
    (clock::now() - OffsetDateTime::UNIX_EPOCH).as_seconds_f64()
}

/// Nexus and its three Keepers.
fn targets(crew: &mut Crew) -> Result<Vec<SocketAddr>> {
    let mut targets = vec![crew.nexus().telemetry()];
    for index in 1..=3 {
        targets.push(crew.keeper(index)?.telemetry());
    }
    Ok(targets)
}

/// Makes a backup, so that the alert about old ones is quiet.
async fn back_up(crew: &Crew) -> Result<()> {
    let mut backup = crew.client("nexus");
    backup.arg("backup").arg(crew.dir().join("backup")).arg("--data-dir").arg(crew.dir());
    let made = backup.output().await?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Ok(())
}

/// The table of the page, which says of each alert whether it is fired for real.
#[test]
fn the_page_says_truly_which_alerts_are_fired_for_real() -> Result<()> {
    let page = text("docs/metrics.md")?;
    let rows = page.lines().filter(|line| line.starts_with("| `Spike"));
    let mut listed = BTreeSet::new();
    let mut real = BTreeSet::new();
    for row in rows {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [_, names, fired, _why, _] = cells[..] else {
            anyhow::bail!("not three columns: {row}")
        };
        for name in names.split(", ").map(|name| name.trim_matches('`').to_owned()) {
            if fired == "yes" {
                real.insert(name.clone());
            }
            ensure!(listed.insert(name), "twice: {row}");
        }
    }
    let rules = text("deploy/observability/alerts.yaml")?;
    let alerts = rules.lines().filter_map(|line| line.trim_start().strip_prefix("- alert: "));
    assert_eq!(listed, alerts.map(str::to_owned).collect());
    let fired = [FIRED, identity::FIRED, requests::FIRED, root_key::FIRED, store::FIRED].concat();
    assert_eq!(real, fired.into_iter().map(str::to_owned).collect());
    Ok(())
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
async fn prometheus_takes_every_metric_fills_the_dashboard_and_fires_alerts_of_keepers_that_clear()
-> Result<()> {
    let mut crew = crew().start().await?;
    let Some(prometheus) = Prometheus::start(&targets(&mut crew)?).await? else {
        return crew.stop().await;
    };
    let begun = seconds_now();
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
            let expression = picture::expression(target)?;
            let samples = prometheus.query(&expression).await?;
            assert!(!samples.is_empty(), "{}: nothing for {expression}", panel["title"]);
            asked += 1;
        }
    }
    assert!(asked > 40, "only {asked} queries");

    // Nobody has made a backup yet.
    prometheus.fires_just(&["SpikeBackupOld"]).await?;
    back_up(&crew).await?;
    prometheus.is_quiet().await?;
    crew.kill_keepers([1]).await?;
    prometheus.fires_just(&["SpikeKeeperAway", "SpikeQuorumAtItsLimit"]).await?;
    crew.kill_keepers([2]).await?;
    prometheus.fires_just(&["SpikeKeeperAway", "SpikeQuorumLost"]).await?;
    crew.restart_keepers([1, 2]).await?;
    prometheus.is_quiet().await?;
    use_it(&crew).await?;
    let time = (begun, seconds_now());
    let picture = picture::draw(&dashboard, &prometheus, time).await?;
    // `UPDATE_DOCS` is no setting of SPIKE.
    if std::env::vars_os().any(|(name, _)| name == "UPDATE_DOCS") {
        std::fs::write(root().join(PICTURE), &picture)?;
    }
    crew.stop().await
}

/// Its lines are those of one run; its panels are those of the dashboard.
#[test]
fn the_picture_of_the_docs_has_every_panel_of_the_dashboard() -> Result<()> {
    let picture = text(PICTURE)?;
    let dashboard: Value = serde_json::from_str(&text("deploy/observability/dashboard.json")?)?;
    let panels = dashboard["panels"].as_array().context("no panels")?;
    for title in panels.iter().filter_map(|panel| panel["title"].as_str()) {
        assert!(picture.contains(&format!(">{title}</text>")), "{title}: UPDATE_DOCS=1 draws it");
    }
    Ok(())
}
