//! This machine, the clock, and the identity of the command.

use std::os::unix::net::UnixListener;

use anyhow::Result;
use spike_tests::crew::RECOVERER;

use super::{DOCTOR, Found, doctor, doctor_as, doctor_with, well};
use crate::{WORKLOAD, crew};

const SOCKET: &str = "SPIFFE_ENDPOINT_SOCKET";

#[tokio::test]
async fn a_system_that_is_well() -> Result<()> {
    let crew = well().await?;
    let found = doctor(&crew).await?;
    found.is("a_system_that_is_well", 0)?;
    for name in ["clock", "SVID", "role", "TLS", "answer", "root key", "Keeper 3", "margin", "lint"]
    {
        assert_eq!(found.outcome(name), "ok", "{name}: {:#}", found.report);
    }
    crew.stop().await
}

#[tokio::test]
async fn no_agent() -> Result<()> {
    let mut crew = crew().start().await?;
    crew.cluster().workload_api().pause().await;
    let found = Found::of(crew.client("spike").args(DOCTOR)).await?;
    found.is("no_agent", 6)?;
    assert_eq!(found.outcome("SVID"), "skipped");
    assert_eq!(found.outcome("connection"), "ok", "Nexus is looked at all the same");
    crew.cluster().workload_api().resume().await?;
    crew.stop().await
}

#[tokio::test]
async fn an_agent_that_has_ended_and_left_its_socket() -> Result<()> {
    let crew = crew().start_sealed().await?;
    let socket = crew.dir().join("left.sock");
    drop(UnixListener::bind(&socket)?);
    let at = format!("unix://{}", socket.display());
    doctor_with(&crew, &[(SOCKET, &at)])
        .await?
        .is("an_agent_that_has_ended_and_left_its_socket", 6)?;
    crew.stop().await
}

#[tokio::test]
async fn a_wrong_socket() -> Result<()> {
    let crew = crew().start_sealed().await?;
    let found = doctor_with(&crew, &[(SOCKET, "unix:///nowhere/agent.sock")]).await?;
    found.is("a_wrong_socket", 6)?;
    crew.stop().await
}

#[tokio::test]
async fn an_agent_that_does_not_answer() -> Result<()> {
    let crew = crew().start_sealed().await?;
    let socket = crew.dir().join("silent.sock");
    let _silent = UnixListener::bind(&socket)?;
    let at = format!("unix://{}", socket.display());
    doctor_with(&crew, &[(SOCKET, &at)]).await?.is("an_agent_that_does_not_answer", 6)?;
    crew.stop().await
}

#[tokio::test]
async fn a_malformed_address_of_the_agent() -> Result<()> {
    let crew = crew().start_sealed().await?;
    let found = doctor_with(&crew, &[(SOCKET, "/run/agent.sock")]).await?;
    found.is("a_malformed_address_of_the_agent", 2)?;
    assert_eq!(found.outcome("Workload API"), "skipped");
    crew.stop().await
}

#[tokio::test]
async fn no_registration_entry() -> Result<()> {
    let mut crew = crew().start_sealed().await?;
    let unregistered = crew.cluster().workload_api().registry().withhold(std::process::id())?;
    let found = Found::of(crew.client("spike").args(DOCTOR)).await?;
    found.is("no_registration_entry", 6)?;
    let evidence = found.report.to_string();
    for selector in ["unix:uid:", "unix:gid:", "unix:path:", "unix:sha256:"] {
        assert!(evidence.contains(selector), "{selector}: {:#}", found.report);
    }
    drop(unregistered);
    crew.stop().await
}

#[tokio::test]
async fn a_workload_in_place_of_an_operator() -> Result<()> {
    let crew = well().await?;
    let found = doctor_as(&crew, WORKLOAD, &[], &[]).await?;
    found.is("a_workload_in_place_of_an_operator", 4)?;
    assert_eq!(found.outcome("TLS"), "ok", "{:#}", found.report);
    assert_eq!(found.outcome("answer"), "skipped", "{:#}", found.report);
    crew.stop().await
}

#[tokio::test]
async fn the_role_recover_that_was_forgotten() -> Result<()> {
    let crew = well().await?;
    let found = doctor_as(&crew, RECOVERER, &[], &[]).await?;
    found.is("the_role_recover_that_was_forgotten", 7)?;
    assert_eq!(found.outcome("root key"), "ok", "{:#}", found.report);
    crew.stop().await
}

#[tokio::test]
async fn the_default_id_of_a_pod() -> Result<()> {
    let crew = well().await?;
    let found = doctor_as(&crew, "/ns/spike/sa/pilot", &[], &[]).await?;
    found.is("the_default_id_of_a_pod", 4)?;
    crew.stop().await
}

#[tokio::test]
async fn another_trust_domain_than_that_of_the_settings() -> Result<()> {
    let crew = crew().trust_domain("example.org").start_sealed().await?;
    let root = [("SPIKE_TRUST_ROOT_PILOT", ""), ("SPIKE_TRUST_ROOT", "example.org")];
    let found = doctor_with(&crew, &root).await?;
    found.is("another_trust_domain_than_that_of_the_settings", 4)?;
    crew.stop().await
}

#[tokio::test]
async fn a_foreign_trust_domain_in_a_trust_root() -> Result<()> {
    let crew = well().await?;
    let roots = [("SPIKE_TRUST_ROOT_NEXUS", "spike.ist,partner.org")];
    let found = doctor_with(&crew, &roots).await?;
    found.is("a_foreign_trust_domain_in_a_trust_root", 7)?;
    crew.stop().await
}

#[tokio::test]
async fn an_expired_svid() -> Result<()> {
    let mut crew = crew().start_sealed().await?;
    crew.cluster().workload_api().set_clock_ahead(-3 * 3600);
    let found = doctor(&crew).await?;
    found.is("an_expired_svid", 6)?;
    crew.cluster().workload_api().set_clock_ahead(0);
    crew.stop().await
}

#[tokio::test]
async fn a_clock_that_is_behind() -> Result<()> {
    let mut crew = crew().start_sealed().await?;
    crew.cluster().workload_api().set_clock_ahead(3600);
    let found = doctor(&crew).await?;
    found.is("a_clock_that_is_behind", 1)?;
    assert_eq!(found.outcome("SVID times"), "failed", "{:#}", found.report);
    crew.cluster().workload_api().set_clock_ahead(0);
    crew.stop().await
}

#[tokio::test]
async fn a_setting_that_nobody_reads() -> Result<()> {
    let crew = well().await?;
    let found = doctor_with(&crew, &[("SPIKE_NEXUS_API_ULR", "hunter2")]).await?;
    found.is("a_setting_that_nobody_reads", 7)?;
    assert!(!found.report.to_string().contains("hunter2"), "{:#}", found.report);
    crew.stop().await
}

#[tokio::test]
async fn a_value_that_is_not_valid() -> Result<()> {
    let crew = well().await?;
    let found = doctor_with(&crew, &[("SPIKE_HTTP_CLIENT_TIMEOUT", "soon")]).await?;
    found.is("a_value_that_is_not_valid", 7)?;
    crew.stop().await
}

#[tokio::test]
async fn a_stray_comma_in_a_trust_root() -> Result<()> {
    let crew = crew().start_sealed().await?;
    let found = doctor_with(&crew, &[("SPIKE_TRUST_ROOT_NEXUS", "spike.ist,")]).await?;
    found.is("a_stray_comma_in_a_trust_root", 2)?;
    crew.stop().await
}
