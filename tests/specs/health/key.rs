//! Checks of the root key, its shares and the Keepers.

use anyhow::{Result, ensure};
use spike_mtls::clock;

use super::course::{Course, Effect};
use crate::crew;

/// Sealed: a daemon that has just started fails these checks, and Bootstrap mends both.
#[tokio::test]
async fn before_bootstrap_nexus_has_no_key_and_a_keeper_no_share() -> Result<()> {
    let begun = clock::now();
    let mut crew = crew().start_sealed().await?;
    let mut key = Course::since(begun, "nexus", "root_key", Effect::NotReady);
    key.fails(&mut crew, "no Keeper has sent a share yet").await?;
    let mut share = Course::since(begun, "keeper-1", "share", Effect::NotReady);
    share.fails(&mut crew, "share").await?;
    let made = crew.bootstrap(&[]).await?;
    ensure!(made.status == 0, "{}", made.text);
    key.recovers(&mut crew).await?;
    share.recovers(&mut crew).await?;
    crew.stop().await
}

/// Each Keeper that is gone is named by its URL.
#[tokio::test]
async fn keepers_that_are_gone_fail_the_check_of_the_quorum_until_they_are_filled_again()
-> Result<()> {
    let mut crew = crew().start().await?;
    crew.keepers_good().await?;
    let mut quorum = Course::of(&mut crew, "nexus", "quorum", Effect::Degraded).await?;
    let gone = crew.keeper_url(2)?;
    crew.kill_keepers([2]).await?;
    quorum.fails(&mut crew, &gone).await?;
    crew.restart_keepers([2]).await?;
    quorum.recovers(&mut crew).await?;
    crew.stop().await
}
