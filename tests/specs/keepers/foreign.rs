//! Shares of another root key at Keepers: they may be the last copy of it. Nexus leaves them there, counts them as nothing, and
//! says what to do.

use anyhow::{Context, Result};
use spike_crypto::{Derivation, Quorum, RootKey, Share, ShareIndex, combine, split};
use spike_tests::{
    PATIENCE, SUPERUSER,
    crew::Crew,
    fake_keeper::FakeKeeper,
    secrets::{put, value_of},
};
use spike_wire::KeeperStatusKind;

use super::{fresh_shares, given_nothing_but, on_fakes};

/// A crew with data under the key of these shares, whose Nexus is down.
async fn with_data() -> Result<(Crew, Vec<FakeKeeper>, Vec<Share>)> {
    let (mut crew, keepers, shares) = on_fakes(3, 2).await?;
    for (keeper, share) in keepers.iter().zip(&shares) {
        keeper.hold(&share.value);
    }
    crew.ready(PATIENCE).await?;
    crew.superuser()?.put_secret(&put("a/b", &[("k", "precious")])).await?;
    crew.keepers_good().await?;
    crew.nexus().terminate().await?;
    Ok((crew, keepers, shares))
}

async fn restore(crew: &mut Crew, shares: &[Share]) -> Result<()> {
    for share in shares.iter().take(2) {
        crew.feed(share).await?;
    }
    crew.ready(PATIENCE).await?;
    assert_eq!(value_of(&crew.superuser()?, "a/b", 0, "k").await?, "precious");
    Ok(())
}

/// The Keepers were those of another deployment, whose Nexus was down for a moment. The restore that the message of Nexus advises
/// replaced all of its shares.
#[tokio::test]
async fn a_restore_takes_another_key_that_the_keepers_hold_whole_away_from_none_of_them()
-> Result<()> {
    let (mut crew, keepers, shares) = with_data().await?;
    let before: Vec<usize> = keepers.iter().map(|keeper| keeper.given().len()).collect();
    let others = fresh_shares(3, 2)?;
    for (keeper, other) in keepers.iter().zip(&others) {
        keeper.hold(&other.value);
    }
    crew.start_nexus().await?;
    let told = crew.sealed_because("which is not that of the data").await?;
    assert!(told.contains("SPIKE_NEXUS_KEEPER_PEERS"), "{told}");
    restore(&mut crew, &shares).await?;

    let name = combine(&[&others[0], &others[1]], 2)?.fingerprint().to_string();
    crew.check_fails("quorum", &name).await?;
    for keeper in &keepers {
        keeper.asked_again(3).await?;
    }
    let status = crew.status().await?;
    assert_eq!(status.margin, Some(-2));
    for ((keeper, other), seen) in keepers.iter().zip(&others).zip(&status.keepers) {
        assert!(keeper.holds(&other.value), "Keeper {}", other.index);
        assert_eq!(seen.state, KeeperStatusKind::Foreign);
        let detail = seen.detail.as_deref().context("no detail")?;
        assert!(
            detail.contains(&name) && detail.contains("correct SPIKE_NEXUS_KEEPER_PEERS"),
            "{detail}"
        );
    }
    let given: Vec<usize> = keepers.iter().map(|keeper| keeper.given().len()).collect();
    assert_eq!(given, before, "nothing was given to a Keeper of another key");
    let told = crew.pilot(SUPERUSER, &["operator", "status"]).await?;
    let told = String::from_utf8(told.stdout)?;
    assert!(told.contains("Next        : a Keeper holds a share of another root key"), "{told}");

    // The other key is not needed: the Keepers are restarted.
    for keeper in &keepers {
        keeper.lose();
    }
    crew.keepers_good().await?;
    crew.crash_nexus().await?;
    crew.ready(PATIENCE).await?;
    crew.stop().await
}

/// Both Nexuses gave it their share in turn, and both counted it.
#[tokio::test]
async fn a_keeper_of_two_deployments_is_counted_by_the_one_whose_share_it_holds_and_left_by_the_other()
-> Result<()> {
    let (mut crew, keepers, shares) = with_data().await?;
    crew.start_nexus().await?;
    crew.ready(PATIENCE).await?;
    // The Nexus of the other deployment gave it that, as ours did until today.
    let other = fresh_shares(3, 2)?;
    keepers[2].hold(&other[2].value);
    let before = keepers[2].given().len();
    crew.check_fails("quorum", "holds a share of another root key").await?;
    // Several updates are due meanwhile.
    keepers[2].asked_again(4).await?;
    assert!(keepers[2].holds(&other[2].value) && keepers[2].given().len() == before);
    let status = crew.status().await?;
    assert_eq!(status.margin, Some(0));
    assert_eq!(status.keepers[2].state, KeeperStatusKind::Foreign);
    assert_eq!(crew.metrics().await?.get("spike_keepers_with_share"), Some(2.0));
    keepers[2].hold(&shares[2].value);
    crew.keepers_good().await?;
    given_nothing_but(&keepers[2], &shares[2]);
    crew.stop().await
}

/// The split follows from the key, so any share of it is known, and nothing is lost by the right one.
#[tokio::test]
async fn shares_of_the_key_in_use_in_another_order_or_of_another_threshold_are_put_right()
-> Result<()> {
    let (mut crew, keepers, shares) = with_data().await?;
    let key: RootKey = combine(&[&shares[0], &shares[1]], 2)?;
    let higher = split(&key, Quorum::new(3, 3)?, Derivation::Reject);
    keepers[0].hold(&shares[1].value);
    keepers[1].hold(&shares[0].value);
    keepers[2].hold(&higher[2].value);
    crew.start_nexus().await?;
    crew.sealed_because("no 2 of them belong together").await?;
    restore(&mut crew, &shares).await?;
    crew.keepers_good().await?;
    for (keeper, share) in keepers.iter().zip(&shares) {
        assert!(keeper.holds(&share.value), "Keeper {}", share.index);
    }
    assert_eq!(shares[0].index, ShareIndex::new(1)?);
    crew.stop().await
}
