//! The `spike` command against a real Nexus: what goes in comes out byte for byte, and the exit status tells the cases
//! apart.

use std::fs;

use anyhow::Result;

use crate::scenario;

/// What a PEM key looks like: several lines and a final newline. This one is none.
const KEY: &str =
    "-----BEGIN PRIVATE KEY-----\nbm90IGEga2V5\nbm90IGEga2V5\n-----END PRIVATE KEY-----\n";

#[tokio::test]
async fn a_key_file_goes_in_and_comes_out_byte_for_byte() -> Result<()> {
    let cluster = scenario().start().await?;
    fs::write(cluster.dir().join("key.pem"), KEY)?;
    cluster
        .spike(&["secret", "put", "tenants/acme/db", "user=app", "pass=@key.pem"])
        .await?
        .done()?;
    let read = cluster.spike(&["secret", "get", "tenants/acme/db", "pass", "--raw"]).await?;
    assert_eq!(read.done()?, KEY);
    assert_eq!(read.stderr, "");

    let input = "Grüße 🔑\r\nno newline at the end";
    let put = ["secret", "put", "tenants/acme/db", "pass=-"];
    cluster.spike_with(&put, input.as_bytes()).await?.done()?;
    let read = cluster.spike(&["secret", "get", "tenants/acme/db", "pass", "--raw"]).await?;
    assert_eq!(read.done()?, input);
    cluster.stop().await
}

#[tokio::test]
async fn a_secret_can_be_listed_deleted_and_brought_back() -> Result<()> {
    let cluster = scenario().start().await?;
    cluster.spike(&["secret", "put", "tenants/acme/db", "n=1"]).await?.done()?;
    cluster.spike(&["secret", "put", "tenants/acme/db", "n=2"]).await?.done()?;
    let listed = cluster.spike(&["secret", "list"]).await?;
    assert!(listed.done()?.contains("tenants/acme/db"), "{listed:?}");
    let get = ["secret", "get", "tenants/acme/db", "n", "--raw"];
    cluster.spike(&["secret", "delete", "tenants/acme/db"]).await?.done()?;
    assert_eq!(cluster.spike(&get).await?.done()?, "1");
    cluster.spike(&["secret", "undelete", "tenants/acme/db", "--versions", "2"]).await?.done()?;
    assert_eq!(cluster.spike(&get).await?.done()?, "2");
    let known = cluster
        .spike(&["secret", "metadata", "get", "tenants/acme/db", "--format", "json"])
        .await?;
    let known: serde_json::Value = serde_json::from_str(known.done()?)?;
    assert_eq!(known["metadata"]["currentVersion"], 2, "{known}");
    cluster.stop().await
}

#[tokio::test]
async fn the_exit_status_tells_the_cases_apart() -> Result<()> {
    let mut cluster = scenario().start().await?;
    for (arguments, status) in [
        (&["secret", "get", "nowhere"][..], 3),
        (&["secret", "put", "bad path", "k=v"], 2),
        (&["secret", "put"], 2),
        (&["secret", "nonsense"], 2),
        (&["--version"], 0),
    ] {
        let said = cluster.spike(arguments).await?;
        assert_eq!(said.status, Some(status), "{arguments:?}: {said:?}");
        assert_eq!(said.stderr.is_empty(), status == 0, "{arguments:?}: {said:?}");
    }
    let denied =
        cluster.run_as("/workload/app1", cluster.command("spike").args(["secret", "list"])).await?;
    assert_eq!(denied.status.code(), Some(4), "{}", String::from_utf8_lossy(&denied.stderr));
    cluster.terminate().await?;
    let unreachable = cluster.spike(&["secret", "list"]).await?;
    assert_eq!(unreachable.status, Some(6), "{unreachable:?}");
    assert!(unreachable.stderr.starts_with("Error: "), "{unreachable:?}");
    cluster.workload_api().pause().await;
    let help = cluster.spike(&["secret", "--help"]).await?;
    assert_eq!(help.status, Some(0), "help needs no agent: {help:?}");
    Ok(())
}
