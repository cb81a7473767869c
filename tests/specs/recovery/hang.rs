//! Shares, while the disk of the data hangs.

use anyhow::{Context, Result, bail, ensure};
use spike_crypto::Share;
use spike_mtls::client::CallError;
use spike_tests::{PATIENCE, crew::Crew, skipped};
use tokio::time::timeout;

use super::{blacked_out, data_is_back};
use crate::store::TamperedCalls;

const TOLD: &str = "the data directory does not answer";

/// Feeds the share, which is not taken: the answer says why, and that it is kept.
async fn is_kept(crew: &Crew, share: &Share, why: &str) -> Result<()> {
    let Err(error) = timeout(PATIENCE, crew.feed(share)).await? else { bail!("it was taken") };
    let CallError::Refused(refusal) = error.downcast()? else { bail!("no answer") };
    let told = refusal.reason.unwrap_or_default();
    for part in [why, "the shares are kept, and tried again"] {
        ensure!(told.contains(part), "{part}: {told}");
    }
    Ok(())
}

/// Each share that was fed held another thread of those that serve, and the reason was that no Keeper had sent a share.
#[tokio::test]
async fn shares_fed_while_the_disk_of_the_data_hangs_hold_no_thread_and_are_used_once_it_is_back()
-> Result<()> {
    let (mut crew, shares) = blacked_out().await?;
    let pid = crew.nexus().pid().context("no Nexus")?;
    let database = crew.dir().join("data/nexus.db");
    let Some(away) = TamperedCalls::of_files(pid, "statx", &[&database]).await? else {
        return skipped("strace is missing or not allowed");
    };
    let [first, second, third, ..] = shares.as_slice() else { bail!("too few shares") };
    crew.feed(first).await?;
    crew.feed(second).await?;
    for _ in 0..4 {
        is_kept(&crew, third, TOLD).await?;
    }
    let told = crew.sealed_because(TOLD).await?;
    ensure!(!told.contains("no Keeper has sent a share"), "{told}");
    for _ in 0..4 {
        let status = timeout(PATIENCE, crew.status()).await??;
        let troubles = status.troubles;
        let told = "the data directory: a look at its files has been under way since";
        ensure!(troubles.iter().any(|trouble| trouble.starts_with(told)), "{troubles:?}");
    }
    drop(away);
    data_is_back(&mut crew).await?;
    crew.stop().await
}

/// The restore waited for ever, and so did every other key; the reason was that the store is being opened.
#[tokio::test]
async fn a_restore_whose_store_cannot_be_opened_for_a_disk_that_hangs_says_so_and_ends_by_itself()
-> Result<()> {
    const TOLD: &str = "an attempt to open the store there has been under way since";
    let (mut crew, shares) = blacked_out().await?;
    let pid = crew.nexus().pid().context("no Nexus")?;
    let database = crew.dir().join("data/nexus.db");
    // Looks at the files read nothing of this kind.
    let Some(away) = TamperedCalls::of_files(pid, "pread64", &[&database]).await? else {
        return skipped("strace is missing or not allowed");
    };
    let [first, second, third, ..] = shares.as_slice() else { bail!("too few shares") };
    crew.feed(first).await?;
    crew.feed(second).await?;
    for _ in 0..2 {
        is_kept(&crew, third, TOLD).await?;
    }
    crew.sealed_because(TOLD).await?;
    let (status, ready) = crew.nexus().get("/readyz").await?;
    ensure!(status == 503 && ready.contains(TOLD), "{ready}");
    drop(away);
    data_is_back(&mut crew).await?;
    let log = crew.log("nexus")?;
    ensure!(log.matches("the root key is in use").count() == 1, "{log}");
    crew.stop().await
}
