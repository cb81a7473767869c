//! The fake of the SDK answers as Nexus does: one story, told by both.

use anyhow::{Result, bail};
use spike_daemon::settings::Backend;
use spike_sdk::{Client, Error, Policy, fake::Fake};
use spike_tests::{SUPERUSER, policies::allow};

use self::every_call::{CALLS, begin};
use crate::{WORKLOAD, scenario, workload::sdk_as};

#[path = "../../../sdk/src/tests/every_call.rs"]
mod every_call;

/// The name of the case, or what was returned.
fn told<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(error) => format!("{error:?}").split([' ', '(']).next().unwrap_or_default().to_owned(),
    }
}

async fn values(spike: &Client, path: &str, version: i64) -> String {
    let secret = spike.get_version(path, version).await;
    told(secret.map(|secret| {
        let all = secret.expose_all().map(|(name, value)| format!("{name}={value}"));
        (secret.version(), all.collect::<Vec<_>>())
    }))
}

async fn versions(spike: &Client, path: &str) -> String {
    let metadata = spike.metadata(path).await;
    told(metadata.map(|metadata| {
        let all = metadata.versions().iter().map(|one| (one.number, one.deleted.is_some()));
        (metadata.current_version(), metadata.max_versions(), all.collect::<Vec<_>>())
    }))
}

/// What every call answers: before there is anything, when all versions are deleted, and when some are not.
async fn every_answer(spike: &Client) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for round in 0..3 {
        if round == 2 {
            begin(spike).await?;
        }
        for (name, call) in CALLS {
            lines.push(format!("{name}: {}", told(call(spike).await)));
        }
    }
    Ok(lines)
}

/// What some calls answer in the course of a life of some secrets and policies.
async fn story(spike: &Client) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for (path, value) in
        [("a/1", "one"), ("a/1", "\u{fc}ber \"quoted\"\n"), ("a/2", ""), ("b", "b")]
    {
        lines.push(told(spike.put(path, [("pass", value), ("a name", "v")]).await));
    }
    for path in ["", "a b", "spike/system/acl", "spike/system/secret", &"x".repeat(501)] {
        lines.push(told(spike.put(path, [("pass", "v")]).await));
        lines.push(values(spike, path, 0).await);
        lines.push(versions(spike, path).await);
    }
    lines.push(told(spike.put("a/3", [("not.a.name", "v")]).await));
    lines.push(told(spike.put("a/3", []).await));
    lines.push(values(spike, "a/3", 0).await);
    for version in [0, 1, 2, 3, -1] {
        lines.push(values(spike, "a/1", version).await);
    }
    lines.push(told(spike.get_current("a/1").await.map(|secret| secret.version())));

    for deleted in [&[2][..], &[], &[7]] {
        lines.push(told(spike.delete("a/1", deleted).await));
        lines.push(versions(spike, "a/1").await);
        lines.push(values(spike, "a/1", 0).await);
    }
    lines.push(told(spike.get_current("a/1").await.map(|secret| secret.version())));
    lines.push(told(spike.delete("none", &[]).await));
    for undeleted in [&[][..], &[1], &[1], &[9]] {
        lines.push(told(spike.undelete("a/1", undeleted).await));
        lines.push(versions(spike, "a/1").await);
    }
    lines.push(told(spike.undelete("none", &[]).await));

    for _ in 0..12 {
        spike.put("many", [("n", "v")]).await?;
    }
    lines.push(versions(spike, "many").await);
    for prefix in ["", "a/", "none"] {
        lines.push(told(spike.list(prefix).await));
        let mut pages = spike.pages(prefix).of_size(2);
        while let Some(page) = pages.next().await {
            lines.push(told(page));
        }
    }

    let encrypted = spike.encrypt(b"a text").await?;
    lines.push(told(spike.decrypt(&encrypted).await));
    lines.push(format!("{} bytes", encrypted.len()));
    let mut changed = encrypted.clone();
    changed.reverse();
    for wrong in [changed.as_slice(), encrypted.get(..20).unwrap_or_default(), b"", b"\x01"] {
        lines.push(told(spike.decrypt(wrong).await));
    }
    lines.push(told(spike.encrypt(&vec![0; 70_000]).await.map(|_| "encrypted")));

    let policies = spike.policies();
    let policy = Policy::new("app1", r"^spiffe://spike\.ist/app1$", "^a/.*$", ["read", "list"]);
    lines.push(told(policies.get("app1").await.map(drop)));
    lines.push(told(policies.create(&policy).await));
    lines.push(told(policies.create(&policy).await));
    lines.push(told(policies.put(&policy).await));
    lines.push(told(policies.put(&Policy::new("b/d", "x", "y", ["read"])).await));
    let found = policies.get("app1").await?;
    lines.push(format!(
        "{} {} {:?}",
        found.spiffe_id_pattern, found.path_pattern, found.permissions
    ));
    lines.push(told(policies.list().await));
    lines.push(told(policies.delete("app1").await));
    lines.push(told(policies.delete("app1").await));
    Ok(lines)
}

#[tokio::test]
async fn the_fake_answers_as_nexus_does() -> Result<()> {
    for backend in [Backend::Memory, Backend::Sqlite] {
        let cluster = scenario().backend(backend).start().await?;
        let (client, _identity) = sdk_as(&cluster, SUPERUSER).await?;
        let fake = Fake::new().client();
        let real = story(&client).await?;
        assert!(real.len() > 60, "{real:#?}");
        assert_eq!(story(&fake).await?, real);
        assert_eq!(every_answer(&fake).await?, every_answer(&client).await?);
        cluster.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_operators_tool_asks_about_policies() -> Result<()> {
    let cluster = scenario().start().await?;
    cluster
        .superuser()?
        .put_policy(&allow("own", WORKLOAD, "^tenants/acme/.*$", &["read"]))
        .await?;
    let (client, _identity) = sdk_as(&cluster, SUPERUSER).await?;
    let (policies, id) = (client.policies(), cluster.id(WORKLOAD)?.to_string());
    assert!(policies.explain(&id, "tenants/acme/db", "read").await?.allowed);
    let denied = policies.explain(&id, "tenants/acme/db", "write").await?;
    assert!(!denied.allowed && denied.near_misses[0].name == "own", "{denied:?}");
    assert_eq!(policies.who_can("tenants/acme/db", "read").await?.grantees[0].policy, "own");
    assert_eq!(policies.lint().await?.policies, 1);
    cluster.stop().await
}

#[tokio::test]
async fn a_request_that_is_too_large_is_an_error_of_its_own() -> Result<()> {
    let cluster = scenario().setting("SPIKE_HTTP_SERVER_MAX_BODY_SIZE", "4096").start().await?;
    let (client, _identity) = sdk_as(&cluster, SUPERUSER).await?;
    let large = "x".repeat(8192);
    let Err(Error::TooLarge { .. }) = client.put("a", [("n", large.as_str())]).await else {
        bail!("it was put");
    };
    cluster.stop().await
}
