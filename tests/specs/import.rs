//! The import with the real Nexus: it takes in a `spike.db` of upstream once, completely or not at all, and reports it. The
//! Keepers hold the shares of its key.

pub(crate) mod upstream;

use std::{collections::BTreeMap, fs, path::PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use spike_crypto::{Derivation, Quorum, RootKey, split};
use spike_tests::{
    PATIENCE,
    crew::Crew,
    secrets::{put, value_of},
};
use spike_wire::{SecretListRequest, StatusResponse};

use self::upstream::Upstream;
use crate::{WORKLOAD, crew};

/// A crew as after an upgrade: Keepers that hold shares of `key`, a data directory of upstream's, and Nexus stopped.
pub(crate) async fn upgraded(
    key: &RootKey,
    fill: impl FnOnce(&mut Upstream) -> Result<()>,
) -> Result<Crew> {
    let mut crew = crew().start_sealed().await?;
    ensure!(crew.nexus().terminate().await?.success());
    fill(&mut Upstream::at(&data(&crew), key)?)?;
    for share in split(key, Quorum::new(3, 2)?, Derivation::Reject) {
        let dialer = crew.dial_keeper_as(share.index.get(), "/spike/bootstrap")?;
        let body = format!(r#"{{"shard":{:?}}}"#, share.value.expose_bytes());
        let given = dialer.connect().await?.post("/v1/store/contribute", &body).await?;
        ensure!(given.status == 200, "{given:?}");
    }
    Ok(crew)
}

fn data(crew: &Crew) -> PathBuf {
    crew.dir().join("data")
}

/// Upstream's own files. No byte of them may change.
fn originals(crew: &Crew) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(data(crew))? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("spike.db")) {
            files.insert(path.clone(), fs::read(path)?);
        }
    }
    Ok(files)
}

async fn metric(crew: &mut Crew, name: &str) -> Result<Option<f64>> {
    Ok(crew.metrics().await?.get(name))
}

fn troubles(status: &StatusResponse) -> Result<&[String]> {
    Ok(&status.store.as_ref().context("no store")?.troubles)
}

/// The import was invisible in the log at its default level, in status, in `/healthz` and in the metrics.
#[tokio::test]
async fn what_upstream_stored_is_served_and_the_import_is_seen_in_log_status_and_metrics()
-> Result<()> {
    let key = RootKey::generate()?;
    let mut crew = upgraded(&key, |upstream| {
        upstream.secret("app/db", &["one", "two"])?;
        upstream.secret("web", &["three"])?;
        upstream.policy("app-read", "^spiffe://spike\\.ist/workload/", "^app/", "read")
    })
    .await?;
    let before = originals(&crew)?;
    crew.start_nexus().await?;
    crew.ready(PATIENCE).await?;

    let superuser = crew.superuser()?;
    assert_eq!(value_of(&superuser, "app/db", 1, "k").await?, "one");
    assert_eq!(value_of(&superuser, "app/db", 0, "k").await?, "two");
    assert_eq!(value_of(&superuser, "web", 0, "k").await?, "three");
    // Its policies are in force.
    let workload = crew.as_id(WORKLOAD)?;
    assert_eq!(value_of(&workload, "app/db", 0, "k").await?, "two");
    assert!(value_of(&workload, "web", 0, "k").await.is_err());

    crew.log_says("nexus", "imported").await?;
    let status = crew.status().await?;
    assert_eq!(status.root_key, Some(key.fingerprint().to_string()));
    let import = status.store.context("no store")?.import.context("no import")?;
    assert_eq!((import.secrets, import.versions, import.policies, import.left_out), (2, 3, 1, 0));
    assert!(import.advice.contains("Destroy spike.db"), "{}", import.advice);
    assert_eq!(crew.health_check("import").await?["status"], "ok");
    assert_eq!(metric(&mut crew, "spike_store_import_left_out").await?, Some(0.0));
    assert_eq!(originals(&crew)?, before, "a byte of upstream's was changed");

    // It is not imported again, and later writes stay.
    superuser.put_secret(&put("web", &[("k", "four")])).await?;
    crew.crash_nexus().await?;
    crew.ready(PATIENCE).await?;
    assert_eq!(value_of(&crew.superuser()?, "web", 0, "k").await?, "four");
    crew.stop().await
}

/// The import passed when just over half of the rows could be decrypted.
#[tokio::test]
async fn rows_that_would_be_left_out_stop_the_import_until_somebody_has_said_so() -> Result<()> {
    let key = RootKey::generate()?;
    let mut crew = upgraded(&key, |upstream| {
        upstream.secret("app/db", &["one", "two", "three"])?;
        upstream.secret("web", &["four"])?;
        upstream.damage("app/db", 2)
    })
    .await?;
    let before = originals(&crew)?;
    crew.start_nexus().await?;
    let told = crew.sealed_because("1 row of").await?;
    for part in ["app/db", "nothing was imported", "SPIKE_NEXUS_IMPORT_WITH_LOSSES=true"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!data(&crew).join("nexus.db").exists());
    // Bootstrap does not take it for an empty directory.
    let told = crew.bootstrap(&[]).await?;
    assert_eq!(told.status, 3, "{}", told.text);
    assert!(told.text.contains("a database of upstream's SPIKE"), "{}", told.text);
    // It is tried again and again, and the list was written each time.
    let listed = crew.log("nexus")?.matches("\"would be left out\"").count();
    assert_eq!(listed, 1);

    ensure!(crew.nexus().terminate().await?.success());
    crew.nexus().set("SPIKE_NEXUS_IMPORT_WITH_LOSSES", "true");
    crew.start_nexus().await?;
    crew.ready(PATIENCE).await?;
    let superuser = crew.superuser()?;
    assert_eq!(value_of(&superuser, "app/db", 1, "k").await?, "one");
    assert_eq!(value_of(&superuser, "app/db", 0, "k").await?, "three");
    assert!(value_of(&superuser, "app/db", 2, "k").await.is_err());
    let status = crew.status().await?;
    let told = troubles(&status)?.join("; ");
    assert!(told.contains("1 row was left out of upstream's database"), "{told}");
    let import = status.store.context("no store")?.import.context("no import")?;
    assert_eq!(import.left_out, 1);
    assert_eq!(metric(&mut crew, "spike_store_import_left_out").await?, Some(1.0));
    let check = crew.health_check("import").await?;
    assert_eq!(check["status"], "degraded", "{check}");
    assert_eq!(crew.nexus().get("/readyz").await?.0, 200);
    assert_eq!(originals(&crew)?, before, "a byte of upstream's was changed");

    // After a restart it was as if nothing had been left out.
    crew.crash_nexus().await?;
    crew.ready(PATIENCE).await?;
    let check = crew.health_check("import").await?;
    assert_eq!(check["status"], "degraded", "{check}");
    let told = troubles(&crew.status().await?)?.join("; ");
    for part in ["1 row was left out of upstream's database when", "move spike.db"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    fs::rename(data(&crew).join("spike.db"), crew.dir().join("spike.db.kept"))?;
    assert_eq!(crew.health_check("import").await?["status"], "ok");
    crew.stop().await
}

/// The first put on an imported path erased what upstream still served.
#[tokio::test]
async fn a_put_on_an_imported_path_erases_no_version_that_upstream_kept() -> Result<()> {
    let values: Vec<String> = (1..=30).map(|number| format!("value {number}")).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let mut crew = upgraded(&RootKey::generate()?, |up| up.secret("app/db", &values)).await?;
    crew.start_nexus().await?;
    crew.ready(PATIENCE).await?;
    let superuser = crew.superuser()?;
    superuser.put_secret(&put("app/db", &[("k", "new")])).await?;
    assert_eq!(value_of(&superuser, "app/db", 0, "k").await?, "new");
    for number in [1, 15, 30] {
        let value = value_of(&superuser, "app/db", number, "k").await?;
        assert_eq!(value, format!("value {number}"));
    }
    crew.stop().await
}

/// This was only one WARN, and nobody noticed that newer writes were missing.
#[tokio::test]
async fn after_going_back_to_upstream_and_forward_again_status_says_what_is_not_here() -> Result<()>
{
    let key = RootKey::generate()?;
    let mut crew = upgraded(&key, |upstream| upstream.secret("app/db", &["one"])).await?;
    crew.start_nexus().await?;
    crew.ready(PATIENCE).await?;
    ensure!(crew.nexus().terminate().await?.success());
    Upstream::at(&data(&crew), &key)?.secret("meanwhile", &["lost?"])?;
    crew.start_nexus().await?;
    crew.ready(PATIENCE).await?;
    assert_eq!(
        crew.superuser()?.list_secrets(&SecretListRequest::default()).await?.keys,
        ["app/db"]
    );
    let part = "what was written to it meanwhile is not here";
    let told = crew.check_fails("import", part).await?;
    assert!(told.contains("has changed since it was imported"), "{told}");
    let status = crew.status().await?;
    assert!(troubles(&status)?.iter().any(|trouble| trouble.contains(part)), "{status:?}");
    crew.stop().await
}

/// A key of another deployment must not start a store beside data that it cannot decrypt.
#[tokio::test]
async fn under_another_key_nothing_is_imported_and_nothing_is_made() -> Result<()> {
    let (key, other) = (RootKey::generate()?, RootKey::generate()?);
    let mut crew = upgraded(&key, |_| Ok(())).await?;
    fs::remove_file(data(&crew).join("spike.db"))?;
    Upstream::at(&data(&crew), &other)?.secret("app/db", &["one", "two"])?;
    let before = originals(&crew)?;
    crew.start_nexus().await?;
    let told = crew.sealed_because("does not belong to root key").await?;
    assert!(told.contains("nothing was imported"), "{told}");
    assert!(!data(&crew).join("nexus.db").exists());
    assert_eq!(originals(&crew)?, before);
    let report: Value = serde_json::from_str(&crew.nexus().get("/healthz").await?.1)?;
    assert_eq!(report["status"], "failing");
    crew.stop().await
}
