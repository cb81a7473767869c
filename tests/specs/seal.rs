//! Sealed and unsealed (crypto-and-storage 5; cli-config-deploy 7.3): when Nexus is ready, and its reasons when it is not.

use anyhow::Result;
use serde_json::Value;
use spike_mtls::client::CallError;
use spike_tests::{
    PATIENCE,
    crew::Crew,
    eventually,
    secrets::{put, value_of},
};
use spike_wire::{KeeperStatusKind, SecretListRequest};

use crate::crew;

/// The short interval at which Nexus asks its Keepers, so that a test sees a change soon.
const OFTEN: (&str, &str) = ("SPIKE_NEXUS_KEEPER_UPDATE_INTERVAL", "500ms");

async fn put_and_get(crew: &Crew, path: &str) -> Result<()> {
    let superuser = crew.superuser()?;
    superuser.put_secret(&put(path, &[("k", path)])).await?;
    assert_eq!(value_of(&superuser, path, 0, "k").await?, path);
    Ok(())
}

async fn margin(crew: &mut Crew) -> Result<Option<i64>> {
    Ok(crew.status().await?.margin)
}

#[tokio::test]
async fn keepers_lost_down_to_the_threshold_have_no_effect_and_the_margin_tells_of_each()
-> Result<()> {
    let mut crew = crew().keepers(5, 3).setting(OFTEN.0, OFTEN.1).start().await?;
    put_and_get(&crew, "with/five").await?;
    assert_eq!(crew.health_check("quorum").await?["status"], "ok");
    assert_eq!(margin(&mut crew).await?, Some(2));

    crew.kill_keepers([5]).await?;
    crew.check_fails("quorum", "4 of 5 Keepers hold their share, 3 are needed: quorum margin 1")
        .await?;
    crew.kill_keepers([1]).await?;
    let told = crew.check_fails("quorum", "quorum margin 0").await?;
    for part in [
        "Keeper 1 at https://localhost:",
        "Keeper 5 at https://localhost:",
        "unreachable",
        "since 20",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(crew.nexus().get("/readyz").await?.0, 200);
    put_and_get(&crew, "with/three").await?;

    crew.crash_nexus().await?;
    crew.ready(PATIENCE).await?;
    assert_eq!(value_of(&crew.superuser()?, "with/three", 0, "k").await?, "with/three");
    Ok(())
}

/// Until its next turn, a Keeper that was gone counted as one that would help: the margin was better than the truth.
#[tokio::test]
async fn a_margin_that_an_operator_asks_for_counts_no_keeper_that_has_just_gone() -> Result<()> {
    let mut crew = crew().start().await?;
    crew.keepers_good().await?;
    assert_eq!(margin(&mut crew).await?, Some(1));
    for (index, left) in [(3, 0), (2, -1)] {
        crew.kill_keepers([index]).await?;
        let status = crew.status().await?;
        assert_eq!(status.margin, Some(left), "{status:?}");
        let gone = status.keepers.iter().find(|keeper| keeper.index == index);
        assert_eq!(gone.map(|keeper| keeper.state), Some(KeeperStatusKind::Unreachable));
        assert!(status.asked.is_some());
    }
    Ok(())
}

#[tokio::test]
async fn below_the_threshold_nexus_serves_on_and_a_restarted_one_stays_503_and_says_why()
-> Result<()> {
    let mut crew = crew().keepers(5, 3).setting(OFTEN.0, OFTEN.1).start().await?;
    let shares = crew.recover().await?;
    crew.kill_keepers([1, 3, 5]).await?;
    crew.check_fails(
        "quorum",
        "2 of 5 Keepers hold their share, 3 are needed: a restarted Nexus would need an operator",
    )
    .await?;
    assert_eq!(margin(&mut crew).await?, Some(-1));
    assert_eq!(crew.nexus().get("/readyz").await?.0, 200);
    put_and_get(&crew, "with/two").await?;

    crew.crash_nexus().await?;
    let told: Value = serde_json::from_str(&crew.sealed_because("2 of 3 shares collected").await?)?;
    let reason = told["reasons"]["root_key"].as_str().unwrap_or_default();
    assert!(reason.contains("waiting for more Keepers, or for an operator"), "{told}");
    let refused = crew.superuser()?.list_secrets(&SecretListRequest::default()).await;
    assert!(refused.is_err_and(|error| error.status().is_some_and(|status| status == 503)));

    // Keepers that come back have forgotten their shares, and an operator sees it.
    crew.restart_keepers([1, 3, 5]).await?;
    eventually("three empty Keepers", PATIENCE, async || {
        let states = crew.status().await?.keepers;
        let count = |kind| states.iter().filter(|keeper| keeper.state == kind).count();
        Ok((count(KeeperStatusKind::Empty) == 3 && count(KeeperStatusKind::Unjudged) == 2)
            .then_some(()))
    })
    .await?;
    let status = crew.status().await?;
    assert!(status.sealed && status.root_key.is_none());
    assert!(status.reason.is_some_and(|reason| reason.contains("2 of 3 shares collected")));
    crew.sealed_because("2 of 3 shares collected").await?;

    for share in &shares[..3] {
        crew.feed(share).await?;
    }
    crew.ready(PATIENCE).await?;
    crew.keepers_good().await?;
    assert_eq!(value_of(&crew.superuser()?, "with/two", 0, "k").await?, "with/two");
    crew.stop().await
}

/// With the usual pauses: upstream leaves such a Keeper empty for up to five minutes (crypto-and-storage 5.4).
#[tokio::test]
async fn a_keeper_that_comes_back_empty_is_filled_again_at_once() -> Result<()> {
    let mut crew = crew().start().await?;
    put_and_get(&crew, "a/b").await?;
    crew.kill_keepers([1, 2]).await?;
    crew.check_fails("quorum", "1 of 3 Keepers").await?;
    crew.restart_keepers([1, 2]).await?;
    for index in [1, 2] {
        crew.keeper(index)?.ready(PATIENCE).await?;
    }
    crew.keepers_good().await?;
    // Their new shares are enough for the key.
    crew.kill_keepers([3]).await?;
    crew.crash_nexus().await?;
    crew.ready(PATIENCE).await?;
    assert_eq!(value_of(&crew.superuser()?, "a/b", 0, "k").await?, "a/b");
    Ok(())
}

#[tokio::test]
async fn a_fresh_nexus_waits_for_bootstrap_and_says_so() -> Result<()> {
    let mut crew = crew().start_sealed().await?;
    let told = crew.sealed_because("root_key").await?;
    assert!(told.contains("no Keeper has sent a share yet"), "{told}");
    assert_eq!(crew.nexus().get("/livez").await?.0, 200);
    assert_eq!(crew.keeper(1)?.get("/readyz").await?.0, 503);
    assert!(matches!(crew.recover().await, Err(error) if error.is::<CallError>()));
    assert_eq!(crew.bootstrap(&[]).await?.status, 0);
    crew.cluster().ready(PATIENCE).await?;
    crew.stop().await
}

/// This was one INFO line, below the default level.
#[tokio::test]
async fn memory_that_cannot_be_locked_is_told_by_log_health_and_status() -> Result<()> {
    let mut crew = crew().start().await?;
    // As root in a container without the capability.
    let script = r#"exec setpriv --bounding-set -ipc_lock --inh-caps -ipc_lock prlimit --memlock=0 "$PROGRAM" "$@""#;
    crew.wrap("nexus", script).await?;
    crew.crash_nexus().await?;
    crew.ready(PATIENCE).await?;
    crew.log_says("nexus", "memory is not locked").await?;
    crew.check_fails("memory_locked", "LimitMEMLOCK").await?;
    let told = crew.status().await?.troubles.join("; ");
    assert!(told.contains("memory is not locked") && told.contains("LimitMEMLOCK"), "{told}");
    assert_eq!(crew.status().await?.reason, None, "it is ready all the same");
    crew.stop().await
}
