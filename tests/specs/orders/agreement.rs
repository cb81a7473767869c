//! Two know different things, or a step is taken twice.

use anyhow::Result;
use spike_daemon::settings::Backend;
use spike_tests::{PATIENCE, secrets::value_of};

use super::{PATIENT, before_bootstrap, ends_well, nexus_ends, nexus_with, plan, says, works};

#[tokio::test]
async fn the_keepers_in_another_order_for_bootstrap() -> Result<()> {
    let mut crew = before_bootstrap().await?;
    let peers = [crew.keeper_url(2)?, crew.keeper_url(1)?, crew.keeper_url(3)?].join(",");
    let told = crew.bootstrap(&[("SPIKE_NEXUS_KEEPER_PEERS", &peers)]).await?;
    assert_eq!(told.status, 1, "{}", told.text);
    says("the_keepers_in_another_order_for_bootstrap", &told.text)?;
    // No Keeper got a share, so that none has to be restarted.
    ends_well(crew).await
}

#[tokio::test]
async fn another_threshold_for_bootstrap() -> Result<()> {
    let crew = before_bootstrap().await?;
    let told = crew.bootstrap(&[("SPIKE_NEXUS_SHAMIR_THRESHOLD", "3")]).await?;
    assert_eq!(told.status, 1, "{}", told.text);
    says("another_threshold_for_bootstrap", &told.text)?;
    // No Keeper got a share, so that none has to be restarted.
    ends_well(crew).await
}

#[tokio::test]
async fn another_number_of_keepers_than_shares() -> Result<()> {
    let mut crew = before_bootstrap().await?;
    let wrong = [("SPIKE_NEXUS_SHAMIR_SHARES", "5")];
    let bootstrap = crew.bootstrap(&wrong).await?;
    assert_eq!(bootstrap.status, 78, "{}", bootstrap.text);
    says("another_number_of_keepers_than_shares", &bootstrap.text)?;
    let nexus = nexus_ends(&mut crew, &wrong).await?;
    assert_eq!(nexus.status, 78, "{}", nexus.text);
    says("another_number_of_keepers_than_shares", &nexus.text)
}

#[tokio::test]
async fn bootstrap_twice() -> Result<()> {
    let mut crew = before_bootstrap().await?;
    assert_eq!(crew.bootstrap(&PATIENT).await?.status, 0);
    works(&mut crew).await?;
    let key = crew.status().await?.root_key;
    let told = crew.bootstrap(&[]).await?;
    assert_eq!(told.status, 0, "{}", told.text);
    says("bootstrap_twice", &told.text)?;
    assert_eq!(crew.status().await?.root_key, key);
    assert_eq!(value_of(&crew.superuser()?, "a/b", 0, "k").await?, "v");
    crew.stop().await
}

#[tokio::test]
async fn bootstrap_twice_at_the_same_time() -> Result<()> {
    let mut crew = before_bootstrap().await?;
    let (one, two) = tokio::join!(crew.bootstrap(&[]), crew.bootstrap(&[]));
    let (one, two) = (one?, two?);
    let has_made = |text: &str| text.contains("made root key");
    let (first, second) = if has_made(&one.text) { (one, two) } else { (two, one) };
    assert_eq!(first.status, 0, "{}", first.text);
    assert!(!has_made(&second.text), "{}\n{}", first.text, second.text);
    // On a busy machine the first may be done before the second has asked.
    if second.status == 0 {
        assert!(second.text.contains("nothing to do"), "{}", second.text);
    } else {
        assert_eq!(second.status, 1, "{}", second.text);
        says("bootstrap_twice_at_the_same_time", &second.text)?;
    }
    works(&mut crew).await?;
    crew.stop().await
}

#[tokio::test]
async fn everything_stopped_and_bootstrap_run_again() -> Result<()> {
    let mut crew = before_bootstrap().await?;
    assert_eq!(crew.bootstrap(&PATIENT).await?.status, 0);
    works(&mut crew).await?;
    let shares = crew.recover().await?;
    crew.black_out().await?;
    let told = crew.bootstrap(&[]).await?;
    assert_eq!(told.status, 3, "{}", told.text);
    says("everything_stopped_and_bootstrap_run_again", &told.text)?;
    for share in &shares[..2] {
        crew.feed(share).await?;
    }
    works(&mut crew).await?;
    crew.stop().await
}

#[tokio::test]
async fn the_data_directory_is_not_mounted() -> Result<()> {
    let mut crew = before_bootstrap().await?;
    assert_eq!(crew.bootstrap(&PATIENT).await?.status, 0);
    works(&mut crew).await?;
    crew.nexus().terminate().await?;
    let (data, elsewhere) = (crew.dir().join("data"), crew.dir().join("elsewhere"));
    std::fs::rename(&data, &elsewhere)?;
    crew.start_nexus().await?;
    let told = crew.sealed_because("no data in").await?;
    says("the_data_directory_is_not_mounted", &told)?;
    crew.nexus().terminate().await?;
    assert!(!data.exists(), "Nexus made a store there");
    std::fs::rename(&elsewhere, &data)?;
    crew.start_nexus().await?;
    crew.ready(PATIENCE).await?;
    assert_eq!(value_of(&crew.superuser()?, "a/b", 0, "k").await?, "v");
    crew.stop().await
}

#[tokio::test]
async fn bootstrap_where_nexus_is_on_the_memory_backend() -> Result<()> {
    let crew = plan().backend(Backend::Memory).start_sealed().await?;
    let told = crew
        .bootstrap(&[
            ("SPIKE_NEXUS_BACKEND_STORE", "sqlite"),
            ("SPIKE_NEXUS_SHAMIR_SHARES", "1"),
            ("SPIKE_NEXUS_SHAMIR_THRESHOLD", "1"),
            ("SPIKE_NEXUS_KEEPER_PEERS", "https://localhost:1"),
        ])
        .await?;
    assert_eq!(told.status, 0, "{}", told.text);
    says("bootstrap_where_nexus_is_on_the_memory_backend", &told.text)?;
    crew.stop().await
}

/// It ended with 0, as if the work were done.
#[tokio::test]
async fn bootstrap_at_a_nexus_on_the_memory_backend() -> Result<()> {
    let mut crew = before_bootstrap().await?;
    nexus_with(&mut crew, "SPIKE_NEXUS_BACKEND_STORE", "memory").await?;
    let told = crew.bootstrap(&[("SPIKE_NEXUS_BACKEND_STORE", "sqlite")]).await?;
    assert_eq!(told.status, 3, "{}", told.text);
    says("bootstrap_at_a_nexus_on_the_memory_backend", &told.text)?;
    nexus_with(&mut crew, "SPIKE_NEXUS_BACKEND_STORE", "sqlite").await?;
    ends_well(crew).await
}

/// It said that there was nothing to do, and that Nexus was on that backend.
#[tokio::test]
async fn nexus_on_another_backend_than_bootstrap_was_told() -> Result<()> {
    let mut crew = before_bootstrap().await?;
    let told = crew.bootstrap(&[("SPIKE_NEXUS_BACKEND_STORE", "memory")]).await?;
    assert_eq!(told.status, 0, "{}", told.text);
    says("nexus_on_another_backend_than_bootstrap_was_told", &told.text)?;
    nexus_with(&mut crew, "SPIKE_NEXUS_BACKEND_STORE", "sqlite").await?;
    ends_well(crew).await
}
