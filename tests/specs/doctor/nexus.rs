//! Reaching Nexus, and what it answers.

use anyhow::Result;
use spike_daemon::settings::Backend;
use spike_tests::{PATIENCE, crew::CrewPlan};
use tokio::net::TcpListener;

use super::{doctor, doctor_with, well};
use crate::crew;

const URL: &str = "SPIKE_NEXUS_API_URL";

#[tokio::test]
async fn nobody_listens_at_the_url() -> Result<()> {
    let mut crew = crew().start_sealed().await?;
    let found = doctor_with(&crew, &[(URL, "https://localhost:1")]).await?;
    found.is("nobody_listens_at_the_url", 6)?;
    assert_eq!(found.outcome("TLS"), "skipped");
    crew.nexus().kill().await?;
    doctor(&crew).await?.is("nobody_listens_at_the_url", 6)
}

#[tokio::test]
async fn a_url_without_https() -> Result<()> {
    let crew = crew().start_sealed().await?;
    let found = doctor_with(&crew, &[(URL, "http://localhost:8553")]).await?;
    found.is("a_url_without_https", 2)?;
    assert_eq!(found.outcome("connection"), "skipped");
    crew.stop().await
}

#[tokio::test]
async fn a_name_without_an_address() -> Result<()> {
    let crew = crew().start_sealed().await?;
    let found = doctor_with(&crew, &[(URL, "https://spike-nexus.spike:8553")]).await?;
    found.is("a_name_without_an_address", 6)?;
    assert!(found.report.to_string().contains("SERVICE.NAMESPACE.svc"), "{:#}", found.report);
    crew.stop().await
}

#[tokio::test]
async fn a_keeper_in_place_of_nexus() -> Result<()> {
    let mut crew = crew().start_sealed().await?;
    let keeper = crew.keeper_url(1)?;
    doctor_with(&crew, &[(URL, &keeper)]).await?.is("a_keeper_in_place_of_nexus", 6)?;
    crew.stop().await
}

#[tokio::test]
async fn a_server_without_tls_in_place_of_nexus() -> Result<()> {
    let mut crew = crew().start_sealed().await?;
    let telemetry = format!("https://{}", crew.nexus().telemetry());
    let found = doctor_with(&crew, &[(URL, &telemetry)]).await?;
    found.is("a_server_without_tls_in_place_of_nexus", 6)?;
    crew.stop().await
}

#[tokio::test]
async fn a_server_that_never_answers() -> Result<()> {
    let crew = crew().start_sealed().await?;
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("https://{}", silent.local_addr()?);
    doctor_with(&crew, &[(URL, &url)]).await?.is("a_server_that_never_answers", 6)?;
    crew.stop().await
}

#[tokio::test]
async fn the_trust_root_of_nexus_is_wrong() -> Result<()> {
    let crew = crew().start_sealed().await?;
    let found = doctor_with(&crew, &[("SPIKE_TRUST_ROOT_NEXUS", "example.org")]).await?;
    found.is("the_trust_root_of_nexus_is_wrong", 6)?;
    crew.stop().await
}

/// The doctor of one crew asks the Nexus of another.
async fn asks_another(other: &CrewPlan, test: &str) -> Result<()> {
    let (ours, mut other) = (crew().start_sealed().await?, other.start_sealed().await?);
    let url = format!("https://localhost:{}", other.nexus().tls().port());
    doctor_with(&ours, &[(URL, &url)]).await?.is(test, 6)?;
    other.stop().await?;
    ours.stop().await
}

#[tokio::test]
async fn a_nexus_of_another_authority() -> Result<()> {
    asks_another(&crew(), "a_nexus_of_another_authority").await
}

#[tokio::test]
async fn a_nexus_of_another_trust_domain() -> Result<()> {
    let elsewhere = crew().trust_domain("example.org");
    asks_another(&elsewhere, "a_nexus_of_another_trust_domain").await
}

#[tokio::test]
async fn nexus_does_not_know_its_operators() -> Result<()> {
    let mut crew = well().await?;
    crew.nexus().terminate().await?;
    crew.nexus().set("SPIKE_TRUST_ROOT_PILOT", "example.org");
    crew.start_nexus().await?;
    crew.ready(PATIENCE).await?;
    doctor(&crew).await?.is("nexus_does_not_know_its_operators", 4)?;
    crew.stop().await
}

#[tokio::test]
async fn the_memory_backend() -> Result<()> {
    let mut crew = crew().backend(Backend::Memory).start_sealed().await?;
    crew.ready(PATIENCE).await?;
    doctor(&crew).await?.is("the_memory_backend", 7)?;
    crew.stop().await
}

#[tokio::test]
async fn the_lite_backend() -> Result<()> {
    let crew = crew().backend(Backend::Lite).start().await?;
    crew.keepers_good().await?;
    let found = doctor(&crew).await?;
    found.is("the_lite_backend", 7)?;
    assert_eq!(found.outcome("root key"), "ok", "{:#}", found.report);
    crew.stop().await
}
