//! Two trust domains: the page is run as it stands; a foreign workload is let in when the bundle of its trust domain comes; and
//! operators see which bundles are held. `hostile/withdrawn.rs` has the end of a federation.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use spiffe::TrustDomain;
use spike_dev::workload_api;
use spike_mtls::client::NexusClient;
use spike_tests::{Credential, PATIENCE, Running, SUPERUSER, eventually, policies::policy};
use spike_wire::ExplainRequest;

use crate::{
    WORKLOAD, scenario,
    tour::{Place, tour_of},
};

const PARTNER: &str = "partner.org";
const LIST: &str = "/v1/store/secrets?action=list";
const ROTATIONS: &str = "spike_svid_rotations_total";
const HOUR: Duration = Duration::from_hours(1);

/// Within this time a foreign workload must be let in; five times as long is waited on a busy machine.
const ACCEPTED_WITHIN: Duration = Duration::from_secs(1);

async fn federate(cluster: &Running) -> Result<Arc<workload_api::Running>> {
    Ok(cluster.trust_domains().federate(&TrustDomain::new(PARTNER)?).await?)
}

async fn end_federation(cluster: &Running) -> Result<()> {
    Ok(cluster.trust_domains().end_federation(&TrustDomain::new(PARTNER)?).await?)
}

/// Waits until Nexus holds the bundles of exactly these trust domains, its own first.
async fn until_held(superuser: &NexusClient, expected: &[&str]) -> Result<()> {
    eventually("the trust domains that are held", PATIENCE, async || {
        Ok((superuser.status().await?.trust_domains == expected).then_some(()))
    })
    .await
}

#[tokio::test]
async fn federation_is_as_its_page_shows_it() -> Result<()> {
    let dir = tempfile::Builder::new().prefix("fed-").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    tour_of(&Place::new(dir.path()), "docs/federation.md").await
}

#[tokio::test]
async fn a_cluster_can_be_federated_from_its_start_and_says_of_which_trust_domains_it_is_none()
-> Result<()> {
    let dir = tempfile::Builder::new().prefix("fed-").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let script = "until spike operator status | grep -qx 'Trusts      : spike.ist, partner.org'; do sleep 0.1; done; \
        spike-dev as spiffe://partner.org/app -- spike secret get a/b; \
        spike-dev svid spiffe://partner.org/app --out app && ls app; \
        spike-dev as spiffe://other.org/app -- true; \
        spike-dev federate spike.ist; \
        spike-dev federate --end other.org; true";
    let run = format!(r#""$0" run --federate partner.org -- sh -c "{script}""#);
    let (status, told) = Place::new(dir.path()).run(&run).await?;
    ensure!(status.success(), "{told}");
    for part in [
        "spiffe://partner.org/app may not read the secret a/b",
        "bundle.pem\nsvid.key\nsvid.pem\n",
        "this cluster has no trust domain other.org; `spike-dev federate other.org` makes it",
        "spike.ist: a trust domain does not federate with itself",
        "other.org is not federated",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    Ok(())
}

#[tokio::test]
async fn a_foreign_workload_is_accepted_within_a_second_of_its_bundle() -> Result<()> {
    let cluster = scenario().start().await?;
    let superuser = cluster.superuser()?;
    let may_list = policy("partner", r"^spiffe://partner\.org/app$", ".*", &["list"]);
    superuser.put_policy(&may_list).await?;
    // The authority of the trust domain exists from the first federation on.
    let partner = federate(&cluster).await?;
    let id = format!("spiffe://{PARTNER}/app").parse()?;
    let dialer = cluster.stranger().showing(&Credential::valid(partner.ca(), id, HOUR)?);
    until_held(&superuser, &["spike.ist", PARTNER]).await?;
    end_federation(&cluster).await?;
    until_held(&superuser, &["spike.ist"]).await?;
    let answer = async || dialer.connect().await?.post(LIST, "{}").await;
    ensure!(answer().await.is_err(), "served without a bundle of its trust domain");

    let begun = Instant::now();
    federate(&cluster).await?;
    eventually("the answer to a foreign workload", ACCEPTED_WITHIN * 5, async || {
        Ok(answer().await.is_ok_and(|answer| answer.status == 200).then_some(()))
    })
    .await?;
    println!("accepted after {:?}", begun.elapsed());
    cluster.stop().await
}

#[tokio::test]
async fn a_foreign_trust_domain_gets_no_role_from_its_bundle() -> Result<()> {
    let cluster = scenario().start().await?;
    let partner = federate(&cluster).await?;
    until_held(&cluster.superuser()?, &["spike.ist", PARTNER]).await?;
    for path in [SUPERUSER, "/spike/nexus", "/spike/workload/role/lite", WORKLOAD] {
        let id = format!("spiffe://{PARTNER}{path}").parse()?;
        let dialer = cluster.stranger().showing(&Credential::valid(partner.ca(), id, HOUR)?);
        assert_eq!(dialer.connect().await?.post(LIST, "{}").await?.status, 401, "{path}");
    }
    cluster.stop().await
}

#[tokio::test]
async fn status_and_health_show_whose_bundles_are_held_and_the_log_each_change_once() -> Result<()>
{
    // The default level: the harness sets a lower one.
    let cluster = scenario().setting("SPIKE_SYSTEM_LOG_LEVEL", "WARN").start().await?;
    let superuser = cluster.superuser()?;
    until_held(&superuser, &["spike.ist"]).await?;
    federate(&cluster).await?;
    until_held(&superuser, &["spike.ist", PARTNER]).await?;
    let (_, health) = cluster.telemetry("/healthz").await?;
    let health: Value = serde_json::from_str(&health)?;
    assert_eq!(health["trustDomains"], serde_json::json!(["spike.ist", PARTNER]));
    until_changes(&cluster, 1).await?;
    cluster.workload_api().trust_also(federate(&cluster).await?.ca().root_der());
    until_changes(&cluster, 2).await?;
    // A new SVID is no change of the bundles.
    let rotations = cluster.until_metric(ROTATIONS, |_| true).await?;
    cluster.workload_api().rotate();
    cluster.until_metric(ROTATIONS, |count| count > rotations).await?;
    end_federation(&cluster).await?;
    until_held(&superuser, &["spike.ist"]).await?;
    let changes = until_changes(&cluster, 3).await?;
    assert_eq!(changes, [[PARTNER, "", ""], ["", "", "spike.ist"], ["", PARTNER, ""]]);
    cluster.stop().await
}

/// Waits until the log has so many lines about changes of the bundles.
async fn until_changes(cluster: &Running, count: usize) -> Result<Vec<[String; 3]>> {
    eventually("the lines about changes", PATIENCE, async || {
        let log = cluster.log()?;
        let lines = log
            .lines()
            .filter(|line| line.contains("the trust bundles of the Workload API have changed"));
        let changes =
            lines.map(|line| change(&serde_json::from_str(line)?)).collect::<Result<Vec<_>>>()?;
        Ok((changes.len() >= count).then_some(changes))
    })
    .await
}

/// The trust domains that came, went and changed.
fn change(line: &Value) -> Result<[String; 3]> {
    let field = |name: &str| {
        let value = line.get(name).or_else(|| line.get("fields")?.get(name));
        value.and_then(Value::as_str).map(str::to_owned).with_context(|| format!("{name}: {line}"))
    };
    Ok([field("added")?, field("removed")?, field("changed")?])
}

#[tokio::test]
async fn a_policy_for_a_trust_domain_without_a_bundle_is_reported_and_with_one_it_is_not()
-> Result<()> {
    let cluster = scenario().start().await?;
    let superuser = cluster.superuser()?;
    let may_read = policy("partner", r"^spiffe://partner\.org/app$", "^shared/feed$", &["read"]);
    superuser.put_policy(&may_read).await?;
    superuser.put_policy(&policy("own", r"^spiffe://spike\.ist/app$", "^a$", &["read"])).await?;
    let question = ExplainRequest {
        spiffe_id: format!("spiffe://{PARTNER}/app"),
        path: "shared/feed".to_owned(),
        permission: "read".to_owned(),
    };
    let mut create = cluster.command("spike");
    let created = cluster
        .run_as(
            SUPERUSER,
            create.args(["policy", "apply", "--name", "again", "--permissions", "read"]).args([
                "--spiffeid-pattern",
                r"^spiffe://partner\.org/app$",
                "--path-pattern",
                "^shared/feed$",
            ]),
        )
        .await?;
    let told = String::from_utf8(created.stderr)?;
    assert!(created.status.success(), "{told}");
    assert!(told.contains("holds no trust bundle of partner.org"), "{told}");
    let findings = async || -> Result<Vec<(String, String)>> {
        let findings = superuser.lint_policies().await?.findings.into_iter();
        Ok(findings.map(|finding| (finding.policy, finding.code)).collect())
    };
    let none = |policy: &str| (policy.to_owned(), "no-bundle".to_owned());
    let found = findings().await?;
    assert!(found.contains(&none("partner")) && !found.contains(&none("own")), "{found:?}");
    let answer = superuser.explain(&question).await?;
    assert_eq!((answer.allowed, answer.no_bundle_of.as_deref()), (true, Some(PARTNER)));

    federate(&cluster).await?;
    until_held(&superuser, &["spike.ist", PARTNER]).await?;
    let found = findings().await?;
    assert!(!found.iter().any(|(_, code)| code == "no-bundle"), "{found:?}");
    assert_eq!(superuser.explain(&question).await?.no_bundle_of, None);
    cluster.stop().await
}

/// What --check-config said nothing of, and the log neither.
#[tokio::test]
async fn a_foreign_trust_root_is_told_by_check_config_at_the_start_and_by_doctor() -> Result<()> {
    let roots = "spike.ist,partner.org";
    let cluster = scenario().setting("SPIKE_TRUST_ROOT_PILOT", roots).start().await?;
    let log = cluster.log()?;
    let line = log.lines().find(|line| line.contains("a trust root is in a foreign trust domain"));
    let line = line.context("no warning at the start")?;
    assert!(line.contains("SPIKE_TRUST_ROOT_PILOT names partner.org"), "{line}");
    assert!(line.contains("can be superuser"), "{line}");

    for (program, id, variable, power) in [
        ("nexus", "/spike/nexus", "SPIKE_TRUST_ROOT_PILOT", "can be superuser"),
        ("keeper", "/spike/keeper", "SPIKE_TRUST_ROOT_NEXUS", "can be SPIKE Nexus"),
        ("bootstrap", "/spike/bootstrap", "SPIKE_TRUST_ROOT_KEEPER", "can be a Keeper"),
    ] {
        let mut command = cluster.command(program);
        command
            .arg("--check-config")
            .env("SPIKE_NEXUS_BACKEND_STORE", "memory")
            .env(variable, roots);
        let output = cluster.run_as(id, &mut command).await?;
        let told = String::from_utf8(output.stderr)?;
        assert!(output.status.success(), "{program}: {told}");
        assert!(told.contains(&format!("warning: {variable} names partner.org")), "{told}");
        assert!(told.contains(power), "{told}");
    }

    let mut doctor = cluster.command("spike");
    doctor.args(["doctor", "--format", "json"]).env("SPIKE_TRUST_ROOT_NEXUS", roots);
    let output = cluster.run_as(SUPERUSER, &mut doctor).await?;
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let checks = report["checks"].as_array().context("no checks")?;
    let found = checks.iter().find(|check| {
        check["name"].as_str().is_some_and(|name| name.contains("SPIKE_TRUST_ROOT_NEXUS"))
    });
    let found = found.with_context(|| report.to_string())?;
    assert_eq!(found["outcome"], "warning", "{found}");
    assert!(found["evidence"].to_string().contains("can be SPIKE Nexus"), "{found}");
    cluster.stop().await
}
