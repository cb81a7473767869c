//! `docs/metrics.md` lists every metric of the daemons, and nothing else.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Stdio,
};

use anyhow::{Context, Result, bail};
use spike_daemon::settings::Backend;
use spike_tests::{secrets::put, skipped};
use tokio::{io::AsyncWriteExt, process::Command};

use crate::{WORKLOAD, crew, prometheus::program, repository::text, scenario};

const GET: &str = "/v1/store/secrets?action=get";

/// Type and labels of a metric.
type Shape = (String, BTreeSet<String>);

/// The metrics of the page that a daemon has, by the column that says which.
fn listed(daemon: &[&str]) -> Result<BTreeMap<String, Shape>> {
    let page = text("docs/metrics.md")?;
    let mut metrics = BTreeMap::new();
    for row in page.lines().filter(|line| line.starts_with("| `spike_")) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [_, name, kind, labels, of, _meaning, _well, _] = cells[..] else {
            bail!("not six columns: {row}");
        };
        let labels = labels.split(", ").filter(|label| !label.is_empty());
        let labels = labels.map(|label| label.trim_matches('`').to_owned()).collect();
        if daemon.contains(&of) {
            metrics.insert(name.trim_matches('`').to_owned(), (kind.to_owned(), labels));
        }
    }
    Ok(metrics)
}

/// Every metric of the page.
pub(crate) fn all() -> Result<BTreeSet<String>> {
    let of = [
        "both",
        "Nexus",
        "Nexus with Keepers",
        "Nexus with a store",
        "Nexus on `sqlite`",
        "Keeper",
    ];
    Ok(listed(&of)?.into_keys().collect())
}

/// The metrics in the text of `/metrics`, with the labels of their samples.
fn shown(text: &str) -> BTreeMap<String, Shape> {
    let mut metrics = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some((name, kind)) =
            line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            // What a counter has behind its name in the output.
            let total = name.strip_suffix("_total").filter(|_| kind == "counter");
            total.unwrap_or(name).clone_into(&mut current);
            metrics.insert(current.clone(), (kind.to_owned(), BTreeSet::new()));
        } else if let Some((name, labels)) = line.split_once('{')
            && name.starts_with(&current)
        {
            let labels = labels.rsplit_once('}').map_or(labels, |(labels, _)| labels);
            let names = labels.split(',').filter_map(|label| Some(label.split_once('=')?.0));
            // The bounds of a histogram.
            let names = names.filter(|label| *label != "le").map(str::to_owned);
            let shape = metrics.entry(current.clone());
            shape.and_modify(|(_, known)| known.extend(names));
        }
    }
    metrics
}

/// The health checks in the text of `/metrics`.
fn checks(text: &str) -> impl Iterator<Item = &str> {
    let samples = text.lines().filter_map(|line| line.strip_prefix("spike_check_passing{check=\""));
    samples.filter_map(|rest| Some(rest.split_once('"')?.0))
}

/// Without help for its counters: the format was that of OpenMetrics whoever asked, and this tool reads the older one.
#[tokio::test]
async fn promtool_has_nothing_to_say_of_the_metrics_of_nexus_and_a_keeper() -> Result<()> {
    let Some(promtool) = program("promtool") else {
        return skipped("no promtool on PATH (on Debian: the package prometheus)");
    };
    let mut crew = crew().start().await?;
    crew.superuser()?.put_secret(&put("a/b", &[("key", "value")])).await?;
    for daemon in crew.cluster().daemons().take(2) {
        let text = daemon.get("/metrics").await?.1;
        let complaints = checked(&promtool, &text).await?;
        assert_eq!(complaints, None, "{}", daemon.name());
        // It does complain.
        let bad = text.replacen("# HELP spike_ready ", "# HELP spike_read ", 1);
        assert!(checked(&promtool, &bad).await?.is_some_and(|told| told.contains("spike_ready")));
    }
    crew.stop().await
}

/// What `promtool check metrics` says of these metrics; `None` if it is content.
async fn checked(promtool: &Path, text: &str) -> Result<Option<String>> {
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut input = child.stdin.take().context("no input")?;
    input.write_all(text.as_bytes()).await?;
    drop(input);
    let ended = child.wait_with_output().await?;
    let told = [ended.stdout, ended.stderr].concat();
    let is_content = ended.status.success() && told.is_empty();
    Ok((!is_content).then(|| String::from_utf8_lossy(&told).into_owned()))
}

#[tokio::test]
async fn the_page_lists_every_metric_of_nexus_and_keepers_with_type_and_labels() -> Result<()> {
    let mut crew = crew().start().await?;
    crew.superuser()?.put_secret(&put("a/b", &[("key", "value")])).await?;
    let nexus = crew.nexus().get("/metrics").await?.1;
    assert_eq!(
        shown(&nexus),
        listed(&[
            "both",
            "Nexus",
            "Nexus with Keepers",
            "Nexus with a store",
            "Nexus on `sqlite`"
        ])?
    );
    let keeper = crew.keeper(1)?.get("/metrics").await?.1;
    let page = text("docs/metrics.md")?;
    for check in [&nexus, &keeper].into_iter().flat_map(|text| checks(text)) {
        assert!(page.contains(&format!("`{check}`")), "the check {check} is not listed");
    }
    assert_eq!(shown(&keeper), listed(&["both", "Keeper"])?);
    crew.stop().await
}

/// `memory` has no Keepers, and `lite` has no store.
#[tokio::test]
async fn the_other_backends_have_what_the_page_says_of_them() -> Result<()> {
    for (backend, part) in
        [(Backend::Memory, "Nexus with a store"), (Backend::Lite, "Nexus with Keepers")]
    {
        let cluster = scenario().backend(backend).start().await?;
        cluster.post_as(WORKLOAD, GET, "{}").await?;
        let (_, text) = cluster.telemetry("/metrics").await?;
        assert_eq!(shown(&text), listed(&["both", "Nexus", part])?, "{backend:?}");
        cluster.stop().await?;
    }
    Ok(())
}
