//! Identities: one that ends while its connection is kept, one that is shared, one that is another's at either end.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use spiffe::TrustDomain;
use spike_config::Environment;
use spike_dev::{
    ca::Ca,
    workload_api::{Config, WorkloadApi},
};
use spike_mtls::clock;
use spike_sdk::{Client, Error, Retry, SvidSource};
use spike_tests::{PATIENCE, Running, SUPERUSER, eventually, secrets::put};
use tokio::time::{Instant, timeout};

use crate::scenario;

fn environment(cluster: &Running) -> Environment {
    Environment::from_pairs(cluster.client_settings())
}

// A request on a connection that was opened with an SVID which has ended meanwhile used to be denied, though the process had
// a new one.
#[tokio::test]
async fn a_kept_connection_whose_svid_has_ended_denies_nothing() -> Result<()> {
    let cluster = scenario().svid_ttl(Duration::from_secs(3)).start().await?;
    cluster.superuser()?.put_secret(&put("a/b", &[("k", "v")])).await?;
    let (_, _registration) = cluster.follow_as(SUPERUSER).await?;
    let api = cluster.workload_api().endpoint();
    let source = SvidSource::connect(&api, PATIENCE).await?;
    let client = Client::builder()
        .environment(environment(&cluster))
        .svid_source(&source)
        .retry(Retry::none())
        .connect()
        .await?;
    for _ in 0..3 {
        // The connection is of this SVID, or of one before.
        let end = source.expires_at().context("no SVID")?;
        client.get("a/b").await?;
        eventually(
            "the end of the SVID",
            PATIENCE,
            async || Ok((clock::now() > end).then_some(())),
        )
        .await?;
        client.get("a/b").await?;
    }
    assert!(source.rotations() > 0);
    cluster.stop().await
}

#[tokio::test]
async fn clients_share_a_source_and_settings_in_code_win() -> Result<()> {
    let cluster = scenario().start().await?;
    let (_, _registration) = cluster.follow_as(SUPERUSER).await?;
    let source = SvidSource::connect(&cluster.workload_api().endpoint(), PATIENCE).await?;
    assert_eq!(source.spiffe_id(), cluster.id(SUPERUSER)?.to_string());
    let wrong = environment(&cluster).with([
        ("SPIKE_NEXUS_API_URL", "https://127.0.0.1:9"),
        ("SPIKE_TRUST_ROOT_NEXUS", "elsewhere.example"),
        ("SPIKE_NEXUS_APIURL", "misspelt"),
    ]);
    let right = environment(&cluster);
    let url = right.get("SPIKE_NEXUS_API_URL").and_then(|url| url.to_str()).context("no URL")?;
    let builder = Client::builder().environment(wrong).svid_source(&source);
    let first = builder.clone().nexus_url(url).trust_roots("spike.ist").connect().await?;
    let second =
        Client::builder().environment(right.clone()).svid_source(&source).connect().await?;
    first.put("a/b", [("k", "v")]).await?;
    assert_eq!(second.get("a/b").await?.expose("k"), Some("v"));
    assert_eq!(first.notices().len(), 1, "{:?}", first.notices());
    assert!(first.notices()[0].to_string().contains("SPIKE_NEXUS_API_URL"));
    drop((first, source));
    // The second client keeps the source.
    second.get("a/b").await?;
    cluster.stop().await
}

// It used to be retried until the deadline.
#[tokio::test]
async fn a_server_that_is_not_nexus_is_told_at_once_and_by_name() -> Result<()> {
    let cluster = scenario().start().await?;
    let (_, _registration) = cluster.follow_as(SUPERUSER).await?;
    let client = Client::builder()
        .environment(environment(&cluster))
        .trust_roots("elsewhere.example")
        .deadline(10 * PATIENCE)
        .connect()
        .await?;
    let asked = timeout(PATIENCE, client.get("a/b")).await.context("it tries again and again")?;
    let Err(Error::WrongServer { id: Some(id), .. }) = asked else { bail!("{asked:?}") };
    assert_eq!(id, cluster.id("/spike/nexus")?.to_string());
    cluster.stop().await
}

#[tokio::test]
async fn an_identity_that_nexus_does_not_accept_is_told_at_once() -> Result<()> {
    let cluster = scenario().start().await?;
    // Whose workloads know the bundle of the cluster, and not the other way round.
    let elsewhere = Ca::new(TrustDomain::new("elsewhere.example")?, clock::now())?;
    let socket = cluster.dir().join("elsewhere/api.sock");
    let svid_ttl = Duration::from_hours(1);
    let agent = WorkloadApi::start(Config { socket, ca: Arc::new(elsewhere), svid_ttl }).await?;
    agent.federate(cluster.workload_api().ca().bundle())?;
    let id = "spiffe://elsewhere.example/workload/app".parse()?;
    let _registration = agent.registry().register(std::process::id(), id)?;
    let client = Client::builder()
        .environment(environment(&cluster))
        .workload_api(&agent.endpoint())
        .deadline(10 * PATIENCE)
        .connect()
        .await?;
    let asked = timeout(PATIENCE, client.get("a/b")).await.context("it tries again and again")?;
    assert!(matches!(asked, Err(Error::IdentityRefused { .. })), "{asked:?}");
    cluster.stop().await
}

#[tokio::test]
async fn a_watch_that_is_denied_asks_less_and_less_often() -> Result<()> {
    let cluster = scenario().start().await?;
    let (client, _identity) = crate::workload::sdk_as(&cluster, crate::WORKLOAD).await?;
    let mut watch = client.watch("a/b", Duration::from_millis(10));
    let begun = Instant::now();
    for _ in 0..8 {
        let asked = watch.next().await;
        assert!(matches!(asked, Err(Error::Denied { .. })), "{asked:?}");
    }
    // 10 + 20 + … + 640 ms, of which the jitter leaves at least half.
    assert!(begun.elapsed() >= Duration::from_millis(600), "{:?}", begun.elapsed());
    cluster.stop().await
}
