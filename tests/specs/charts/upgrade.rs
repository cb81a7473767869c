//! Keepers as a `StatefulSet` replaces them: the one with the highest number that is out of date is ended, and started anew;
//! the next one only when it is ready. Nobody asks whether Nexus is there.

use std::{fs, time::Duration};

use anyhow::{Context, Result};
use spike_tests::{
    PATIENCE,
    crew::Crew,
    eventually,
    secrets::{put, value_of},
};

use crate::crew;

const KEEPERS: u16 = 3;
/// How long a Keeper that cannot become ready is looked at.
const WATCHED: Duration = Duration::from_secs(5);

/// A crew whose Keepers know from a file whether Bootstrap is done, as in the chart.
async fn crew_with_note(note: &str) -> Result<(Crew, tempfile::TempDir)> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("completed");
    let plan = crew().keepers(KEEPERS, 2);
    let plan = plan.setting("SPIKE_KEEPER_BOOTSTRAP_NOTE", path.display().to_string());
    let crew = if note.is_empty() { plan.start_sealed().await? } else { plan.start().await? };
    if !note.is_empty() {
        fs::write(path, note)?;
    }
    Ok((crew, dir))
}

async fn is_ready(crew: &mut Crew, keeper: u16) -> Result<bool> {
    Ok(crew.keeper(keeper)?.get("/readyz").await.is_ok_and(|(status, _)| status == 200))
}

/// Ends a Keeper as a kubelet does, and starts it again.
async fn replace(crew: &mut Crew, keeper: u16) -> Result<()> {
    crew.keeper(keeper)?.terminate().await?;
    crew.restart_keepers([keeper]).await
}

async fn becomes_ready(crew: &mut Crew, keeper: u16) -> Result<()> {
    eventually("the Keeper is ready", PATIENCE, async || {
        Ok(is_ready(crew, keeper).await?.then_some(()))
    })
    .await
    .with_context(|| format!("Keeper {keeper}"))
}

// The hardened chart replaces all Keepers while Nexus is away, and nobody has the key then.
#[tokio::test]
async fn an_upgrade_of_everything_at_once_ends_with_the_key_alive_although_nexus_is_away()
-> Result<()> {
    let (mut crew, _note) = crew_with_note("true").await?;
    crew.superuser()?.put_secret(&put("a/b", &[("k", "precious")])).await?;
    for keeper in 1..=KEEPERS {
        becomes_ready(&mut crew, keeper).await?;
    }

    crew.nexus().terminate().await?;
    replace(&mut crew, KEEPERS).await?;
    let end = tokio::time::Instant::now() + WATCHED;
    while tokio::time::Instant::now() < end {
        // So the next one is not ended, however long Nexus is away.
        assert!(!is_ready(&mut crew, KEEPERS).await?, "an empty Keeper passes for ready");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    crew.start_nexus().await?;
    for keeper in (1..=KEEPERS).rev() {
        if keeper < KEEPERS {
            replace(&mut crew, keeper).await?;
        }
        becomes_ready(&mut crew, keeper).await?;
    }
    crew.ready(PATIENCE).await?;
    assert_eq!(value_of(&crew.superuser()?, "a/b", 0, "k").await?, "precious");
    crew.keepers_good().await?;
    // Every share was given anew, and a threshold of them is enough.
    crew.crash_nexus().await?;
    crew.ready(PATIENCE).await?;
    assert_eq!(value_of(&crew.superuser()?, "a/b", 0, "k").await?, "precious");
    crew.stop().await
}

// The first Keeper with the right setting waited for a share, and the others for that Keeper.
#[tokio::test]
async fn before_bootstrap_keepers_are_ready_so_that_a_wrong_setting_can_be_mended() -> Result<()> {
    let (mut crew, note) = crew_with_note("").await?;
    for keeper in (1..=KEEPERS).rev() {
        becomes_ready(&mut crew, keeper).await?;
        replace(&mut crew, keeper).await?;
    }
    // Bootstrap has begun, and is not done.
    fs::write(note.path().join("completed"), "false")?;
    becomes_ready(&mut crew, 1).await?;
    fs::write(note.path().join("completed"), "true")?;
    eventually("it is not ready", PATIENCE, async || {
        Ok((!is_ready(&mut crew, 1).await?).then_some(()))
    })
    .await?;
    crew.stop().await
}
