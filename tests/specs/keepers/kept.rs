//! Whole keys that Nexus alone has stay in its memory, whatever Keepers send later and whichever key comes into use.

use std::fs::File;

use anyhow::{Result, ensure};
use spike_crypto::{Share, combine};
use spike_tests::{
    PATIENCE, SUPERUSER,
    crew::Crew,
    eventually,
    fake_keeper::{FakeKeeper, ReservedAddress},
    secrets::value_of,
};

use super::{
    fakes::{has_back, with_a_secret},
    fresh_shares,
};
use crate::crew;

fn away(keepers: &[FakeKeeper]) {
    for keeper in keepers {
        keeper.say(500, "");
        keeper.lose();
    }
}

async fn is_safe(crew: &Crew) -> Result<()> {
    eventually("a restart loses nothing", PATIENCE, async || {
        Ok((!crew.status().await?.last_copy).then_some(()))
    })
    .await
}

/// Without data, with two of three Keepers that hold shares of one key.
async fn without_data() -> Result<(Crew, Vec<FakeKeeper>, Vec<Share>)> {
    let addresses = ReservedAddress::several(3).await?;
    let urls: Vec<String> = addresses.iter().map(ReservedAddress::url).collect();
    let mut crew = crew().keepers_at(&urls, 2).start_sealed().await?;
    let keepers: Vec<FakeKeeper> =
        addresses.into_iter().map(|address| address.serve(&crew)).collect::<Result<_>>()?;
    let shares = fresh_shares(3, 2)?;
    for (keeper, share) in keepers.iter().zip(&shares).take(2) {
        keeper.hold(&share.value);
    }
    crew.sealed_because("and no data in").await?;
    Ok((crew, keepers, shares))
}

/// It took the place of the last copy of the share that the Keeper gave before.
#[tokio::test]
async fn a_keeper_that_comes_back_with_a_share_of_another_key_takes_no_last_copy_away() -> Result<()>
{
    let (mut crew, keepers, shares) = without_data().await?;
    let key = combine(&[&shares[0], &shares[1]], 2)?.fingerprint();
    let others = fresh_shares(3, 2)?;
    keepers[0].hold(&others[0].value);
    crew.sealed_because(&format!("do not restart Nexus: it alone has the whole key {key}")).await?;
    away(&keepers[1..2]);
    crew.sealed_because(&format!("{key}, of which Keepers hold 0")).await?;
    assert!(keepers[0].holds(&others[0].value), "it was replaced");

    keepers[0].lose();
    keepers[1].be_honest();
    for (keeper, share) in keepers.iter().zip(&shares).take(2) {
        has_back(keeper, share).await?;
    }
    is_safe(&crew).await?;
    crew.sealed_because("and no data in").await?;
    assert_eq!(keepers[2].given(), []);
    crew.stop().await
}

/// For as long as the Keeper took to take it, the status said that a restart loses nothing.
#[tokio::test]
async fn before_a_keeper_is_given_its_share_back_nexus_says_that_it_alone_has_the_key() -> Result<()>
{
    let (mut crew, keepers, _) = without_data().await?;
    keepers[0].hang(true);
    keepers[0].lose();
    eventually("it is given its share", PATIENCE, async || {
        Ok((!keepers[0].given().is_empty()).then_some(()))
    })
    .await?;
    let (_, told) = crew.nexus().get("/readyz").await?;
    assert!(told.contains("do not restart Nexus"), "{told}");
    keepers[0].hang(false);
    is_safe(&crew).await?;
    crew.stop().await
}

/// Two deployments mixed up: the key of the data came into use, the other was dropped, and no line named it.
#[tokio::test]
async fn keepers_that_return_with_the_key_of_the_data_do_not_hide_that_a_restart_loses_another()
-> Result<()> {
    let (mut crew, keepers, own) = with_a_secret(5, 2).await?;
    let others = fresh_shares(5, 2)?;
    let hold_others = || {
        for (keeper, share) in keepers.iter().zip(&others).take(2) {
            keeper.hold(&share.value);
        }
    };
    away(&keepers[2..]);
    hold_others();
    crew.start_nexus().await?;
    crew.sealed_because("not that of the data").await?;
    for keeper in &keepers[..2] {
        keeper.asked_again(2).await?;
    }
    away(&keepers[..2]);
    let key = combine(&[&others[0], &others[1]], 2)?.fingerprint();
    let alone = format!("alone has the whole key {key}, of which Keepers hold 0");
    crew.sealed_because(&alone).await?;

    for (keeper, share) in keepers.iter().zip(&own).skip(2) {
        keeper.be_honest();
        keeper.hold(&share.value);
    }
    crew.ready(PATIENCE).await?;
    for keeper in &keepers[..2] {
        keeper.be_honest();
    }
    eventually("every Keeper has its share of the key in use", PATIENCE, async || {
        Ok(keepers.iter().zip(&own).all(|(it, share)| it.holds(&share.value)).then_some(()))
    })
    .await?;
    let status = crew.status().await?;
    let troubles = status.troubles.join("\n");
    ensure!(status.last_copy && troubles.contains(&alone), "{troubles}");
    ensure!(troubles.contains("If nobody needs that key, restart Nexus"), "{troubles}");
    crew.check_fails("quorum", &alone).await?;
    crew.log_says("nexus", "Nexus alone has this whole key, and uses another").await?;
    let told = crew.pilot(SUPERUSER, &["operator", "status"]).await?;
    let told = String::from_utf8(told.stdout)?;
    assert!(told.contains("do not restart SPIKE Nexus before"), "{told}");

    // Its own Keepers were only away.
    hold_others();
    is_safe(&crew).await?;
    let troubles = crew.status().await?.troubles.join("\n");
    assert!(!troubles.contains("alone has"), "{troubles}");
    assert_eq!(value_of(&crew.superuser()?, "a/b", 0, "k").await?, "precious");
    crew.stop().await
}

/// Nexus waited for a store that another process held, with the key of it, and forgot the key meanwhile.
#[tokio::test]
async fn a_store_that_another_process_held_opens_with_a_key_that_keepers_do_not_show_any_more()
-> Result<()> {
    let (mut crew, keepers, own) = with_a_secret(2, 2).await?;
    let lock = File::options().read(true).write(true).open(crew.dir().join("data/nexus.lock"))?;
    lock.lock()?;
    crew.start_nexus().await?;
    crew.sealed_because("in use by another process").await?;
    for (keeper, share) in keepers.iter().zip(fresh_shares(2, 2)?) {
        keeper.hold(&share.value);
    }
    let key = combine(&[&own[0], &own[1]], 2)?.fingerprint();
    crew.sealed_because(&format!("alone has the whole key {key}, of which Keepers hold 0")).await?;
    drop(lock);
    crew.ready(PATIENCE).await?;
    assert_eq!(value_of(&crew.superuser()?, "a/b", 0, "k").await?, "precious");
    crew.stop().await
}

/// The second share of the data's key came, and Nexus had let go of the first: it stayed sealed with both in its hands.
#[tokio::test]
async fn a_share_that_another_took_the_place_of_still_makes_the_key_of_the_data() -> Result<()> {
    let (mut crew, keepers, shares) = with_a_secret(3, 2).await?;
    let others = fresh_shares(3, 2)?;
    away(&keepers[1..]);
    crew.start_nexus().await?;
    crew.sealed_because("1 of 2 shares collected").await?;
    for other in &others[..2] {
        keepers[0].hold(&other.value);
        keepers[0].asked_again(2).await?;
    }
    keepers[1].be_honest();
    keepers[1].hold(&shares[1].value);
    crew.ready(PATIENCE).await?;
    assert_eq!(value_of(&crew.superuser()?, "a/b", 0, "k").await?, "precious");
    assert!(keepers[0].holds(&others[1].value), "it was replaced");
    crew.stop().await
}

/// "0 of 2 shares collected", and nothing said what a restart of Nexus would lose.
#[tokio::test]
async fn a_share_that_only_nexus_remembers_is_told_and_makes_the_key() -> Result<()> {
    let (mut crew, keepers, shares) = with_a_secret(3, 2).await?;
    away(&keepers[1..]);
    crew.start_nexus().await?;
    crew.sealed_because("1 of 2 shares collected; waiting").await?;
    keepers[0].lose();
    let told = "0 of 2 shares collected, and 1 that only the memory of this Nexus still holds: do not restart it";
    crew.sealed_because(told).await?;
    keepers[1].be_honest();
    keepers[1].hold(&shares[1].value);
    crew.ready(PATIENCE).await?;
    has_back(&keepers[0], &shares[0]).await?;
    crew.stop().await
}
