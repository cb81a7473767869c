//! Withdrawn trust also ends open connections.

use std::time::Duration;

use anyhow::Result;
use spiffe::TrustDomain;
use spike_dev::ca::Ca;
use spike_mtls::clock;
use spike_tests::{
    Credential, Running, SUPERUSER, eventually,
    hostile::{Http2Peer, PeerBehaviour, attack::post},
    policies::policy,
    raw::Connection,
};
use tokio::time::timeout;

use super::LIST;
use crate::scenario;

/// The trust domain of a partner.
const FOREIGN: &str = "elsewhere.example";

const HOUR: Duration = Duration::from_hours(1);
const UPDATES: &str = "spike_trust_bundle_updates_total";

/// Within this time a connection must be closed; twice as long is waited on a busy machine.
const CLOSED_WITHIN: Duration = Duration::from_secs(5);

/// One peer over both protocols.
struct Peers {
    http1: Connection,
    http2: Http2Peer,
}

impl Peers {
    async fn connect(cluster: &Running, credential: &Credential) -> Result<Self> {
        let dialer = || cluster.stranger().showing(credential);
        let http2 = dialer().offering("h2");
        Ok(Self {
            http1: dialer().connect().await?,
            http2: Http2Peer::connect(&http2, PeerBehaviour::STAYS).await?,
        })
    }

    /// The answer to each, if there is one.
    async fn ask(&mut self) -> (Option<u16>, Option<u16>) {
        let http1 = self.http1.exchange(post(LIST, "{}")).await.ok().map(|answer| answer.status);
        // After GOAWAY a new stream gets no answer.
        let limit = Duration::from_secs(2);
        let http2 = timeout(limit, self.http2.post(LIST, b"{}")).await;
        (http1, http2.ok().and_then(Result::ok).and_then(|reply| reply.status))
    }

    /// Both are refused from now on, and closed.
    async fn are_refused_and_closed(mut self) -> Result<()> {
        let (http1, http2) = self.ask().await;
        assert!(http1 != Some(200) && http2 != Some(200), "still served: {http1:?}, {http2:?}");
        self.are_closed().await
    }

    async fn are_closed(&mut self) -> Result<()> {
        eventually("the end of both connections", CLOSED_WITHIN * 2, async || {
            let http1_open = self.http1.exchange(post(LIST, "{}")).await.is_ok();
            Ok((!http1_open && self.http2.has_ended()).then_some(()))
        })
        .await
    }
}

async fn updates(cluster: &Running) -> Result<f64> {
    cluster.until_metric(UPDATES, |_| true).await
}

/// Federates the foreign trust domain, and gives a workload of it the right to list.
async fn federated(cluster: &Running, foreign: &TrustDomain) -> Result<Credential> {
    let may_list = policy("elsewhere", r"^spiffe://elsewhere\.example/app$", ".*", &["list"]);
    cluster.superuser()?.put_policy(&may_list).await?;
    let before = updates(cluster).await?;
    let elsewhere = cluster.trust_domains().federate(foreign).await?;
    cluster.until_metric(UPDATES, |count| count > before).await?;
    Credential::valid(elsewhere.ca(), format!("spiffe://{FOREIGN}/app").parse()?, HOUR)
}

#[tokio::test]
async fn once_federation_has_ended_an_open_connection_is_refused_and_closed() -> Result<()> {
    let cluster = scenario().start().await?;
    let foreign = TrustDomain::new(FOREIGN)?;
    let credential = federated(&cluster, &foreign).await?;
    let mut peers = Peers::connect(&cluster, &credential).await?;
    let mut idle = Peers::connect(&cluster, &credential).await?;
    assert_eq!(peers.ask().await, (Some(200), Some(200)));
    assert_eq!(idle.ask().await, (Some(200), Some(200)));
    // The time counts from the withdrawal itself, not from its arrival at Nexus.
    cluster.trust_domains().end_federation(&foreign).await?;
    let refused = async {
        eventually("the refusal of both", CLOSED_WITHIN * 2, async || {
            let (http1, http2) = peers.ask().await;
            Ok((http1 != Some(200) && http2 != Some(200)).then_some(()))
        })
        .await?;
        peers.are_closed().await
    };
    // One that asks for nothing is closed too.
    let closed = eventually("the end of an idle connection", CLOSED_WITHIN * 2, async || {
        Ok(idle.http2.has_ended().then_some(()))
    });
    tokio::try_join!(refused, closed)?;
    cluster.stop().await
}

/// A head that was sent before the end, and its body only after it: the secret of that time was read for three seconds.
#[tokio::test]
async fn a_request_whose_body_comes_after_the_end_of_federation_is_refused() -> Result<()> {
    let cluster = scenario().start().await?;
    let foreign = TrustDomain::new(FOREIGN)?;
    let dialer = cluster.stranger().showing(&federated(&cluster, &foreign).await?);
    let head = format!("POST {LIST} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n");
    let mut served = dialer.connect().await?;
    served.send(&head).await?;
    served.send("{}").await?;
    assert_eq!(served.answer().await?.status, 200);
    let mut late = dialer.connect().await?;
    late.send(&head).await?;
    // Nexus has read the head.
    cluster.until_metric("spike_requests_in_flight", |count| count >= 1.0).await?;
    let before = updates(&cluster).await?;
    cluster.trust_domains().end_federation(&foreign).await?;
    cluster.until_metric(UPDATES, |count| count > before).await?;
    // The connection may have been closed already.
    if late.send("{}").await.is_ok()
        && let Ok(answer) = late.answer().await
    {
        assert_eq!(answer.status, 401, "{answer:?}");
    }
    cluster.stop().await
}

#[tokio::test]
async fn once_an_authority_is_removed_its_peers_are_refused_and_closed_and_no_others() -> Result<()>
{
    let cluster = scenario().start().await?;
    let second = Ca::new(TrustDomain::new("spike.ist")?, clock::now())?;
    let credential = Credential::valid(&second, cluster.id(SUPERUSER)?, HOUR)?;
    let before = updates(&cluster).await?;
    cluster.workload_api().trust_also(second.root_der());
    cluster.until_metric(UPDATES, |count| count > before).await?;

    let mut peers = Peers::connect(&cluster, &credential).await?;
    let mut others = Peers::connect(&cluster, &cluster.credential(SUPERUSER)?).await?;
    assert_eq!(peers.ask().await, (Some(200), Some(200)));
    assert_eq!(others.ask().await, (Some(200), Some(200)));
    cluster.workload_api().trust_also(&[]);
    cluster.until_metric(UPDATES, |count| count > before + 1.0).await?;
    peers.are_refused_and_closed().await?;
    assert_eq!(others.ask().await, (Some(200), Some(200)));
    cluster.stop().await
}
