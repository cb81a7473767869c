//! Nexus reports only what it has seen of its Keepers, and asks them at the right intervals.

use std::{fs, time::Duration};

use anyhow::Result;
use http::StatusCode;
use spike_mtls::clock;
use spike_tests::{
    PATIENCE, eventually,
    fake_keeper::{FakeKeeper, ReservedAddress},
};
use spike_wire::KeeperStatusKind;
use time::format_description::well_known::Rfc2822;

use super::{fresh_shares, on_fakes};
use crate::crew;

/// A Keeper that answers 200 and keeps nothing was shown as good.
#[tokio::test]
async fn a_keeper_that_says_it_took_its_share_and_forgets_it_is_never_shown_as_good() -> Result<()>
{
    let (mut crew, keepers, shares) = on_fakes(3, 2).await?;
    for (keeper, share) in keepers.iter().zip(&shares) {
        keeper.hold(&share.value);
    }
    crew.ready(PATIENCE).await?;
    crew.keepers_good().await?;
    assert_eq!(crew.status().await?.margin, Some(1));
    keepers[2].forget(true);
    crew.check_fails("quorum", "takes its share and sends no share when it is asked").await?;
    for look in 0..60 {
        let status = crew.status().await?;
        assert_ne!(status.keepers[2].state, KeeperStatusKind::Good, "look {look}");
        assert_eq!(status.margin, Some(0), "look {look}");
    }
    let since = crew.status().await?.keepers[2].since.clone();
    eventually("several failures", PATIENCE, async || {
        Ok((crew.status().await?.keepers[2].failures >= 4).then_some(()))
    })
    .await?;
    let status = crew.status().await?;
    assert_eq!(status.keepers[2].state, KeeperStatusKind::Forgetful);
    assert_eq!(status.keepers[2].since, since, "it is one trouble, not many");
    let metrics = crew.metrics().await?;
    assert_eq!(metrics.get("spike_quorum_margin"), Some(0.0));
    assert_eq!(metrics.get("spike_keepers_with_share"), Some(2.0));
    let forgotten = metrics.get(r#"spike_keeper_contributions_total{outcome="forgotten"}"#);
    assert!(forgotten.is_some_and(|count| count >= 2.0), "{forgotten:?}");
    let told = "a Keeper said that it took its share, and does not give it back";
    assert_eq!(crew.log("nexus")?.matches(told).count(), 1);

    keepers[2].forget(false);
    crew.keepers_good().await?;
    let status = crew.status().await?;
    assert_eq!((status.margin, status.keepers[2].failures), (Some(1), 0));
    assert_eq!(crew.health_check("quorum").await?["status"], "ok");
    assert!(status.keepers.iter().all(|keeper| keeper.looked.is_some()));
    crew.stop().await
}

/// The margin counted Keepers with unjudged shares, and with shares of another key.
#[tokio::test]
async fn the_margin_counts_no_keeper_that_nobody_has_judged_and_none_of_another_key() -> Result<()>
{
    let (mut crew, keepers, shares) = on_fakes(4, 3).await?;
    keepers[0].hold(&shares[0].value);
    keepers[1].hold(&shares[1].value);
    crew.sealed_because("2 of 3 shares collected").await?;
    assert_eq!(crew.status().await?.margin, None, "only a key can judge shares");
    assert_eq!(crew.metrics().await?.get("spike_quorum_margin"), Some(-3.0));

    // Two Keepers hold shares of another key, and take none of this one.
    let foreign = fresh_shares(4, 3)?;
    for position in [2, 3] {
        keepers[position].refuse(Some(StatusCode::INTERNAL_SERVER_ERROR));
        keepers[position].hold(&foreign[position].value);
    }
    for share in &shares[..3] {
        crew.feed(share).await?;
    }
    crew.ready(PATIENCE).await?;
    crew.check_fails("quorum", "2 of 4 Keepers hold their share, 3 are needed").await?;
    let status = crew.status().await?;
    assert_eq!(status.margin, Some(-1));
    assert_eq!(status.keepers[3].state, KeeperStatusKind::Foreign);
    crew.stop().await
}

/// The setting had no effect: Keepers were asked every 0.4 s.
#[tokio::test]
async fn the_longest_pause_is_the_one_that_is_set_and_any_change_ends_it() -> Result<()> {
    let addresses = ReservedAddress::several(3).await?;
    let urls: Vec<String> = addresses.iter().map(ReservedAddress::url).collect();
    let plan = crew().keepers_at(&urls, 2).setting("SPIKE_NEXUS_RECOVERY_MAX_INTERVAL", "5m");
    let mut crew = plan.start_sealed().await?;
    let keepers: Vec<FakeKeeper> =
        addresses.into_iter().map(|address| address.serve(&crew)).collect::<Result<_>>()?;
    let resting = async || {
        eventually("a pause of two seconds", PATIENCE, async || {
            let before = keepers[0].asked();
            tokio::time::sleep(Duration::from_secs(2)).await;
            Ok((keepers[0].asked() == before).then_some(()))
        })
        .await
    };
    resting().await?;
    let before = keepers[0].asked();
    crew.feed(&fresh_shares(3, 2)?[0]).await?;
    eventually("questions after an operator fed a share", PATIENCE, async || {
        Ok((keepers[0].asked() > before).then_some(()))
    })
    .await?;
    // A restart gives the restore up: during one, Bootstrap makes no key. Bootstrap has Nexus ask at once.
    crew.crash_nexus().await?;
    resting().await?;
    let told = crew.bootstrap(&[]).await?;
    assert_eq!(told.status, 0, "{}", told.text);
    crew.ready(PATIENCE).await?;
    crew.keepers_good().await?;
    crew.stop().await
}

/// Eight ERROR lines a second, and a question to every Keeper each time.
#[tokio::test]
async fn a_store_that_does_not_open_is_told_once_and_opened_when_it_can_be() -> Result<()> {
    let (mut crew, keepers, shares) = on_fakes(3, 2).await?;
    fs::create_dir_all(crew.dir().join("data"))?;
    let lock = fs::File::create(crew.dir().join("data/nexus.lock"))?;
    lock.try_lock()?;
    for (keeper, share) in keepers.iter().zip(&shares) {
        keeper.hold(&share.value);
    }
    crew.sealed_because("in use by another process").await?;
    keepers[0].asked_again(3).await?;
    let log = crew.log("nexus")?;
    let told = log.matches("the key of the Keepers' shares cannot be used").count();
    assert_eq!(told, 1, "{log}");
    // The shares are not needed again.
    for keeper in &keepers {
        keeper.lose();
    }
    drop(lock);
    crew.ready(PATIENCE).await?;
    crew.keepers_good().await?;
    for (keeper, share) in keepers.iter().zip(&shares) {
        assert!(keeper.holds(&share.value), "Keeper {}", share.index);
    }
    crew.stop().await
}

/// A clock that is off breaks certificates, and nothing compared clocks.
#[tokio::test]
async fn a_keeper_whose_clock_is_minutes_off_is_told_by_the_check_the_metric_and_the_log()
-> Result<()> {
    let (mut crew, keepers, shares) = on_fakes(3, 2).await?;
    for (keeper, share) in keepers.iter().zip(&shares) {
        keeper.hold(&share.value);
    }
    crew.ready(PATIENCE).await?;
    assert_eq!(crew.health_check("clock").await?["status"], "ok");
    for (ahead, words) in
        [(3600, "s behind that of Keeper 2"), (-3600, "s ahead of that of Keeper 2")]
    {
        let date = clock::now() + time::Duration::seconds(ahead);
        keepers[1].set_date(Some(date.format(&Rfc2822)?));
        crew.check_fails("clock", words).await?;
        assert_eq!(crew.nexus().get("/readyz").await?.0, 200, "it works all the same");
        let seen = crew.metrics().await?.get("spike_clock_difference_seconds").unwrap_or_default();
        assert!(seen.abs() > 3000.0 && (seen > 0.0) == (ahead > 0), "{seen}");
    }
    keepers[1].set_date(None);
    eventually("the clocks agree again", PATIENCE, async || {
        Ok((crew.health_check("clock").await?["status"] == "ok").then_some(()))
    })
    .await?;
    assert_eq!(crew.metrics().await?.get("spike_clock_difference_seconds"), Some(0.0));
    assert!(crew.log("nexus")?.contains("clocks differ"));
    crew.stop().await
}
