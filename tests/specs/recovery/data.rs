//! Shares and keys where the data is away, or that of another key.

use std::fs;

use anyhow::{Result, bail};
use spike_crypto::Share;
use spike_mtls::client::CallError;
use spike_tests::{
    crew::{Crew, RESTORER},
    secrets::put,
};

use super::{SHARES, THRESHOLD, blacked_out, data_is_back};
use crate::crew;

/// Takes the data away and feeds shares enough, which must fail.
async fn fed_without_data(crew: &Crew, shares: &[Share]) -> Result<anyhow::Error> {
    fs::rename(crew.dir().join("data"), crew.dir().join("away"))?;
    let [first, second, third, ..] = shares else { bail!("too few shares") };
    crew.feed(first).await?;
    crew.feed(second).await?;
    let Err(error) = crew.feed(third).await else { bail!("a new store was made") };
    Ok(error)
}

/// Puts the data back, in place of an empty directory that may be there.
fn put_back(crew: &Crew) -> Result<()> {
    let data = crew.dir().join("data");
    if data.exists() {
        fs::remove_dir_all(&data)?;
    }
    fs::rename(crew.dir().join("away"), data)?;
    Ok(())
}

/// Recovery shares and a directory without data: a volume that is not mounted.
#[tokio::test]
async fn a_restore_without_data_makes_no_new_store_and_says_how_to_go_on() -> Result<()> {
    let (mut crew, shares) = blacked_out().await?;
    let error = fed_without_data(&crew, &shares).await?;
    let CallError::Refused(refusal) = error.downcast()? else { bail!("no answer") };
    assert_eq!(refusal.status, 503, "the shares are kept: nothing has failed");
    let told = refusal.reason.unwrap_or_default();
    for part in ["no data in", "docs/operations/store.md", "the shares are kept"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!crew.dir().join("data/nexus.db").exists());
    put_back(&crew)?;
    assert!(crew.feed(&shares[2]).await?.restored);
    data_is_back(&mut crew).await
}

/// `spike` said "500" and a code of internal errors, and that the log says more: nothing had failed, and the shares were kept.
#[tokio::test]
async fn spike_calls_shares_that_are_kept_for_missing_data_no_fault_of_nexus() -> Result<()> {
    let (crew, shares) = blacked_out().await?;
    fs::rename(crew.dir().join("data"), crew.dir().join("away"))?;
    let file = crew.dir().join("shares.txt");
    let lines: Vec<String> =
        shares.iter().take(3).map(|it| it.to_recovery_text().as_str().to_owned()).collect();
    fs::write(&file, lines.join("\n"))?;
    let file = file.display().to_string();
    let ran = crew.pilot(RESTORER, &["operator", "restore", "--file", &file]).await?;
    let told = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(5), "{told}");
    assert_eq!(told.matches("no data in").count(), 1, "{told}");
    assert!(told.contains("which are kept until Nexus is restarted"), "{told}");
    for part in ["api_internal_error", "the log of SPIKE Nexus"] {
        assert!(!told.contains(part), "{part}: {told}");
    }
    crew.stop().await
}

/// Shares that were fed while the volume was away were kept, and nobody tried them once it was there again.
#[tokio::test]
async fn shares_fed_before_the_data_is_there_open_it_once_it_is() -> Result<()> {
    let (mut crew, shares) = blacked_out().await?;
    let error = fed_without_data(&crew, &shares).await?;
    assert!(!error.to_string().contains("makes another key"), "{error}");
    put_back(&crew)?;
    data_is_back(&mut crew).await?;
    assert_eq!(crew.status().await?.fed, 0);
    crew.stop().await
}

/// "Put the right data there", said Nexus. It did not look again, and later it opened what may have been half a copy.
#[tokio::test]
async fn the_right_data_in_place_of_another_keys_is_opened_after_a_restart() -> Result<()> {
    let mut crew = crew().keepers(SHARES, THRESHOLD).start().await?;
    crew.superuser()?.put_secret(&put("a/b", &[("k", "precious")])).await?;
    let mut other = crate::crew().start().await?;
    other.superuser()?.put_secret(&put("a/b", &[("k", "another")])).await?;
    other.nexus().kill().await?;
    let (data, away, foreign) =
        (crew.dir().join("data"), crew.dir().join("away"), crew.dir().join("foreign"));
    // Copied: a process that has just been killed may hold the lock of its own file for a moment.
    fs::create_dir(&foreign)?;
    for file in fs::read_dir(other.dir().join("data"))? {
        let file = file?;
        fs::copy(file.path(), foreign.join(file.file_name()))?;
    }
    crew.nexus().kill().await?;
    fs::rename(&data, &away)?;
    fs::rename(&foreign, &data)?;
    crew.start_nexus().await?;
    crew.sealed_because("Stop Nexus, put the right data there").await?;
    fs::rename(&data, &foreign)?;
    fs::rename(&away, &data)?;
    crew.sealed_because("once all files are there, restart it").await?;
    crew.crash_nexus().await?;
    data_is_back(&mut crew).await?;
    crew.stop().await
}
