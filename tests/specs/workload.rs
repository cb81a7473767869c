//! A workload that reads its own secrets (docs: reading secrets from your service): with our Rust SDK, with upstream's Go
//! SDK, and with curl. Each reads its own, is refused elsewhere, sees only its own names, and loses access with the next
//! request after its policy has gone.

use std::{process::Stdio, time::Duration};

use anyhow::{Context, Result, bail};
use spike_config::Environment;
use spike_daemon::settings::Backend;
use spike_dev::workload_api::Registration;
use spike_mtls::{client::NexusClient, svid::SvidSource};
use spike_sdk::{Client, Error, Settings};
use spike_tests::{PATIENCE, Running, Scenario, policies::allow, secrets::put, skipped};
use spike_wire::PolicyNameRequest;
use tokio::{process::Command, time::timeout};

use crate::{
    WORKLOAD,
    interop::{build_go_sdk, run_go_sdk},
    scenario,
};

const OWN: &str = "tenants/acme/db";
const OTHERS: &str = "tenants/other/db";
const POLL: Duration = Duration::from_millis(20);

/// A cluster with a secret of the workload, a policy that permits it to read and list it, and a secret of another workload.
async fn with_own_secret(scenario: &Scenario) -> Result<(Running, NexusClient)> {
    let cluster = scenario.start().await?;
    let superuser = cluster.superuser()?;
    for path in [OWN, OTHERS] {
        superuser.put_secret(&put(path, &[("pass", "s3cr3t")])).await?;
    }
    superuser.put_policy(&own_policy(&["read", "list"])).await?;
    Ok((cluster, superuser))
}

fn own_policy(permissions: &[&str]) -> spike_wire::PolicyPutRequest {
    allow("own", WORKLOAD, "^tenants/acme/.*$", permissions)
}

async fn delete_policy(superuser: &NexusClient) -> Result<()> {
    Ok(superuser.delete_policy(&PolicyNameRequest { name: "own".to_owned() }).await?)
}

/// Our SDK in this process, which the Workload API takes for the workload.
async fn sdk(cluster: &Running) -> Result<(Client, (SvidSource, Registration))> {
    sdk_as(cluster, WORKLOAD).await
}

/// Our SDK in this process, which the Workload API takes for a process with the SPIFFE ID of this path.
pub(crate) async fn sdk_as(
    cluster: &Running,
    path: &str,
) -> Result<(Client, (SvidSource, Registration))> {
    let identity = cluster.follow_as(path).await?;
    let environment = Environment::from_pairs(cluster.client_settings());
    let (settings, warnings) = Settings::load(&environment)?;
    assert!(warnings.is_empty(), "{warnings:?}");
    Ok((Client::connect_with(&settings).await?, identity))
}

#[tokio::test]
async fn the_rust_sdk_reads_its_own_and_nothing_else_until_its_policy_has_gone() -> Result<()> {
    let (cluster, superuser) = with_own_secret(&scenario()).await?;
    let (client, _identity) = sdk(&cluster).await?;
    let secret = client.get(OWN).await?;
    assert_eq!(secret.expose("pass"), Some("s3cr3t"));
    assert_eq!(secret.names().collect::<Vec<_>>(), ["pass"]);
    assert!(!format!("{secret:?} {client:?}").contains("s3cr3t"), "{secret:?}");
    assert_eq!(client.list("").await?, [OWN]);
    assert_eq!(client.list("tenants/other/").await?, [""; 0]);
    for path in [OTHERS, "nowhere"] {
        let Err(Error::Denied { request_id: Some(id), .. }) = client.get(path).await else {
            bail!("{path} is not denied");
        };
        assert_eq!(cluster.audit_of(&id)?.get("Subject"), path);
    }
    assert!(matches!(client.put(OWN, [("pass", "mine")]).await, Err(Error::Denied { .. })));
    assert!(matches!(client.get("tenants/acme/none").await, Err(Error::NotFound)));

    superuser.put_policy(&own_policy(&["read", "list", "write"])).await?;
    client.put(OWN, [("pass", "rotated")]).await?;
    assert_eq!(client.get(OWN).await?.expose("pass"), Some("rotated"));
    assert_eq!(client.get_version(OWN, 1).await?.expose("pass"), Some("s3cr3t"));
    client.delete(OWN, &[]).await?;
    assert_eq!(client.get(OWN).await?.expose("pass"), Some("s3cr3t"));

    delete_policy(&superuser).await?;
    assert!(matches!(client.get(OWN).await, Err(Error::Denied { .. })));
    assert!(matches!(client.list("").await, Err(Error::Denied { .. })));
    cluster.stop().await
}

#[tokio::test]
async fn a_watch_returns_each_new_version_and_goes_on_after_a_denial() -> Result<()> {
    let (cluster, superuser) = with_own_secret(&scenario()).await?;
    let (client, _identity) = sdk(&cluster).await?;
    let mut watch = client.watch(OWN, POLL);
    assert_eq!(watch.next().await?.expose("pass"), Some("s3cr3t"));
    for value in ["second", "third"] {
        superuser.put_secret(&put(OWN, &[("pass", value)])).await?;
        let seen = timeout(PATIENCE, watch.next()).await.context("no new version")??;
        assert_eq!(seen.expose("pass"), Some(value));
    }
    // Nothing has changed, so each call waits.
    assert!(timeout(POLL * 10, watch.next()).await.is_err());
    delete_policy(&superuser).await?;
    assert!(matches!(timeout(PATIENCE, watch.next()).await?, Err(Error::Denied { .. })));
    superuser.put_policy(&own_policy(&["read"])).await?;
    superuser.put_secret(&put(OWN, &[("pass", "fourth")])).await?;
    let seen = timeout(PATIENCE, watch.next()).await.context("no new version")??;
    assert_eq!(seen.expose("pass"), Some("fourth"));
    cluster.stop().await
}

#[tokio::test]
async fn the_sdk_gives_up_at_its_deadline_and_tells_what_kept_it() -> Result<()> {
    let cluster = scenario().backend(Backend::Sqlite).start_sealed().await?;
    let (client, _identity) = sdk(&cluster).await?;
    let client = client.with_deadline(Duration::from_millis(500));
    let Err(late @ Error::Deadline { .. }) = timeout(PATIENCE, client.get(OWN)).await? else {
        bail!("a sealed Nexus answered");
    };
    let told = late.to_string();
    assert!(told.starts_with("not done within 500ms, in ") && told.contains("sealed"), "{told}");
    let Error::Deadline { last, tries, .. } = late else { bail!("it was a deadline") };
    assert!(tries > 1 && matches!(last.as_deref(), Some(Error::Sealed { .. })), "{last:?}");
    let put = timeout(PATIENCE, client.put(OWN, [("k", "hunter2")])).await?;
    let told = format!("{put:?}");
    assert!(matches!(put, Err(Error::Deadline { .. })) && !told.contains("hunter2"), "{told}");
    cluster.stop().await
}

#[tokio::test]
async fn a_read_of_the_sdk_outlasts_a_restart_of_nexus() -> Result<()> {
    let sqlite = scenario().backend(Backend::Sqlite);
    let (mut cluster, _superuser) = with_own_secret(&sqlite).await?;
    let (client, _identity) = sdk(&cluster).await?;
    let client = client.with_deadline(PATIENCE);
    client.get(OWN).await?;
    cluster.terminate().await?;
    let waiting = tokio::spawn(async move { client.get(OWN).await });
    cluster.restart_nexus().await?;
    assert_eq!(waiting.await??.expose("pass"), Some("s3cr3t"));
    cluster.stop().await
}

#[tokio::test]
async fn the_go_sdk_reads_its_own_and_nothing_else_until_its_policy_has_gone() -> Result<()> {
    let (cluster, superuser) = with_own_secret(&scenario()).await?;
    if build_go_sdk(&cluster).await? {
        run_go_sdk(&cluster, WORKLOAD, &["workload"], 6).await?;
        delete_policy(&superuser).await?;
        run_go_sdk(&cluster, WORKLOAD, &["denied"], 6).await?;
    } else {
        skipped("no go on PATH")?;
    }
    cluster.stop().await
}

/// Each call of the Go SDK opens a connection of its own and leaves it idle for half a minute.
const CALLS_PER_SECOND: usize = 200;

/// Calls the Go SDK for this time. No call may fail, and each has its audit line. Returns the rate.
async fn steady_calls(scenario: &Scenario, seconds: usize) -> Result<String> {
    let (cluster, _superuser) = with_own_secret(scenario).await?;
    if !build_go_sdk(&cluster).await? {
        cluster.stop().await?;
        skipped("no go on PATH")?;
        return Ok(String::new());
    }
    let arguments = ["steady", &seconds.to_string(), &CALLS_PER_SECOND.to_string()];
    let told = run_go_sdk(&cluster, WORKLOAD, &arguments, 2).await?;
    let metrics = cluster.metrics().await?;
    let reads =
        metrics.names().filter(|name| name.contains(r#"requests_total{route="secret_get""#));
    let counts: Vec<_> = reads.map(|name| (name.to_owned(), metrics.get(name))).collect();
    let good =
        r#"spike_requests_total{route="secret_get",status="200",role="workload"}"#.to_owned();
    let count = u32::try_from(seconds * CALLS_PER_SECOND)?;
    assert_eq!(counts, [(good, Some(f64::from(count)))]);
    let text = cluster.audit_text()?;
    let lines = text.lines().filter(|line| line.contains("routeGetSecret"));
    assert_eq!(lines.count(), seconds * CALLS_PER_SECOND);
    cluster.stop().await?;
    Ok(told)
}

/// The short form, with a lower limit, so that old connections are closed for new ones from the first second on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_of_the_go_sdk_fails_at_two_hundred_a_second_under_one_spiffe_id() -> Result<()> {
    let scenario = scenario().setting("SPIKE_HTTP_SERVER_MAX_CONNECTIONS_PER_ID", "128");
    println!("{}", steady_calls(&scenario, 5).await?);
    Ok(())
}

/// The documented form, with the default limit of connections:
/// `cargo test -p spike-tests --test specs workload::no_call -- --ignored --nocapture` tells what rate was reached.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute; run with --ignored"]
async fn no_call_of_the_go_sdk_fails_in_a_minute_at_two_hundred_a_second() -> Result<()> {
    println!("{}", steady_calls(&scenario(), 60).await?);
    Ok(())
}

/// The shell lines of the page, between a put and a delete of the operator. Each answer of Nexus is a line: status, body.
const WITH_CURL: &str = r#"
set -eu
spike secret put tenants/acme/db pass=s3cr3t >&2
spike secret put tenants/other/db pass=theirs >&2
spike policy create --name own --permissions read,list --path-pattern '^tenants/acme/.*$' \
  --spiffeid-pattern '^spiffe://spike\.ist/workload/app1$' >&2
spike-dev svid /workload/app1 --out "$SPIKE_DEV_DIR/certs" >&2
call() {
  curl --silent --show-error --cacert "$SPIKE_DEV_DIR/certs/bundle.pem" --cert "$SPIKE_DEV_DIR/certs/svid.pem" \
    --key "$SPIKE_DEV_DIR/certs/svid.key" --write-out ' %{http_code}\n' -d "$2" "$SPIKE_NEXUS_API_URL/v1/store/secrets?action=$1"
}
call get '{"path":"tenants/acme/db"}'
call get '{"path":"tenants/other/db"}'
call list '{}'
spike policy delete own --yes >&2
call get '{"path":"tenants/acme/db"}'
call list '{}'
"#;

#[tokio::test]
async fn curl_with_pem_files_reads_its_own_and_nothing_else_until_its_policy_has_gone() -> Result<()>
{
    if Command::new("curl").arg("--version").output().await.is_err() {
        skipped("no curl on PATH")?;
        return Ok(());
    }
    let run = Command::new(env!("CARGO_BIN_EXE_spike-programs"))
        .args(["run", "--backend", "memory", "--", "sh", "-c", WITH_CURL])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(PATIENCE, run).await.context("the script does not end")??;
    let wrong = String::from_utf8(output.stderr)?;
    assert!(output.status.success(), "{wrong}");
    let told = String::from_utf8(output.stdout)?;
    let answers: Vec<&str> = told.lines().collect();
    assert_eq!(
        answers,
        [
            r#"{"data":{"pass":"s3cr3t"}} 200"#,
            r#"{"data":null,"err":"access_unauthorized"} 401"#,
            r#"{"keys":["tenants/acme/db"]} 200"#,
            r#"{"data":null,"err":"access_unauthorized"} 401"#,
            r#"{"keys":null,"err":"access_unauthorized"} 401"#,
        ],
        "{wrong}"
    );
    Ok(())
}
