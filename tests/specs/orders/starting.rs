//! Something has not been started yet.

use anyhow::{Context, Result};
use spike_tests::{PATIENCE, SUPERUSER, crew::Crew, eventually};

use super::{IMPATIENT, PATIENT, before_bootstrap, ends_well, list, says, told, works};

#[tokio::test]
async fn nexus_before_the_keepers() -> Result<()> {
    let mut crew = before_bootstrap().await?;
    crew.kill_keepers(1..=3).await?;
    crew.crash_nexus().await?;
    let said = eventually("all Keepers are named", PATIENCE, async || {
        let output = told(crew.pilot(SUPERUSER, &["operator", "status"]).await?);
        Ok((output.text.matches("unreachable").count() == 3).then_some(output.text))
    });
    says("nexus_before_the_keepers", &said.await?)?;
    crew.restart_keepers(1..=3).await?;
    ends_well(crew).await
}

#[tokio::test]
async fn bootstrap_before_the_keepers() -> Result<()> {
    let mut crew = before_bootstrap().await?;
    crew.kill_keepers(1..=3).await?;
    let told = crew.bootstrap(&[]).await?;
    assert_eq!(told.status, 1, "{}", told.text);
    says("bootstrap_before_the_keepers", &told.text)?;
    crew.restart_keepers(1..=3).await?;
    ends_well(crew).await
}

#[tokio::test]
async fn one_keeper_missing_at_bootstrap() -> Result<()> {
    let mut crew = before_bootstrap().await?;
    crew.kill_keepers([2]).await?;
    let told = crew.bootstrap(&[]).await?;
    assert_eq!(told.status, 1, "{}", told.text);
    says("one_keeper_missing_at_bootstrap", &told.text)?;
    for there in ["Keeper 1", "Keeper 3"] {
        assert!(!told.text.contains(there), "{there} is not missing: {}", told.text);
    }
    for keeper in [1, 3] {
        assert_eq!(
            crew.keeper(keeper)?.get("/readyz").await?.0,
            503,
            "Keeper {keeper} has a share"
        );
    }
    crew.restart_keepers([2]).await?;
    ends_well(crew).await
}

#[tokio::test]
async fn the_keepers_start_while_bootstrap_waits() -> Result<()> {
    let mut crew = before_bootstrap().await?;
    crew.kill_keepers(1..=3).await?;
    crew.wrap("keeper", "sleep 2; exec \"$PROGRAM\" \"$@\"").await?;
    for keeper in 1..=3 {
        crew.cluster().restart_keeper(keeper)?;
    }
    let patient = [
        ("SPIKE_BOOTSTRAP_KEEPER_MAX_RETRIES", "100"),
        ("SPIKE_BOOTSTRAP_KEEPER_RETRY_MAX_INTERVAL", "1s"),
    ];
    let told = crew.bootstrap(&patient).await?;
    assert_eq!(told.status, 0, "{}", told.text);
    says("the_keepers_start_while_bootstrap_waits", &told.text)?;
    works(&mut crew).await?;
    crew.stop().await
}

#[tokio::test]
async fn bootstrap_before_nexus() -> Result<()> {
    let mut crew = before_bootstrap().await?;
    crew.nexus().terminate().await?;
    let told = crew.bootstrap(&[]).await?;
    assert_eq!(told.status, 1, "{}", told.text);
    says("bootstrap_before_nexus", &told.text)?;
    crew.start_nexus().await?;
    ends_well(crew).await
}

#[tokio::test]
async fn nexus_starts_while_bootstrap_waits() -> Result<()> {
    let mut crew = before_bootstrap().await?;
    crew.nexus().terminate().await?;
    crew.wrap("nexus", "sleep 2; exec \"$PROGRAM\" \"$@\"").await?;
    crew.cluster().restart_nexus()?;
    let told = crew.bootstrap(&[("SPIKE_BOOTSTRAP_INIT_VERIFICATION_TIMEOUT", "1m")]).await?;
    assert_eq!(told.status, 0, "{}", told.text);
    says("nexus_starts_while_bootstrap_waits", &told.text)?;
    works(&mut crew).await?;
    crew.stop().await
}

#[tokio::test]
async fn spike_before_bootstrap() -> Result<()> {
    let crew = before_bootstrap().await?;
    let told = list(&crew, &[]).await?;
    assert_eq!(told.status, 5, "{}", told.text);
    says("spike_before_bootstrap", &told.text)?;
    ends_well(crew).await
}

#[tokio::test]
async fn spike_before_nexus() -> Result<()> {
    let mut crew = before_bootstrap().await?;
    crew.nexus().terminate().await?;
    let told = list(&crew, &[]).await?;
    assert_eq!(told.status, 6, "{}", told.text);
    says("spike_before_nexus", &told.text)?;
    crew.start_nexus().await?;
    ends_well(crew).await
}

/// The daemons are started while there is no agent.
async fn without_an_agent(crew: &mut Crew) -> Result<()> {
    crew.nexus().terminate().await?;
    crew.kill_keepers(1..=3).await?;
    crew.cluster().workload_api().pause().await;
    crew.cluster().restart_nexus()?;
    for keeper in 1..=3 {
        crew.cluster().restart_keeper(keeper)?;
    }
    Ok(())
}

async fn serving(crew: &mut Crew) -> Result<()> {
    crew.nexus().serving(PATIENCE).await?;
    for keeper in 1..=3 {
        crew.keeper(keeper)?.serving(PATIENCE).await?;
    }
    Ok(())
}

/// "transport error", and no word of an agent.
#[tokio::test]
async fn the_agent_last() -> Result<()> {
    let mut crew = before_bootstrap().await?;
    without_an_agent(&mut crew).await?;
    for daemon in ["nexus", "keeper-1"] {
        crew.log_says(daemon, "still waiting for an X.509-SVID").await?;
        says("the_agent_last", &crew.log(daemon)?)?;
    }
    crew.cluster().workload_api().resume().await?;
    serving(&mut crew).await?;
    ends_well(crew).await
}

#[tokio::test]
async fn bootstrap_before_the_agent() -> Result<()> {
    let mut crew = before_bootstrap().await?;
    crew.cluster().workload_api().pause().await;
    let told = crew.bootstrap(&[]).await?;
    assert_eq!(told.status, 1, "{}", told.text);
    says("bootstrap_before_the_agent", &told.text)?;
    crew.cluster().workload_api().resume().await?;
    ends_well(crew).await
}

#[tokio::test]
async fn spike_before_the_agent() -> Result<()> {
    let mut crew = before_bootstrap().await?;
    crew.cluster().workload_api().pause().await;
    let told = list(&crew, &[]).await?;
    assert_eq!(told.status, 6, "{}", told.text);
    says("spike_before_the_agent", &told.text)?;
    crew.cluster().workload_api().resume().await?;
    ends_well(crew).await
}

#[tokio::test]
async fn the_agent_restarted() -> Result<()> {
    let mut crew = before_bootstrap().await?;
    assert_eq!(crew.bootstrap(&PATIENT).await?.status, 0);
    works(&mut crew).await?;
    crew.cluster().workload_api().pause().await;
    crew.check_fails("workload_api", "workload-api.sock").await?;
    crew.log_says("nexus", "lost the SPIFFE Workload API").await?;
    says("the_agent_restarted", &crew.log("nexus")?)?;
    works(&mut crew).await?;
    crew.cluster().workload_api().resume().await?;
    let pid = crew.nexus().pid();
    eventually("the agent is there again", PATIENCE, async || {
        Ok((crew.health_check("workload_api").await?["status"] == "ok").then_some(()))
    })
    .await?;
    works(&mut crew).await?;
    assert_eq!(crew.nexus().pid(), pid, "Nexus was not started again");
    crew.stop().await
}

#[tokio::test]
async fn a_daemon_that_is_not_registered() -> Result<()> {
    let mut crew = before_bootstrap().await?;
    without_an_agent(&mut crew).await?;
    let pid = crew.nexus().pid().context("Nexus does not run")?;
    let unregistered = crew.cluster().workload_api().registry().withhold(pid)?;
    crew.cluster().workload_api().resume().await?;
    crew.log_says("nexus", "is there a registration entry").await?;
    says("a_daemon_that_is_not_registered", &crew.log("nexus")?)?;
    drop(unregistered);
    serving(&mut crew).await?;
    ends_well(crew).await
}

#[tokio::test]
async fn bootstrap_or_spike_that_is_not_registered() -> Result<()> {
    let mut crew = before_bootstrap().await?;
    let unregistered = crew.cluster().workload_api().registry().withhold(std::process::id())?;
    for (program, arguments, status) in
        [("bootstrap", &["-init"][..], 1), ("spike", &["secret", "list"], 6)]
    {
        let mut command = crew.client(program);
        command.args(arguments);
        command.envs(IMPATIENT).env("SPIKE_NEXUS_KEEPER_PEERS", crew.keeper_url(1)?);
        command.env("SPIKE_NEXUS_SHAMIR_SHARES", "1").env("SPIKE_NEXUS_SHAMIR_THRESHOLD", "1");
        let output = told(command.output().await?);
        assert_eq!(output.status, status, "{program}: {}", output.text);
        says("bootstrap_or_spike_that_is_not_registered", &output.text)?;
    }
    drop(unregistered);
    ends_well(crew).await
}

/// It named the address, and not the setting that has it.
#[tokio::test]
async fn a_port_that_another_daemon_has() -> Result<()> {
    let mut crew = before_bootstrap().await?;
    let taken = crew.keeper(1)?.tls().to_string();
    let keeper = crew.keeper(2)?;
    let own = keeper.tls().to_string();
    keeper.terminate().await?;
    keeper.set("SPIKE_KEEPER_TLS_PORT", &taken);
    crew.cluster().restart_keeper(2)?;
    let ended = tokio::time::timeout(PATIENCE, crew.keeper(2)?.wait()).await??;
    assert_eq!(ended.code(), Some(1));
    says("a_port_that_another_daemon_has", &crew.keeper(2)?.end_reason(ended))?;
    crew.keeper(2)?.set("SPIKE_KEEPER_TLS_PORT", &own);
    crew.restart_keepers([2]).await?;
    ends_well(crew).await
}
