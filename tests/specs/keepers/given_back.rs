//! A sealed Nexus that has whole keys and can use none gives an empty Keeper the share that this Keeper gave it, and nothing else
//! to anybody.

use std::fs;

use anyhow::Result;
use spike_crypto::combine;
use spike_tests::{
    PATIENCE, SUPERUSER, eventually,
    fake_keeper::{FakeKeeper, ReservedAddress},
    secrets::{put, value_of},
};
use spike_wire::KeeperStatusKind::{Foreign, Unjudged};

use super::{
    database,
    fakes::{has_back, with_a_secret},
    fresh_shares, given_nothing_but,
};
use crate::crew;

/// Neither a Keeper that never had a share, nor one with a share of another key, is given any.
#[tokio::test]
async fn a_keeper_gets_back_what_it_had_and_no_other_keeper_gets_anything() -> Result<()> {
    let addresses = ReservedAddress::several(4).await?;
    let urls: Vec<String> = addresses.iter().map(ReservedAddress::url).collect();
    let mut crew = crew().keepers_at(&urls, 2).start_sealed().await?;
    let keepers: Vec<FakeKeeper> =
        addresses.into_iter().map(|address| address.serve(&crew)).collect::<Result<_>>()?;
    let (shares, others) = (fresh_shares(4, 2)?, fresh_shares(4, 2)?);
    keepers[0].hold(&shares[0].value);
    keepers[1].hold(&shares[1].value);
    keepers[2].hold(&others[2].value);
    crew.sealed_because("and no data in").await?;
    keepers[2].asked_again(2).await?;

    keepers[0].lose();
    keepers[2].lose();
    for keeper in &keepers {
        keeper.asked_again(4).await?;
    }
    assert!(keepers[0].holds(&shares[0].value), "the key has no quorum");
    given_nothing_but(&keepers[0], &shares[0]);
    assert_eq!(keepers[0].given().len(), 1);
    for keeper in &keepers[1..] {
        assert_eq!(keeper.given(), []);
    }

    // It holds a share of another key now: that one is left to it.
    keepers[0].hold(&others[0].value);
    for keeper in &keepers {
        keeper.asked_again(4).await?;
    }
    assert!(keepers[0].holds(&others[0].value));
    assert_eq!(keepers[0].given().len(), 1);
    crew.stop().await
}

/// Only the key of which the Keepers held more shares was guarded, and it was that of another deployment.
#[tokio::test]
async fn of_two_whole_keys_beside_a_damaged_store_that_of_the_data_is_not_lost() -> Result<()> {
    let (mut crew, keepers, own) = with_a_secret(5, 2).await?;
    let others = fresh_shares(5, 2)?;
    for (keeper, share) in keepers.iter().zip(&others[..3]) {
        keeper.hold(&share.value);
    }
    let database = database(&crew);
    let whole = fs::read(&database)?;
    fs::write(&database, &whole[..50])?;
    crew.start_nexus().await?;
    crew.sealed_because("the store cannot be opened").await?;
    for keeper in &keepers {
        keeper.asked_again(2).await?;
    }
    let before: Vec<usize> = keepers.iter().map(|keeper| keeper.given().len()).collect();

    for keeper in &keepers[3..] {
        keeper.say(500, "");
        keeper.lose();
    }
    let key = combine(&[&own[3], &own[4]], 2)?.fingerprint();
    crew.sealed_because(&format!("do not restart Nexus: it alone has the whole key {key}")).await?;
    for command in [["operator", "status"].as_slice(), &["doctor"]] {
        let ran = crew.pilot(SUPERUSER, command).await?;
        let told = String::from_utf8([ran.stdout, ran.stderr].concat())?;
        assert!(told.contains("do not restart SPIKE Nexus"), "{command:?}: {told}");
        assert!(!told.contains("no share is missing"), "{command:?}: {told}");
    }
    for (keeper, share) in keepers.iter().zip(&own).skip(3) {
        keeper.be_honest();
        has_back(keeper, share).await?;
    }
    for (keeper, before) in keepers.iter().zip(before).take(3) {
        assert_eq!(keeper.given().len(), before);
    }

    // As the page on a damaged store says.
    eventually("a restart loses nothing", PATIENCE, async || {
        Ok((!crew.status().await?.last_copy).then_some(()))
    })
    .await?;
    crew.nexus().terminate().await?;
    fs::write(&database, &whole)?;
    crew.start_nexus().await?;
    crew.ready(PATIENCE).await?;
    assert_eq!(value_of(&crew.superuser()?, "a/b", 0, "k").await?, "precious");
    crew.stop().await
}

/// A restore put the own key to use, and the key of another deployment, whose Keepers were away, was gone without a word.
#[tokio::test]
async fn a_restore_does_not_drop_another_key_that_nexus_alone_has() -> Result<()> {
    let (mut crew, keepers, own) = with_a_secret(3, 2).await?;
    let others = fresh_shares(3, 2)?;
    for (keeper, share) in keepers.iter().zip(&others) {
        keeper.hold(&share.value);
    }
    crew.start_nexus().await?;
    crew.sealed_because("not that of the data").await?;
    for keeper in &keepers {
        keeper.asked_again(2).await?;
        keeper.say(500, "");
        keeper.lose();
    }
    let key = combine(&[&others[0], &others[1]], 2)?.fingerprint();
    crew.sealed_because(&format!("do not restart Nexus: it alone has the whole key {key}")).await?;

    crew.feed(&own[0]).await?;
    let refused = crew.feed_refused(&own[1]).await?;
    for part in [format!("Nexus alone has the whole key {key}"), "feed the shares again".to_owned()]
    {
        assert!(refused.contains(&part), "{refused}");
    }
    for (keeper, share) in keepers.iter().zip(&others) {
        keeper.be_honest();
        has_back(keeper, share).await?;
    }
    eventually("nothing would be lost", PATIENCE, async || {
        Ok((!crew.status().await?.last_copy).then_some(()))
    })
    .await?;
    crew.feed(&own[0]).await?;
    crew.feed(&own[1]).await?;
    crew.ready(PATIENCE).await?;
    assert_eq!(value_of(&crew.superuser()?, "a/b", 0, "k").await?, "precious");
    for (keeper, share) in keepers.iter().zip(&others) {
        assert!(keeper.holds(&share.value), "it was replaced");
    }
    crew.stop().await
}

/// The key was there in another order, and Nexus let the Keepers come back empty and said to restart it.
#[tokio::test]
async fn keepers_in_another_order_that_are_restarted_get_their_shares_back() -> Result<()> {
    let mut crew = crew().start().await?;
    crew.superuser()?.put_secret(&put("a/b", &[("k", "precious")])).await?;
    let urls = [crew.keeper_url(1)?, crew.keeper_url(2)?, crew.keeper_url(3)?];
    let peers = "SPIKE_NEXUS_KEEPER_PEERS";
    crew.nexus().set(peers, &[&*urls[2], &*urls[0], &*urls[1]].join(","));
    crew.crash_nexus().await?;
    crew.sealed_because("was the order of SPIKE_NEXUS_KEEPER_PEERS changed?").await?;
    for keeper in 1..=3 {
        crew.kill_keepers([keeper]).await?;
        crew.restart_keepers([keeper]).await?;
        eventually("every Keeper holds a share", PATIENCE, async || {
            let states = crew.status().await?.keepers;
            Ok(states.iter().all(|it| matches!(it.state, Unjudged | Foreign)).then_some(()))
        })
        .await?;
    }
    assert!(!crew.status().await?.last_copy);
    crew.nexus().set(peers, &urls.join(","));
    crew.crash_nexus().await?;
    crew.ready(PATIENCE).await?;
    assert_eq!(value_of(&crew.superuser()?, "a/b", 0, "k").await?, "precious");
    crew.stop().await
}
