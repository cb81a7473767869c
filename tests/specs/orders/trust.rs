//! Somebody is not told where another lives: a trust root is missing. Or somebody has another role than it takes.

use anyhow::Result;
use spike_domain::DEFAULT_TRUST_ROOT;
use spike_tests::{PATIENCE, SUPERUSER, crew::Crew};

use super::{
    PATIENT, TRUST_DOMAIN, before_bootstrap, ends_well, list, nexus_ends, nexus_with, says, told,
    works,
};

/// What a setting that is missing amounts to.
const MISSING: &str = DEFAULT_TRUST_ROOT;

/// The Keepers start again, with one setting more.
async fn keepers_with(crew: &mut Crew, name: &str, value: &str) -> Result<()> {
    crew.kill_keepers(1..=3).await?;
    for keeper in 1..=3 {
        crew.keeper(keeper)?.set(name, value);
    }
    crew.restart_keepers(1..=3).await
}

#[tokio::test]
async fn spike_without_the_trust_root_of_nexus() -> Result<()> {
    let crew = before_bootstrap().await?;
    let told = list(&crew, &[("SPIKE_TRUST_ROOT_NEXUS", MISSING)]).await?;
    assert_eq!(told.status, 6, "{}", told.text);
    says("spike_without_the_trust_root_of_nexus", &told.text)?;
    ends_well(crew).await
}

#[tokio::test]
async fn spike_without_its_own_trust_root() -> Result<()> {
    let crew = before_bootstrap().await?;
    let told = list(&crew, &[("SPIKE_TRUST_ROOT_PILOT", MISSING)]).await?;
    assert_eq!(told.status, 4, "{}", told.text);
    says("spike_without_its_own_trust_root", &told.text)?;
    ends_well(crew).await
}

#[tokio::test]
async fn nexus_without_the_trust_root_of_spike() -> Result<()> {
    let mut crew = before_bootstrap().await?;
    assert_eq!(crew.bootstrap(&PATIENT).await?.status, 0);
    nexus_with(&mut crew, "SPIKE_TRUST_ROOT_PILOT", MISSING).await?;
    crew.ready(PATIENCE).await?;
    let told = list(&crew, &[]).await?;
    assert_eq!(told.status, 4, "{}", told.text);
    says("nexus_without_the_trust_root_of_spike", &told.text)?;
    nexus_with(&mut crew, "SPIKE_TRUST_ROOT_PILOT", TRUST_DOMAIN).await?;
    works(&mut crew).await?;
    crew.stop().await
}

#[tokio::test]
async fn a_daemon_without_its_own_trust_root() -> Result<()> {
    let mut crew = before_bootstrap().await?;
    let told = nexus_ends(&mut crew, &[("SPIKE_TRUST_ROOT_NEXUS", MISSING)]).await?;
    assert_eq!(told.status, 1, "{}", told.text);
    says("a_daemon_without_its_own_trust_root", &told.text)?;
    crew.nexus().set("SPIKE_TRUST_ROOT_NEXUS", TRUST_DOMAIN);
    crew.start_nexus().await?;
    ends_well(crew).await
}

#[tokio::test]
async fn bootstrap_without_its_own_trust_root() -> Result<()> {
    let crew = before_bootstrap().await?;
    let told = crew.bootstrap(&[("SPIKE_TRUST_ROOT_BOOTSTRAP", MISSING)]).await?;
    assert_eq!(told.status, 1, "{}", told.text);
    says("bootstrap_without_its_own_trust_root", &told.text)?;
    ends_well(crew).await
}

#[tokio::test]
async fn bootstrap_without_the_trust_root_of_nexus() -> Result<()> {
    let crew = before_bootstrap().await?;
    let told = crew.bootstrap(&[("SPIKE_TRUST_ROOT_NEXUS", MISSING)]).await?;
    assert_eq!(told.status, 1, "{}", told.text);
    says("bootstrap_without_the_trust_root_of_nexus", &told.text)?;
    ends_well(crew).await
}

#[tokio::test]
async fn bootstrap_without_the_trust_root_of_the_keepers() -> Result<()> {
    let crew = before_bootstrap().await?;
    let told = crew.bootstrap(&[("SPIKE_TRUST_ROOT_KEEPER", MISSING)]).await?;
    assert_eq!(told.status, 1, "{}", told.text);
    says("bootstrap_without_the_trust_root_of_the_keepers", &told.text)?;
    ends_well(crew).await
}

/// Bootstrap learned that no Keeper had sent a share, and not why.
#[tokio::test]
async fn nexus_without_the_trust_root_of_the_keepers() -> Result<()> {
    let mut crew = before_bootstrap().await?;
    nexus_with(&mut crew, "SPIKE_TRUST_ROOT_KEEPER", MISSING).await?;
    let told = crew.check_fails("quorum", "is not accepted here").await?;
    says("nexus_without_the_trust_root_of_the_keepers", &told)?;
    let told = crew.bootstrap(&[]).await?;
    assert_eq!(told.status, 1, "{}", told.text);
    says("nexus_without_the_trust_root_of_the_keepers", &told.text)?;
    // The Keepers have their shares. A Nexus that has taken them gives them back to Keepers that are restarted, so it is
    // stopped first.
    crew.nexus().terminate().await?;
    crew.nexus().set("SPIKE_TRUST_ROOT_KEEPER", TRUST_DOMAIN);
    crew.kill_keepers(1..=3).await?;
    crew.restart_keepers(1..=3).await?;
    crew.start_nexus().await?;
    ends_well(crew).await
}

#[tokio::test]
async fn nexus_without_the_trust_root_of_bootstrap() -> Result<()> {
    let mut crew = before_bootstrap().await?;
    nexus_with(&mut crew, "SPIKE_TRUST_ROOT_BOOTSTRAP", MISSING).await?;
    let told = crew.bootstrap(&[]).await?;
    assert_eq!(told.status, 1, "{}", told.text);
    says("nexus_without_the_trust_root_of_bootstrap", &told.text)?;
    nexus_with(&mut crew, "SPIKE_TRUST_ROOT_BOOTSTRAP", TRUST_DOMAIN).await?;
    ends_well(crew).await
}

/// It asked whether the SVID is accepted, and named no setting.
#[tokio::test]
async fn keepers_without_the_trust_root_of_nexus() -> Result<()> {
    let mut crew = before_bootstrap().await?;
    keepers_with(&mut crew, "SPIKE_TRUST_ROOT_NEXUS", MISSING).await?;
    let told = crew.check_fails("quorum", "does not accept").await?;
    says("keepers_without_the_trust_root_of_nexus", &told)?;
    keepers_with(&mut crew, "SPIKE_TRUST_ROOT_NEXUS", TRUST_DOMAIN).await?;
    ends_well(crew).await
}

/// The hint named a setting of Bootstrap, and not that of the Keepers.
#[tokio::test]
async fn keepers_without_the_trust_root_of_bootstrap() -> Result<()> {
    let mut crew = before_bootstrap().await?;
    keepers_with(&mut crew, "SPIKE_TRUST_ROOT_BOOTSTRAP", MISSING).await?;
    let told = crew.bootstrap(&[]).await?;
    assert_eq!(told.status, 1, "{}", told.text);
    says("keepers_without_the_trust_root_of_bootstrap", &told.text)?;
    keepers_with(&mut crew, "SPIKE_TRUST_ROOT_BOOTSTRAP", TRUST_DOMAIN).await?;
    ends_well(crew).await
}

/// As with a person who has one trust domain and takes this setting for that of all.
#[tokio::test]
async fn only_the_setting_that_no_role_reads() -> Result<()> {
    let mut crew = before_bootstrap().await?;
    let mut command = crew.client("spike");
    for role in ["NEXUS", "KEEPER", "BOOTSTRAP", "PILOT", "LITE_WORKLOAD"] {
        command.env_remove(format!("SPIKE_TRUST_ROOT_{role}"));
    }
    command.env("SPIKE_TRUST_ROOT", TRUST_DOMAIN).args(["secret", "list"]);
    let id = crew.spiffe_id(SUPERUSER)?;
    let registry = crew.cluster().workload_api().registry();
    let (child, registration) = registry.spawn(&mut command, id)?;
    let ended = told(child.wait_with_output().await?);
    assert_eq!(ended.status, 4, "{}", ended.text);
    says("only_the_setting_that_no_role_reads", &ended.text)?;
    drop(registration);
    ends_well(crew).await
}

#[tokio::test]
async fn recover_with_the_role_of_daily_work() -> Result<()> {
    let mut crew = before_bootstrap().await?;
    assert_eq!(crew.bootstrap(&PATIENT).await?.status, 0);
    works(&mut crew).await?;
    let ended = told(crew.pilot(SUPERUSER, &["operator", "recover"]).await?);
    assert_eq!(ended.status, 4, "{}", ended.text);
    says("recover_with_the_role_of_daily_work", &ended.text)?;
    assert_eq!(crew.recover().await?.len(), 3, "with the role it works");
    crew.stop().await
}
