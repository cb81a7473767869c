//! Which key comes into use where no data checks it.

use anyhow::{Result, bail};
use spike_crypto::{RootKey, Share};
use spike_daemon::settings::Backend;
use spike_mtls::client::CallError;
use spike_tests::{
    PATIENCE, SUPERUSER,
    crew::Crew,
    eventually,
    fake_keeper::{FakeKeeper, ReservedAddress},
};
use spike_wire::SealedBy;

use super::shares_of_a_key;
use crate::crew;

/// A sealed crew of that backend on fake Keepers, which hold nothing.
async fn on_fakes(
    backend: Backend,
    count: usize,
    threshold: u16,
) -> Result<(Crew, Vec<FakeKeeper>)> {
    let addresses = ReservedAddress::several(count).await?;
    let urls: Vec<String> = addresses.iter().map(ReservedAddress::url).collect();
    let mut plan = crew().backend(backend).keepers_at(&urls, threshold);
    if matches!(backend, Backend::Sqlite) {
        plan = plan.setting("SPIKE_NEXUS_ACCEPT_NEW_STORE", "true");
    }
    let crew = plan.start_sealed().await?;
    let keepers =
        addresses.into_iter().map(|address| address.serve(&crew)).collect::<Result<_>>()?;
    Ok((crew, keepers))
}

async fn refused(crew: &Crew, shares: &[Share]) -> Result<String> {
    let Some((last, first)) = shares.split_last() else { bail!("no share") };
    for share in first {
        crew.feed_with_more(share, true).await?;
    }
    match crew.feed(last).await {
        Ok(answer) => bail!("it was taken: {answer:?}"),
        Err(error) => match error.downcast()? {
            CallError::Refused(refusal) => Ok(refusal.reason.unwrap_or_default()),
            other => Err(other.into()),
        },
    }
}

/// The key of the Keepers that answered first was taken, another one at each start.
#[tokio::test]
async fn keepers_that_hold_two_whole_keys_give_a_nexus_without_data_neither_of_them() -> Result<()>
{
    for backend in [Backend::Lite, Backend::Sqlite] {
        let (mut crew, keepers) = on_fakes(backend, 4, 2).await?;
        let (one, other) = (shares_of_a_key(4)?, shares_of_a_key(4)?);
        crew.nexus().kill().await?;
        for (place, keeper) in keepers.iter().enumerate() {
            keeper.hold(if place < 2 { &one[place].value } else { &other[place].value });
        }
        for _ in 0..3 {
            crew.start_nexus().await?;
            let told = crew.sealed_because("; Keepers 3, 4 hold key").await?;
            assert!(told.contains("several keys") && told.contains(": Keepers 1, 2"), "{told}");
            assert_eq!(crew.status().await?.sealed_by, Some(SealedBy::Mismatch));
            crew.nexus().kill().await?;
        }
        // What it says to do.
        crew.start_nexus().await?;
        crew.sealed_because("shares of several keys").await?;
        keepers[2].lose();
        keepers[3].lose();
        crew.ready(PATIENCE).await?;
        let key = spike_crypto::combine(&[&one[0], &one[1]], 2)?;
        assert_eq!(crew.status().await?.root_key, Some(key.fingerprint().to_string()));
        crew.stop().await?;
    }
    Ok(())
}

/// They stayed empty, and the restart of Nexus that everything advised lost the last copy of the key.
#[tokio::test]
async fn keepers_restarted_one_after_another_beside_a_stray_share_lose_no_key() -> Result<()> {
    for backend in [Backend::Lite, Backend::Sqlite] {
        let (mut crew, keepers) = on_fakes(backend, 3, 2).await?;
        let (own, other) = (shares_of_a_key(3)?, shares_of_a_key(3)?);
        let key = spike_crypto::combine(&[&own[0], &own[1]], 2)?.fingerprint().to_string();
        crew.nexus().kill().await?;
        for (place, keeper) in keepers.iter().enumerate() {
            keeper.hold(if place < 2 { &own[place].value } else { &other[place].value });
        }
        crew.start_nexus().await?;
        crew.sealed_because("the share of Keeper 3 belongs to none").await?;

        // Away, and empty when they are back: as in an upgrade.
        for keeper in &keepers[..2] {
            keeper.say(500, "");
            keeper.lose();
        }
        let last = format!("do not restart Nexus: it alone has the whole key {key}");
        crew.sealed_because(&last).await?;
        for command in [["operator", "status"].as_slice(), &["doctor"]] {
            let ran = crew.pilot(SUPERUSER, command).await?;
            let told = String::from_utf8([ran.stdout, ran.stderr].concat())?;
            let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(told.contains("do not restart SPIKE Nexus: it alone"), "{command:?}: {told}");
        }
        let told = crew.bootstrap(&[]).await?;
        assert!(told.status == 3 && told.text.contains("do not restart Nexus"), "{}", told.text);
        for (keeper, share) in keepers.iter().zip(&own[..2]) {
            keeper.be_honest();
            eventually("it has its share back", PATIENCE, async || {
                Ok(keeper.holds(&share.value).then_some(()))
            })
            .await?;
        }
        // It has been given its share before Nexus has read it back.
        eventually("a restart loses nothing", PATIENCE, async || {
            Ok((!crew.status().await?.last_copy).then_some(()))
        })
        .await?;
        let told = crew.sealed_because("Keepers 1, 2 hold key").await?;
        assert!(!told.contains("do not restart"), "{told}");
        assert_eq!(keepers[2].given(), []);

        // What it says to do.
        keepers[2].lose();
        crew.ready(PATIENCE).await?;
        assert_eq!(crew.status().await?.root_key, Some(key));
        crew.stop().await?;
    }
    Ok(())
}

/// Bootstrap made another key, because every Keeper was empty.
#[tokio::test]
async fn two_keys_of_keepers_that_were_all_restarted_are_not_replaced_by_a_third() -> Result<()> {
    let (mut crew, keepers) = on_fakes(Backend::Lite, 4, 2).await?;
    let (one, other) = (shares_of_a_key(4)?, shares_of_a_key(4)?);
    for (place, keeper) in keepers.iter().enumerate() {
        keeper.hold(if place < 2 { &one[place].value } else { &other[place].value });
    }
    crew.crash_nexus().await?;
    crew.sealed_because("; Keepers 3, 4 hold key").await?;
    for keeper in &keepers {
        keeper.say(500, "");
        keeper.lose();
    }
    crew.sealed_because("of which Keepers hold 0").await?;
    keepers.iter().for_each(FakeKeeper::be_honest);
    let told = crew.sealed_because("no Keeper holds a share any more").await?;
    assert!(told.contains("do not restart Nexus") && told.contains("gives none"), "{told}");
    let told = crew.bootstrap(&[]).await?;
    assert!(told.status == 3 && told.text.contains("do not restart Nexus"), "{}", told.text);
    for keeper in &keepers {
        assert_eq!(keeper.given(), []);
    }
    crew.feed(&other[0]).await?;
    assert!(crew.feed(&other[1]).await?.restored);
    crew.stop().await
}

/// Its share was counted for ever, so that a restore was refused where Bootstrap was allowed.
#[tokio::test]
async fn the_share_of_a_keeper_that_was_restarted_speaks_against_no_restore() -> Result<()> {
    let (mut crew, keepers) = on_fakes(Backend::Lite, 3, 2).await?;
    let (own, other) = (shares_of_a_key(3)?, shares_of_a_key(3)?);
    keepers[0].hold(&other[0].value);
    crew.sealed_because("1 of 2 shares collected").await?;
    let told = refused(&crew, &own[..2]).await?;
    assert!(told.contains("none of the 1 shares is that Keepers hold"), "{told}");
    keepers[0].lose();
    crew.sealed_because("0 of 2 shares collected").await?;
    crew.feed(&own[0]).await?;
    let answer = crew.feed(&own[1]).await?;
    assert!(answer.restored && answer.unconfirmed, "{answer:?}");
    crew.stop().await
}

/// One share that did not belong to the others was passed over, whichever key was the right one.
#[tokio::test]
async fn a_keeper_that_comes_back_within_the_wait_is_heard_before_a_key_is_taken() -> Result<()> {
    let (mut crew, keepers) = on_fakes(Backend::Lite, 3, 2).await?;
    let (one, other) = (shares_of_a_key(3)?, shares_of_a_key(3)?);
    crew.nexus().kill().await?;
    keepers[2].say(500, "");
    keepers[0].hold(&one[0].value);
    keepers[1].hold(&one[1].value);
    crew.start_nexus().await?;
    let told = crew.sealed_because("Nexus waits for Keeper 3 at").await?;
    assert!(told.contains("no data to check it"), "{told}");
    keepers[2].be_honest();
    keepers[2].hold(&other[2].value);
    crew.sealed_because("the share of Keeper 3 belongs to none").await?;
    crew.stop().await
}

#[tokio::test]
async fn a_keeper_that_stays_away_is_named_and_the_key_is_taken_without_it() -> Result<()> {
    let (mut crew, keepers) = on_fakes(Backend::Lite, 3, 2).await?;
    let shares = shares_of_a_key(3)?;
    crew.nexus().kill().await?;
    keepers[2].say(500, "");
    keepers[0].hold(&shares[0].value);
    keepers[1].hold(&shares[1].value);
    crew.start_nexus().await?;
    crew.ready(PATIENCE).await?;
    crew.log_says("nexus", "these Keepers did not answer").await?;
    crew.stop().await
}

/// The share of the Keeper that answered first was taken for the key.
#[tokio::test]
async fn lite_with_a_threshold_that_was_lowered_to_one_takes_no_share_for_the_key() -> Result<()> {
    let mut crew = crew().backend(Backend::Lite).start().await?;
    let shares = crew.recover().await?;
    crew.nexus().terminate().await?;
    crew.nexus().set("SPIKE_NEXUS_SHAMIR_THRESHOLD", "1");
    crew.start_nexus().await?;
    crew.sealed_because("they do under threshold 2").await?;
    let told = refused(&crew, &shares[..1]).await?;
    assert!(told.contains("lower than at bootstrap"), "{told}");
    // Nor a recovery share, where no Keeper holds anything to compare it with.
    crew.black_out().await?;
    let told = refused(&crew, &shares[..1]).await?;
    assert!(told.contains("any single share passes for a key"), "{told}");
    let told = refused(&crew, &shares[..2]).await?;
    assert!(told.contains("lower than at bootstrap"), "{told}");
    crew.nexus().terminate().await?;
    crew.nexus().set("SPIKE_NEXUS_SHAMIR_THRESHOLD", "2");
    crew.start_nexus().await?;
    crew.feed(&shares[0]).await?;
    assert!(crew.feed(&shares[1]).await?.restored);
    crew.keepers_good().await?;
    crew.stop().await
}

/// Shares of another cluster were taken, and said to belong to the root key, while the Keepers that held it were cut off.
#[tokio::test]
async fn lite_takes_no_restored_key_while_keepers_do_not_answer_that_may_hold_another() -> Result<()>
{
    let (mut crew, keepers) = on_fakes(Backend::Lite, 3, 2).await?;
    let (own, other) = (shares_of_a_key(3)?, shares_of_a_key(3)?);
    crew.nexus().kill().await?;
    for keeper in &keepers {
        keeper.say(500, "");
    }
    crew.start_nexus().await?;
    let told = refused(&crew, &other[..2]).await?;
    for part in ["no answer of Keeper 1 at", "Bring these Keepers back", "ACCEPT_NEW_STORE"] {
        assert!(told.contains(part), "{told}");
    }
    for (keeper, share) in keepers.iter().zip(&own) {
        keeper.hold(&share.value);
        keeper.be_honest();
    }
    crew.ready(PATIENCE).await?;
    let key: RootKey = spike_crypto::combine(&[&own[0], &own[1]], 2)?;
    assert_eq!(crew.status().await?.root_key, Some(key.fingerprint().to_string()));

    // The operator knows that they are gone for good.
    crew.nexus().kill().await?;
    for keeper in &keepers {
        keeper.say(500, "");
    }
    crew.nexus().set("SPIKE_NEXUS_ACCEPT_NEW_STORE", "true");
    crew.start_nexus().await?;
    crew.feed(&own[0]).await?;
    let answer = crew.feed(&own[1]).await?;
    assert!(answer.restored && answer.unconfirmed, "{answer:?}");
    crew.check_fails("new_store", "SPIKE_NEXUS_ACCEPT_NEW_STORE is set").await?;
    crew.stop().await
}

/// All Keepers were restarted: one step brings the key back, and nothing is said to have been compared.
#[tokio::test]
async fn after_every_keeper_was_restarted_lite_is_restored_in_one_step() -> Result<()> {
    let mut crew = crew().backend(Backend::Lite).start().await?;
    let shares = crew.recover().await?;
    let key = crew.status().await?.root_key;
    crew.black_out().await?;
    assert!(!crew.feed_with_more(&shares[0], true).await?.restored);
    let answer = crew.feed(&shares[2]).await?;
    assert!(answer.restored && answer.unconfirmed, "{answer:?}");
    assert_eq!(crew.status().await?.root_key, key);
    crew.keepers_good().await?;
    crew.stop().await
}
