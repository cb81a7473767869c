//! Somebody looks for another where it is not.

use super::{before_bootstrap, ends_well, list, nexus_ends, nexus_with, says};
use anyhow::Result;

/// A port of this machine on which nothing listens.
const NOTHING_THERE: &str = "https://localhost:1";

#[tokio::test]
async fn the_url_of_nexus_with_a_wrong_port() -> Result<()> {
    let crew = before_bootstrap().await?;
    let wrong = [("SPIKE_NEXUS_API_URL", NOTHING_THERE)];
    let spike = list(&crew, &wrong).await?;
    assert_eq!(spike.status, 6, "{}", spike.text);
    says("the_url_of_nexus_with_a_wrong_port", &spike.text)?;
    let bootstrap = crew.bootstrap(&wrong).await?;
    assert_eq!(bootstrap.status, 1, "{}", bootstrap.text);
    says("the_url_of_nexus_with_a_wrong_port", &bootstrap.text)?;
    ends_well(crew).await
}

#[tokio::test]
async fn the_url_of_a_keeper_in_place_of_nexus() -> Result<()> {
    let mut crew = before_bootstrap().await?;
    let keeper = crew.keeper_url(1)?;
    let wrong = [("SPIKE_NEXUS_API_URL", keeper.as_str())];
    let spike = list(&crew, &wrong).await?;
    assert_eq!(spike.status, 6, "{}", spike.text);
    says("the_url_of_a_keeper_in_place_of_nexus", &spike.text)?;
    let bootstrap = crew.bootstrap(&wrong).await?;
    assert_eq!(bootstrap.status, 1, "{}", bootstrap.text);
    says("the_url_of_a_keeper_in_place_of_nexus", &bootstrap.text)?;
    ends_well(crew).await
}

#[tokio::test]
async fn a_url_without_https() -> Result<()> {
    let crew = before_bootstrap().await?;
    let wrong = [("SPIKE_NEXUS_API_URL", "http://localhost:8553")];
    let spike = list(&crew, &wrong).await?;
    assert_eq!(spike.status, 2, "{}", spike.text);
    says("a_url_without_https", &spike.text)?;
    let bootstrap = crew.bootstrap(&wrong).await?;
    assert_eq!(bootstrap.status, 78, "{}", bootstrap.text);
    says("a_url_without_https", &bootstrap.text)?;
    ends_well(crew).await
}

/// The resolver's words alone, which do not say that the name is too short.
#[tokio::test]
async fn a_short_name_of_a_service() -> Result<()> {
    let mut crew = before_bootstrap().await?;
    let wrong = [("SPIKE_NEXUS_API_URL", "https://spike-nexus:8553")];
    let spike = list(&crew, &wrong).await?;
    assert_eq!(spike.status, 6, "{}", spike.text);
    says("a_short_name_of_a_service", &spike.text)?;
    let bootstrap = crew.bootstrap(&wrong).await?;
    assert_eq!(bootstrap.status, 1, "{}", bootstrap.text);
    says("a_short_name_of_a_service", &bootstrap.text)?;

    let peers =
        [crew.keeper_url(1)?, "https://spike-keeper-1:8443".to_owned(), crew.keeper_url(3)?];
    let peers = peers.join(",");
    let bootstrap = crew.bootstrap(&[("SPIKE_NEXUS_KEEPER_PEERS", &peers)]).await?;
    assert_eq!(bootstrap.status, 1, "{}", bootstrap.text);
    says("a_short_name_of_a_service", &bootstrap.text)?;
    nexus_with(&mut crew, "SPIKE_NEXUS_KEEPER_PEERS", &peers).await?;
    let told = crew.check_fails("quorum", "has no address here").await?;
    says("a_short_name_of_a_service", &told)?;
    let right = [crew.keeper_url(1)?, crew.keeper_url(2)?, crew.keeper_url(3)?].join(",");
    nexus_with(&mut crew, "SPIKE_NEXUS_KEEPER_PEERS", &right).await?;
    ends_well(crew).await
}

#[tokio::test]
async fn a_keeper_that_nobody_finds_under_its_url() -> Result<()> {
    let mut crew = before_bootstrap().await?;
    let peers = [crew.keeper_url(1)?, NOTHING_THERE.to_owned(), crew.keeper_url(3)?].join(",");
    let told = crew.bootstrap(&[("SPIKE_NEXUS_KEEPER_PEERS", &peers)]).await?;
    assert_eq!(told.status, 1, "{}", told.text);
    says("a_keeper_that_nobody_finds_under_its_url", &told.text)?;
    ends_well(crew).await
}

#[tokio::test]
async fn the_url_of_nexus_among_the_keepers() -> Result<()> {
    let mut crew = before_bootstrap().await?;
    let nexus = format!("https://localhost:{}", crew.nexus().tls().port());
    let peers = [crew.keeper_url(1)?, nexus, crew.keeper_url(3)?].join(",");
    let told = crew.bootstrap(&[("SPIKE_NEXUS_KEEPER_PEERS", &peers)]).await?;
    assert_eq!(told.status, 1, "{}", told.text);
    says("the_url_of_nexus_among_the_keepers", &told.text)?;
    ends_well(crew).await
}

#[tokio::test]
async fn one_keeper_listed_twice() -> Result<()> {
    let mut crew = before_bootstrap().await?;
    let peers = [crew.keeper_url(1)?, crew.keeper_url(1)?, crew.keeper_url(3)?].join(",");
    let bootstrap = crew.bootstrap(&[("SPIKE_NEXUS_KEEPER_PEERS", &peers)]).await?;
    assert_eq!(bootstrap.status, 78, "{}", bootstrap.text);
    says("one_keeper_listed_twice", &bootstrap.text)?;
    let nexus = nexus_ends(&mut crew, &[("SPIKE_NEXUS_KEEPER_PEERS", &peers)]).await?;
    assert_eq!(nexus.status, 78, "{}", nexus.text);
    says("one_keeper_listed_twice", &nexus.text)
}

/// It made a key whose shares Nexus could not collect.
#[tokio::test]
async fn bootstrap_knows_a_keeper_that_nexus_does_not() -> Result<()> {
    let mut crew = before_bootstrap().await?;
    let right = [crew.keeper_url(1)?, crew.keeper_url(2)?, crew.keeper_url(3)?].join(",");
    let peers = [crew.keeper_url(1)?, NOTHING_THERE.to_owned(), "https://localhost:2".to_owned()];
    nexus_with(&mut crew, "SPIKE_NEXUS_KEEPER_PEERS", &peers.join(",")).await?;
    let told = crew.bootstrap(&[]).await?;
    assert_eq!(told.status, 1, "{}", told.text);
    says("bootstrap_knows_a_keeper_that_nexus_does_not", &told.text)?;
    nexus_with(&mut crew, "SPIKE_NEXUS_KEEPER_PEERS", &right).await?;
    // No Keeper got a share, so that none has to be restarted.
    ends_well(crew).await
}

#[tokio::test]
async fn the_socket_of_the_agent_at_another_place() -> Result<()> {
    let crew = before_bootstrap().await?;
    let wrong = [("SPIFFE_ENDPOINT_SOCKET", "unix:///nowhere/api.sock")];
    let spike = list(&crew, &wrong).await?;
    assert_eq!(spike.status, 6, "{}", spike.text);
    says("the_socket_of_the_agent_at_another_place", &spike.text)?;
    let bootstrap = crew.bootstrap(&wrong).await?;
    assert_eq!(bootstrap.status, 1, "{}", bootstrap.text);
    says("the_socket_of_the_agent_at_another_place", &bootstrap.text)?;
    ends_well(crew).await
}
