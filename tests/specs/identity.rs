//! Who may connect, and to whom (wire-api 2.1, 5.1; design 5): both sides are identified by their certificates.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use axum::{http::StatusCode, response::IntoResponse};
use spiffe::TrustDomain;
use spike_daemon::serve::{App, ConnectionMetrics, Limits, Listener};
use spike_dev::ca::{Ca, Defect};
use spike_domain::TrustRootsByRole;
use spike_mtls::{
    ClientTimeouts, PeerRule, TransportError,
    client::{CallError, NexusClient},
    clock,
};
use spike_tests::{Credential, PATIENCE, Running, SUPERUSER, eventually, logs::Metrics};
use spike_wire::{Operation, SecretListRequest};
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};

use crate::{WORKLOAD, crew, scenario};

const LIST: &str = "/v1/store/secrets?action=list";

/// Certificates that no verifier may accept, with the defect of each, and the reason with which it is counted.
fn bad_certificates(cluster: &Running) -> Result<Vec<(&'static str, &'static str, Credential)>> {
    let ca = cluster.workload_api().ca();
    let odd = |path: &str, odd: &Defect| Credential::defective(ca, cluster.id(path)?, odd);
    let stranger = Ca::new(TrustDomain::new("spike.ist")?, clock::now())?;
    let elsewhere = Ca::new(TrustDomain::new("elsewhere.example")?, clock::now())?;
    let foreign_id = |path: &str| format!("spiffe://elsewhere.example{path}").parse();
    let hour = Duration::from_hours(1);
    Ok(vec![
        ("expired", "expired", odd(SUPERUSER, &Defect::Expired)?),
        ("not yet valid", "not_yet_valid", odd(SUPERUSER, &Defect::NotYetValid)?),
        ("two URI names", "no_svid", odd(SUPERUSER, &Defect::TwoUriSans(cluster.id(WORKLOAD)?))?),
        ("a CA certificate", "no_svid", odd(SUPERUSER, &Defect::CaAsLeaf)?),
        ("no URI name", "no_svid", odd(SUPERUSER, &Defect::NoUriSan)?),
        (
            "an unknown trust domain",
            "unknown_trust_domain",
            Credential::valid(&elsewhere, foreign_id(SUPERUSER)?, hour)?,
        ),
        (
            "an ID of another trust domain, signed by ours",
            "unknown_trust_domain",
            Credential::defective(ca, foreign_id(SUPERUSER)?, &Defect::OtherTrustDomain)?,
        ),
        ("our trust domain, signed by a stranger", "untrusted", {
            Credential::valid(&stranger, cluster.id(SUPERUSER)?, hour)?
        }),
    ])
}

#[tokio::test]
async fn a_bad_certificate_ends_the_handshake_and_never_reaches_a_route() -> Result<()> {
    let cluster = scenario().start().await?;
    let mut refused = BTreeMap::new();
    for (what, reason, credential) in bad_certificates(&cluster)? {
        let dialer = cluster.stranger().showing(&credential);
        // In TLS 1.3 the client learns of it only when it reads.
        let mut connection = dialer.connect().await.context(what)?;
        let alert = connection.ended().await?.context(what)?;
        assert!(alert.contains("fatal alert"), "{what}: {alert}");
        // In TLS 1.2 it is part of the handshake.
        assert!(cluster.stranger().showing(&credential).tls12().connect().await.is_err(), "{what}");
        *refused.entry(reason).or_default() += 2.0;
    }
    for (reason, times) in refused {
        let name = format!(r#"spike_tls_handshakes_refused_total{{reason="{reason}"}}"#);
        let count = cluster.until_metric(&name, |value| value >= times).await?;
        assert!((count - times).abs() < 0.5, "{reason}: {count} instead of {times}");
    }
    let requests = cluster.metrics().await?;
    assert!(!requests.names().any(|name| name.starts_with("spike_requests_total")));
    // Each has an audit line for the refusal, and none has a line for a request.
    for line in cluster.audit_text()?.lines() {
        let line: serde_json::Value = serde_json::from_str(line)?;
        assert_eq!(
            line.pointer("/audit/Action").and_then(|action| action.as_str()),
            Some("handshake")
        );
    }
    let told = cluster.audit_text()?;
    for words in ["on this machine: is the clock right?", "is it of another CA"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert_eq!(cluster.post(LIST, "{}").await?.status, 200);
    cluster.stop().await
}

#[tokio::test]
async fn no_certificate_ends_the_handshake_too() -> Result<()> {
    let cluster = scenario().start().await?;
    let alert = cluster.stranger().connect().await?.ended().await?;
    assert_eq!(alert.as_deref(), Some("received fatal alert: CertificateRequired"));
    assert!(cluster.stranger().tls12().connect().await.is_err());
    let counted = r#"spike_tls_handshakes_refused_total{reason="no_certificate"}"#;
    cluster.until_metric(counted, |value| value >= 2.0).await?;
    cluster.stop().await
}

/// The reasons were all one: a scanner could not be told from a workload whose SVID had expired.
#[tokio::test]
async fn an_id_that_a_keeper_does_not_accept_and_a_handshake_that_takes_too_long_are_counted_apart()
-> Result<()> {
    let mut crew = crew().setting("SPIKE_HTTP_SERVER_READ_HEADER_TIMEOUT", "1s").start().await?;
    let alert = crew.dial_keeper_as(1, WORKLOAD)?.connect().await?.ended().await?;
    assert!(alert.is_some_and(|alert| alert.contains("fatal alert")));
    let mut slow = TcpStream::connect(crew.keeper(1)?.tls()).await?;
    // The first byte of a handshake, and no more.
    slow.write_all(&[22]).await?;
    for reason in ["wrong_id", "timeout"] {
        let name = format!(r#"spike_tls_handshakes_refused_total{{reason="{reason}"}}"#);
        eventually(reason, PATIENCE, async || {
            let (_, text) = crew.keeper(1)?.get("/metrics").await?;
            Ok((Metrics::parse(&text).get(&name) == Some(1.0)).then_some(()))
        })
        .await?;
    }
    crew.stop().await
}

/// Q-43: trust domains with an underscore are valid.
#[tokio::test]
async fn a_federated_trust_domain_counts_for_as_long_as_it_is_federated() -> Result<()> {
    let roots = "spike.ist,under_score.example";
    let cluster = scenario().setting("SPIKE_TRUST_ROOT_PILOT", roots).start().await?;
    let ca = Ca::new(TrustDomain::new("under_score.example")?, clock::now())?;
    let credential = |path: &str| {
        let id = format!("spiffe://under_score.example{path}").parse()?;
        Credential::valid(&ca, id, Duration::from_hours(1))
    };
    let superuser = cluster.stranger().showing(&credential(SUPERUSER)?);
    let workload = cluster.stranger().showing(&credential(WORKLOAD)?);
    assert!(superuser.connect().await?.ended().await?.is_some());

    let updates = "spike_trust_bundle_updates_total";
    cluster.workload_api().federate(ca.bundle())?;
    cluster.until_metric(updates, |value| value >= 1.0).await?;
    assert_eq!(superuser.connect().await?.post(LIST, "{}").await?.status, 200);
    assert_eq!(workload.connect().await?.post(LIST, "{}").await?.status, 401);

    assert!(cluster.workload_api().unfederate(ca.trust_domain()));
    cluster.until_metric(updates, |value| value >= 2.0).await?;
    assert!(superuser.connect().await?.ended().await?.is_some());
    cluster.stop().await
}

/// wire-api 5.1 and Q-15: sub-paths have the role too.
#[tokio::test]
async fn the_superuser_is_an_id_or_anything_below_it_and_nobody_else_is() -> Result<()> {
    let cluster = scenario().start().await?;
    for (path, status) in [
        (SUPERUSER, 200),
        ("/spike/pilot/role/superuser/inst-0", 200),
        ("/spike/pilot/role/superuserx", 401),
        ("/spike/pilot/role/recover", 401),
        ("/spike/pilot/role/restore", 401),
        ("/spike/workload/role/lite", 401),
        ("/spike/bootstrap", 401),
        ("/spike/keeper", 401),
        ("/spike/nexus", 401),
        ("/Spike/pilot/role/superuser", 401),
        (WORKLOAD, 401),
    ] {
        assert_eq!(cluster.post_as(path, LIST, "{}").await?.status, status, "{path}");
    }
    cluster.stop().await
}

#[tokio::test]
async fn without_a_policy_a_workload_may_do_nothing_with_secrets() -> Result<()> {
    let cluster = scenario().start().await?;
    let secrets = Operation::ALL.iter().filter(|call| call.path().starts_with("/v1/store/"));
    for operation in secrets {
        let answer = cluster.post_as(WORKLOAD, operation.path_and_query(), "{}").await?;
        assert_eq!(answer.status, 401, "{operation}");
    }
    cluster.stop().await
}

#[tokio::test]
async fn our_client_talks_to_nobody_but_nexus() -> Result<()> {
    let cluster = scenario().start().await?;
    let superuser = cluster.credential(SUPERUSER)?.source()?;
    let nexus_elsewhere = {
        let ca = Ca::new(TrustDomain::new("spike.ist")?, clock::now())?;
        Credential::valid(&ca, cluster.id("/spike/nexus")?, Duration::from_hours(1))?
    };
    let expired = Credential::defective(
        cluster.workload_api().ca(),
        cluster.id("/spike/nexus")?,
        &Defect::Expired,
    )?;
    for (what, server, told) in [
        ("a Keeper", cluster.credential("/spike/keeper")?, "/spike/keeper is not accepted here"),
        ("a workload", cluster.credential(WORKLOAD)?, "/workload/app1 is not accepted here"),
        ("almost Nexus", cluster.credential("/spike/nexus2")?, "/spike/nexus2 is not accepted"),
        ("a Nexus of another authority", nexus_elsewhere, "is it of another CA"),
        ("a Nexus whose SVID has ended", expired, "on this machine: is the clock right?"),
    ] {
        let listener = Listener::bind(&["127.0.0.1:0".parse()?]).await?;
        let address = format!("https://{}", listener.address());
        let url = address.parse()?;
        let limits = Limits {
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_mins(1),
            stall_timeout: Duration::from_mins(1),
            connections: 16,
            connections_per_id: 16,
            handshakes: 16,
        };
        let metrics = ConnectionMetrics::default();
        let app = App::new(|_| async |_| StatusCode::NOT_FOUND.into_response());
        let serving = listener.serve(&server.source()?, PeerRule::AnySvid, limits, metrics, app)?;
        let roots = Arc::new(TrustRootsByRole::default());
        let client = NexusClient::new(&superuser, roots, &url, ClientTimeouts::default())?;
        let refused = client.list_secrets(&SecretListRequest::default()).await;
        let refused = refused.err().context(what)?;
        assert!(
            matches!(refused, CallError::Transport(TransportError::Handshake { .. })),
            "{what}: {refused}"
        );
        // The message names the certificate and its defect.
        let mut spike = cluster.command("spike");
        spike.args(["secret", "list"]).env("SPIKE_NEXUS_API_URL", &address);
        let output = timeout(PATIENCE, spike.output()).await??;
        let said = String::from_utf8(output.stderr)?;
        assert_eq!(output.status.code(), Some(6), "{what}: {said}");
        assert!(said.contains(told) && !said.contains("Other("), "{what}: {said}");
        serving.drain(Duration::from_secs(1)).await;
    }
    cluster.stop().await
}
