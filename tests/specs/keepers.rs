//! Faulty Keepers (cli-config-deploy 7.3; F1, F2, F4, F5, F16, F18): data and good shares stay unharmed, and the operator sees
//! the fault. A Keeper only ever gets its own share of the key in use, and loses no share of another key by it.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};
use spike_crypto::{Derivation, Quorum, RootKey, split};
use spike_tests::{
    PATIENCE, SUPERUSER,
    crew::Crew,
    eventually,
    fake_keeper::answer,
    secrets::{put, value_of},
};
use spike_wire::{KeeperStatusKind, SealedBy, ShardResponse};

pub(crate) use self::fakes::fresh_shares;
use self::fakes::{given_nothing_but, on_fakes};
use crate::crew;

mod endless;
mod fakes;
mod foreign;
mod given_back;
mod kept;
mod listed_twice;
mod looks;
mod many;
mod places;
mod sealed;

/// The order of the P-256 group (FIPS 186-5): the first number that is no scalar.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// Wrong answers of a Keeper, with its state for an operator.
fn bad_answers() -> Vec<(u16, String, KeeperStatusKind)> {
    use KeeperStatusKind::{Empty, Unusable};
    let body = |text: &str| text.to_owned();
    vec![
        (200, body(r#"{"shard":null,"Err":""}"#), Unusable),
        (200, body("{}"), Unusable),
        (200, body("null"), Unusable),
        (200, body(""), Unusable),
        (200, body("no JSON"), Unusable),
        (200, body(r#"{"shard":"AAAA","Err":""}"#), Unusable),
        (200, body(r#"{"shard":[256],"Err":""}"#), Unusable),
        (200, answer(&[7; 31]), Unusable),
        (200, answer(&[7; 33]), Unusable),
        (200, answer(&[7; 100_000]), Unusable),
        (200, answer(&[7; 32]).replace("Err", &"more".repeat(17_000)), Unusable),
        (200, answer(&[0; 32]), Unusable),
        (200, answer(&ORDER), Unusable),
        (200, answer(&[0xff; 32]), Unusable),
        (500, body(r#"{"shard":null,"Err":"api_internal_error"}"#), Unusable),
        (401, body(r#"{"shard":null,"Err":"access_unauthorized"}"#), Unusable),
        (404, body(r#"{"shard":null,"Err":"api_not_found"}"#), Empty),
        (400, body(r#"{"shard":null,"Err":"api_bad_request"}"#), Empty),
    ]
}

/// F4, F5, Q-39: one answer without a share ends upstream's Nexus, and so does a number that is no scalar.
#[tokio::test]
async fn null_short_long_zero_and_impossible_shares_are_passed_over_and_put_right() -> Result<()> {
    let bad = bad_answers();
    let (mut crew, keepers, shares) = on_fakes(u16::try_from(bad.len())? + 2, 2).await?;
    for (keeper, (status, body, _)) in keepers.iter().zip(&bad) {
        keeper.say(*status, body.clone());
    }
    keepers[bad.len()].hold(&shares[bad.len()].value);
    crew.sealed_because("1 of 2 shares collected").await?;
    for keeper in &keepers {
        keeper.asked_again(2).await?;
    }
    let status = crew.status().await?;
    for (keeper, (_, body, kind)) in status.keepers.iter().zip(&bad) {
        assert_eq!(keeper.state, *kind, "{}", body.get(..60).unwrap_or(body));
    }
    assert!(keepers.iter().all(|keeper| keeper.given().is_empty()), "given while there is no key");

    // With one more good share all are corrected that show what they hold: no share. The others may hold one of another key.
    keepers[bad.len() + 1].hold(&shares[bad.len() + 1].value);
    crew.ready(PATIENCE).await?;
    let tells = |(status, body, _): &(u16, String, _)| {
        matches!(status, 400 | 404)
            || (*status == 200
                && ShardResponse::decode(body.as_bytes()).is_ok()
                && body.len() < 65536)
    };
    let (shown, hidden): (Vec<usize>, Vec<usize>) =
        (0..bad.len()).partition(|position| tells(&bad[*position]));
    assert!(shown.len() > 5 && hidden.len() > 5, "{shown:?} {hidden:?}");
    let gets_its_share = async |position: usize| {
        let (keeper, share) = (&keepers[position], &shares[position]);
        eventually("its share", PATIENCE, async || Ok(keeper.holds(&share.value).then_some(())))
            .await
            .with_context(|| format!("Keeper {}", share.index))?;
        keeper.be_honest();
        anyhow::Ok(())
    };
    for position in shown {
        gets_its_share(position).await?;
    }
    for position in &hidden {
        keepers[*position].asked_again(2).await?;
        assert_eq!(keepers[*position].given(), [], "{}", bad[*position].1);
        keepers[*position].be_honest();
    }
    for position in hidden {
        gets_its_share(position).await?;
    }
    crew.keepers_good().await?;
    for (keeper, share) in keepers.iter().zip(&shares) {
        given_nothing_but(keeper, share);
    }
    crew.stop().await
}

/// F1: upstream takes the first shares that come, whatever they are of, and gives every Keeper shares of the outcome.
#[tokio::test]
async fn a_share_of_another_key_is_found_out_and_named() -> Result<()> {
    let (mut crew, keepers, shares) = on_fakes(5, 3).await?;
    let foreign = fresh_shares(5, 3)?;
    for position in [0, 2, 4] {
        keepers[position].hold(&shares[position].value);
    }
    crew.ready(PATIENCE).await?;
    // From here on there is data, which shows the right key.
    crew.keepers_good().await?;
    crew.nexus().kill().await?;
    keepers[1].hold(&foreign[1].value);
    crew.start_nexus().await?;
    crew.ready(PATIENCE).await?;
    crew.log_says("nexus", "a share of another root key is left to its Keeper").await?;
    crew.check_fails("quorum", "holds a share of another root key").await?;
    assert!(keepers[1].holds(&foreign[1].value));
    // It was restarted. What it sent is reported for as long as Nexus runs, because somebody must find the cause.
    keepers[1].lose();
    crew.keepers_good().await?;
    for (keeper, share) in keepers.iter().zip(&shares) {
        assert!(keeper.holds(&share.value), "Keeper {}", share.index);
        given_nothing_but(keeper, share);
    }
    let told = crew.pilot(SUPERUSER, &["operator", "status"]).await?;
    let told = String::from_utf8(told.stdout)?;
    let lied = told.lines().find(|line| line.starts_with("Keeper 2 ")).unwrap_or_default();
    let sent = "it sent a share of another root key";
    assert!(lied.contains(": good, ") && lied.contains(sent), "{told}");
    assert_eq!(told.matches("instead of its share").count(), 1, "{told}");
    crew.stop().await
}

/// F18: a Bootstrap that was run twice and died each time.
#[tokio::test]
async fn of_two_half_delivered_keys_none_counts_before_its_threshold_and_the_rest_is_left_where_it_is()
-> Result<()> {
    let (mut crew, keepers, shares) = on_fakes(4, 2).await?;
    let other = fresh_shares(4, 2)?;
    keepers[0].hold(&shares[0].value);
    crew.sealed_because("1 of 2 shares collected").await?;
    keepers[1].hold(&other[1].value);
    crew.sealed_because("no 2 of them belong together").await?;
    assert!(!crew.dir().join("data/nexus.db").exists());
    for keeper in &keepers {
        assert_eq!(keeper.given(), []);
    }
    // There is no data that would show which key is right.
    keepers[2].hold(&shares[2].value);
    crew.sealed_because("the share of Keeper 2 belongs to none of these").await?;
    assert!(keepers[1].holds(&other[1].value));
    for keeper in &keepers {
        assert_eq!(keeper.given(), []);
    }
    keepers[1].lose();
    crew.ready(PATIENCE).await?;
    crew.keepers_good().await?;
    for (keeper, share) in keepers.iter().zip(&shares) {
        assert!(keeper.holds(&share.value), "Keeper {}", share.index);
        given_nothing_but(keeper, share);
    }
    crew.stop().await
}

/// The reported state was that of the slowest attempt, not of the last.
#[tokio::test]
async fn nexus_tells_how_many_shares_there_are_and_not_how_many_there_were() -> Result<()> {
    const COUNT: u16 = 60;
    let (mut crew, keepers, shares) = on_fakes(COUNT, COUNT).await?;
    for (keeper, share) in keepers.iter().zip(&shares).skip(1) {
        keeper.hold(&share.value);
    }
    // All answer at once when Nexus starts.
    for round in 0..10 {
        crew.crash_nexus().await?;
        crew.sealed_because("59 of 60 shares collected").await?;
        keepers[0].asked_again(2).await?;
        crew.sealed_because("59 of 60 shares collected")
            .await
            .with_context(|| format!("{round}"))?;
    }
    crew.stop().await
}

#[tokio::test]
async fn a_keeper_that_is_seeded_late_is_noticed_by_itself() -> Result<()> {
    let (mut crew, keepers, shares) = on_fakes(3, 2).await?;
    keepers[2].hold(&shares[2].value);
    crew.sealed_because("1 of 2 shares collected").await?;
    keepers[0].asked_again(5).await?;
    keepers[0].hold(&shares[0].value);
    crew.ready(PATIENCE).await?;
    crew.keepers_good().await?;
    crew.stop().await
}

/// F2: Keepers that a release of each derivation has filled (crypto-and-storage 2.7).
#[tokio::test]
async fn shares_of_both_derivations_of_one_key_are_shares_of_one_key() -> Result<()> {
    let (mut crew, keepers, _) = on_fakes(5, 2).await?;
    let (key, quorum) = (RootKey::generate()?, Quorum::new(5, 2)?);
    let (old, new) =
        (split(&key, quorum, Derivation::Xmd), split(&key, quorum, Derivation::Reject));
    keepers[0].hold(&old[0].value);
    keepers[1].hold(&new[1].value);
    crew.sealed_because("no 2 of them belong together").await?;
    keepers[2].hold(&old[2].value);
    crew.ready(PATIENCE).await?;
    assert_eq!(crew.status().await?.root_key, Some(key.fingerprint().to_string()));
    for (keeper, share) in keepers.iter().zip(&new) {
        eventually("the newer share", PATIENCE, async || {
            Ok(keeper.holds(&share.value).then_some(()))
        })
        .await?;
        given_nothing_but(keeper, share);
    }
    crew.stop().await
}

async fn with_data(keepers: u16, threshold: u16) -> Result<Crew> {
    let crew = crew().keepers(keepers, threshold).start().await?;
    crew.superuser()?.put_secret(&put("a/b", &[("k", "precious")])).await?;
    Ok(crew)
}

/// Restarts Nexus with a wrong setting, then with the right one. In between Nexus must report `part` and change nothing;
/// afterwards it must be ready.
async fn survives(crew: &mut Crew, name: &str, wrong: &str, right: &str, part: &str) -> Result<()> {
    crew.nexus().terminate().await?;
    let before = fs::read(database(crew))?;
    crew.nexus().set(name, wrong);
    crew.start_nexus().await?;
    crew.sealed_because(part).await?;
    crew.log_says("nexus", "the Keepers' shares make no key").await?;
    assert_eq!(fs::read(database(crew))?, before);
    crew.nexus().terminate().await?;
    crew.nexus().set(name, right);
    crew.start_nexus().await?;
    data_is_there(crew).await
}

async fn data_is_there(crew: &mut Crew) -> Result<()> {
    crew.ready(PATIENCE).await?;
    assert_eq!(value_of(&crew.superuser()?, "a/b", 0, "k").await?, "precious");
    assert!(!crew.log("nexus")?.contains("gave a Keeper its share"), "every Keeper had its own");
    Ok(())
}

fn database(crew: &Crew) -> PathBuf {
    crew.dir().join("data/nexus.db")
}

/// F1, cli-config-deploy 7.3 "secrets unreadable": upstream is "healthy" with a wrong key, lists nothing, and destroys the
/// good shares within its update interval.
#[tokio::test]
async fn keepers_in_another_order_make_no_key_and_nexus_says_which_setting_to_look_at() -> Result<()>
{
    let mut crew = with_data(3, 2).await?;
    let mut urls = Vec::new();
    for index in 1..=3 {
        urls.push(crew.keeper_url(index)?);
    }
    let right = urls.join(",");
    urls.rotate_left(1);
    let part = "was the order of SPIKE_NEXUS_KEEPER_PEERS changed?";
    survives(&mut crew, "SPIKE_NEXUS_KEEPER_PEERS", &urls.join(","), &right, part).await?;
    crew.stop().await
}

#[tokio::test]
async fn a_lowered_threshold_makes_no_key_and_nexus_says_what_it_was() -> Result<()> {
    let mut crew = with_data(5, 3).await?;
    let part = "they do under threshold 3";
    survives(&mut crew, "SPIKE_NEXUS_SHAMIR_THRESHOLD", "2", "3", part).await?;
    crew.stop().await
}

#[tokio::test]
async fn a_raised_threshold_makes_no_key_and_nexus_says_what_it_was() -> Result<()> {
    let mut crew = with_data(3, 2).await?;
    let part = "they do under threshold 2";
    survives(&mut crew, "SPIKE_NEXUS_SHAMIR_THRESHOLD", "3", "2", part).await?;
    crew.stop().await
}

/// "Is the data directory the right one?", it asked, and named the threshold nowhere.
#[tokio::test]
async fn a_threshold_that_was_lowered_to_one_is_named_as_the_cause() -> Result<()> {
    let mut crew = with_data(3, 2).await?;
    crew.nexus().terminate().await?;
    crew.nexus().set("SPIKE_NEXUS_SHAMIR_THRESHOLD", "1");
    crew.start_nexus().await?;
    crew.sealed_because("they do under threshold 2").await?;
    assert_eq!(crew.status().await?.sealed_by, Some(SealedBy::Mismatch));
    crew.nexus().terminate().await?;
    crew.nexus().set("SPIKE_NEXUS_SHAMIR_THRESHOLD", "2");
    crew.start_nexus().await?;
    data_is_there(&mut crew).await?;
    crew.stop().await
}

/// F16: upstream goes on without a store, and every request then ends its handler.
#[tokio::test]
async fn a_store_that_does_not_open_keeps_nexus_sealed_until_it_is_mended_and_nexus_restarted()
-> Result<()> {
    let mut crew = with_data(3, 2).await?;
    crew.nexus().terminate().await?;
    let (database, aside) = (database(&crew), crew.dir().join("aside"));
    fs::rename(&database, &aside)?;
    for (what, reason) in [("garbage", "file is not a database"), ("a directory", "cannot use")] {
        if what == "garbage" {
            fs::write(&database, vec![0x5a; 8192])?;
        } else {
            fs::create_dir(&database)?;
        }
        crew.start_nexus().await?;
        let told = crew.sealed_because(reason).await?;
        assert!(told.contains("the store cannot be opened"), "{what}: {told}");
        crew.log_says("nexus", "the key of the Keepers' shares cannot be used").await?;
        let refused = crew.superuser()?.put_secret(&put("a/b", &[("k", "other")])).await;
        assert_eq!(refused.unwrap_err().status().map(|status| status.as_u16()), Some(503));

        // The fault is repaired while Nexus runs. It cannot know whether that is all.
        if what == "garbage" {
            fs::remove_file(&database)?;
        } else {
            fs::remove_dir(&database)?;
        }
        fs::copy(&aside, &database)?;
        crew.sealed_because("once all files are there, restart it").await?;
        crew.crash_nexus().await?;
        data_is_there(&mut crew).await?;
        crew.nexus().terminate().await?;
        fs::rename(&database, &aside)?;
    }
    fs::rename(&aside, &database)?;
    crew.start_nexus().await?;
    data_is_there(&mut crew).await?;
    crew.stop().await
}

/// cli-config-deploy 3.3: upstream goes on without a store, or with a mode that loses writes.
#[tokio::test]
async fn a_journal_mode_that_would_lose_writes_is_not_used_and_that_is_told() -> Result<()> {
    let mut crew = with_data(3, 2).await?;
    for (mode, told) in
        [("OFF", true), ("MEMORY", true), ("nonsense", true), ("delete", false), ("WAL", false)]
    {
        crew.nexus().terminate().await?;
        crew.nexus().set("SPIKE_NEXUS_DB_JOURNAL_MODE", mode);
        crew.start_nexus().await?;
        data_is_there(&mut crew).await?;
        let warning = format!(r#"SPIKE_NEXUS_DB_JOURNAL_MODE=\"{mode}\""#);
        assert_eq!(crew.log("nexus")?.contains(&warning), told, "{mode}");
        // The mode is written in the file: 2 for a write-ahead log.
        let wal = fs::read(database(&crew))?.get(18) == Some(&2);
        assert_eq!(wal, mode != "delete", "{mode}");
    }
    crew.stop().await
}
