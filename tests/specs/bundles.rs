//! Foreign trust bundles (design 5): one that cannot be used concerns only the peers of its trust domain.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use spiffe::TrustDomain;
use spike_dev::ca::Ca;
use spike_mtls::clock;
use spike_tests::{Credential, PATIENCE, Running, eventually};

use crate::scenario;

const LIST: &str = "/v1/store/secrets?action=list";

/// A certificate with a valid outer form and invalid content.
const NONSENSE: [u8; 5] = [0x30, 0x03, 0x02, 0x01, 0x00];

async fn check(cluster: &Running, name: &str) -> Result<Value> {
    let (_, body) = cluster.telemetry("/healthz").await?;
    let report: Value = serde_json::from_str(&body)?;
    report.pointer(&format!("/checks/{name}")).cloned().context(body)
}

#[tokio::test]
async fn nexus_goes_on_past_rotation_while_a_foreign_bundle_is_broken() -> Result<()> {
    let cluster = scenario().svid_ttl(Duration::from_secs(4)).start().await?;
    cluster.workload_api().send_unsound_bundle("spiffe://broken.example", &NONSENSE);
    cluster.workload_api().send_unsound_bundle("spiffe://no trust domain", &NONSENSE);
    let faulty = |value: f64| value >= 2.0;
    cluster.until_metric("spike_trust_bundle_faults", faulty).await?;

    // Longer than the lifetime of the first SVID, so each rotation arrived.
    let before = cluster.until_metric("spike_svid_rotations_total", |_| true).await?;
    let rotated = |count: f64| count >= before + 3.0;
    cluster.until_metric("spike_svid_rotations_total", rotated).await?;
    assert_eq!(cluster.telemetry("/readyz").await?.0, 200);
    assert_eq!(cluster.post(LIST, "{}").await?.status, 200);

    // The log, once, and the health check name the trust domain at fault.
    let told = check(&cluster, "trust_bundles").await?;
    assert_eq!(told["status"], "degraded");
    let reason = told["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("broken.example"), "{reason}");
    assert!(reason.contains("no trust domain"), "{reason}");
    let log = cluster.log()?;
    let lines = log.lines().filter(|line| line.contains(r#""trust_domain":"broken.example""#));
    assert_eq!(lines.count(), 1, "{log}");
    cluster.stop().await
}

#[tokio::test]
async fn peers_of_a_domain_whose_bundle_broke_are_refused_and_of_another_are_not() -> Result<()> {
    let cluster = scenario().start().await?;
    let (broken, sound) = (foreign("broken.example")?, foreign("sound.example")?);
    cluster.workload_api().federate(broken.bundle())?;
    cluster.workload_api().federate(sound.bundle())?;
    until_answered(&cluster, &broken, true).await?;
    until_answered(&cluster, &sound, true).await?;

    let garbage = spike_dev::ca::TrustBundle { x509_authorities: vec![0; 9], ..broken.bundle() };
    cluster.workload_api().federate(garbage)?;
    until_answered(&cluster, &broken, false).await?;
    until_answered(&cluster, &sound, true).await?;

    cluster.workload_api().federate(broken.bundle())?;
    until_answered(&cluster, &broken, true).await?;
    assert_eq!(check(&cluster, "trust_bundles").await?["status"], "ok");
    cluster.stop().await
}

fn foreign(domain: &str) -> Result<Ca> {
    Ok(Ca::new(TrustDomain::new(domain)?, clock::now())?)
}

/// Waits until Nexus answers a workload of this authority's trust domain, or no longer does.
async fn until_answered(cluster: &Running, ca: &Ca, wanted: bool) -> Result<()> {
    let id = format!("spiffe://{}/workload/app", ca.trust_domain()).parse()?;
    let credential = Credential::valid(ca, id, Duration::from_hours(1))?;
    eventually("the peer's fate", PATIENCE, async || {
        let answer = async {
            let mut connection = cluster.stranger().showing(&credential).connect().await?;
            connection.post(LIST, "{}").await
        };
        Ok((answer.await.is_ok() == wanted).then_some(()))
    })
    .await
}
