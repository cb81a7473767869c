//! Nexus and Bootstrap name different Keepers: those of another deployment, perhaps. A key is made only where both name the same.

use std::fs;

use anyhow::Result;
use http::StatusCode;
use spike_tests::{
    PATIENCE,
    crew::Crew,
    eventually,
    fake_keeper::{FakeKeeper, ReservedAddress},
};

use super::{
    IMPATIENT, marker, no_keeper_holds_a_share, no_share_was_replaced, on_fakes, with_data,
};
use crate::{crew, keepers::fresh_shares};

/// Starts Nexus of a new deployment with these Keepers in place of its own.
async fn with_keepers(crew: &mut Crew, urls: &[String]) -> Result<()> {
    crew.nexus().terminate().await?;
    crew.nexus().set("SPIKE_NEXUS_KEEPER_PEERS", &urls.join(","));
    crew.start_nexus().await
}

fn own(crew: &mut Crew) -> Result<Vec<String>> {
    (1..=3).map(|index| crew.keeper_url(index)).collect()
}

/// Nexus said that there is a key and no data, and Bootstrap made another one all the same.
#[tokio::test]
async fn beside_a_nexus_that_names_keepers_of_another_deployment_it_makes_no_key() -> Result<()> {
    let mut crew = crew().start_sealed().await?;
    let addresses = ReservedAddress::several(3).await?;
    let urls: Vec<String> = addresses.iter().map(ReservedAddress::url).collect();
    let others: Vec<FakeKeeper> =
        addresses.into_iter().map(|address| address.serve(&crew)).collect::<Result<_>>()?;
    let shares = fresh_shares(3, 2)?;
    for (other, share) in others.iter().zip(&shares) {
        other.hold(&share.value);
    }
    with_keepers(&mut crew, &urls).await?;
    crew.sealed_because("there is a key").await?;
    let told = crew.bootstrap(&IMPATIENT).await?;
    assert_eq!(told.status, 3, "{}", told.text);
    for part in [
        &format!("Keeper 1 of Nexus, at {}, holds a share", urls[0]),
        &format!("has the address {} at Nexus", urls[2]),
        "there is a key",
        "so that both name the same Keepers",
    ] {
        assert!(told.text.contains(part), "{part}: {}", told.text);
    }
    let (_, hint) = told.text.split_once("hint: ").unwrap_or_default();
    assert!(!hint.contains("SPIKE_NEXUS_ACCEPT_NEW_STORE"), "{hint}");
    no_keeper_holds_a_share(&mut crew).await?;
    assert!(others.iter().all(|other| other.given().is_empty()));

    // As it says.
    let own = own(&mut crew)?;
    with_keepers(&mut crew, &own).await?;
    let told = crew.bootstrap(&[]).await?;
    assert_eq!(told.status, 0, "{}", told.text);
    crew.ready(PATIENCE).await?;
    crew.stop().await
}

/// A Keeper that Nexus could use was taken for the own one under another name: the key came into use with a share that Nexus never
/// found.
#[tokio::test]
async fn where_one_keeper_alone_differs_it_makes_no_key_and_names_both_addresses() -> Result<()> {
    let mut crew = crew().start_sealed().await?;
    let address = ReservedAddress::new().await?;
    let other = address.url();
    let keeper = address.serve(&crew)?;
    let mut urls = own(&mut crew)?;
    let third = std::mem::replace(&mut urls[2], other.clone());
    with_keepers(&mut crew, &urls).await?;
    keeper.asked_again(1).await?;
    let told = crew.bootstrap(&IMPATIENT).await?;
    assert_eq!(told.status, 1, "{}", told.text);
    let part = format!("Keeper 3 at {third} has the address {other} at Nexus");
    assert!(told.text.contains(&part), "{}", told.text);
    no_keeper_holds_a_share(&mut crew).await?;
    assert_eq!(keeper.given(), []);
    crew.stop().await
}

/// It ended with 0 and remembered that it was done, and no run after it made a key.
#[tokio::test]
async fn at_the_nexus_of_another_deployment_it_ends_with_3_and_remembers_nothing() -> Result<()> {
    let mut crew = with_data().await?;
    fs::remove_file(marker(&crew))?;
    let addresses = ReservedAddress::several(3).await?;
    let urls: Vec<String> = addresses.iter().map(ReservedAddress::url).collect();
    let others: Vec<FakeKeeper> =
        addresses.into_iter().map(|address| address.serve(&crew)).collect::<Result<_>>()?;
    let (peers, first) = (urls.join(","), crew.keeper_url(1)?);
    let nexus = format!("Keeper 1 of Nexus is at {first}");
    for forced in ["false", "true"] {
        let settings =
            [("SPIKE_NEXUS_KEEPER_PEERS", peers.as_str()), ("SPIKE_BOOTSTRAP_FORCE", forced)];
        let told = crew.bootstrap(&settings).await?;
        assert_eq!(told.status, 3, "{}", told.text);
        for part in ["SPIKE_NEXUS_API_URL", &urls[0], &urls[2], &nexus] {
            assert!(told.text.contains(part), "{part}: {}", told.text);
        }
        assert!(!told.text.contains("stop Nexus"), "it is not theirs: {}", told.text);
        assert!(!marker(&crew).exists());
    }
    assert!(others.iter().all(|other| other.given().is_empty()));
    no_share_was_replaced(&crew)?;
    eventually("its own Bootstrap finds the key", PATIENCE, async || {
        Ok((crew.bootstrap(&[]).await?.status == 0).then_some(()))
    })
    .await?;
    crew.stop().await
}

/// Both runs said that the other was faster, and nobody was; each further run said so again.
#[tokio::test]
async fn shares_of_two_runs_at_the_same_time_are_told_of_and_a_restart_of_the_keepers_clears_them()
-> Result<()> {
    let (mut crew, keepers) = on_fakes(3, 2).await?;
    // The other run was faster at this one.
    keepers[1].refuse(Some(StatusCode::CONFLICT));
    let told = crew.bootstrap(&[]).await?;
    assert_eq!(told.status, 3, "{}", told.text);
    for part in [
        "shares of two root keys",
        &format!(
            "Keeper 1 at {} took a share of the key of this run",
            crew.status().await?.keepers[0].url
        ),
        "holds a share of another key, and keeps it",
        "Nothing was stored under either key",
        "stop Nexus, restart all these Keepers",
    ] {
        assert!(told.text.contains(part), "{part}: {}", told.text);
    }
    assert!(!told.text.contains("was faster"), "{}", told.text);
    assert!(!marker(&crew).exists());

    // As it says.
    keepers[1].refuse(None);
    crew.nexus().terminate().await?;
    keepers.iter().for_each(FakeKeeper::lose);
    crew.start_nexus().await?;
    let told = crew.bootstrap(&[]).await?;
    assert_eq!(told.status, 0, "{}", told.text);
    crew.ready(PATIENCE).await?;
    crew.keepers_good().await?;
    crew.stop().await
}

#[tokio::test]
async fn where_every_keeper_has_a_share_of_another_run_that_one_was_faster() -> Result<()> {
    let (crew, keepers) = on_fakes(3, 2).await?;
    for keeper in &keepers {
        keeper.refuse(Some(StatusCode::CONFLICT));
    }
    let told = crew.bootstrap(&[]).await?;
    assert_eq!(told.status, 3, "{}", told.text);
    assert!(told.text.contains("was faster, and has given every Keeper a share"), "{}", told.text);
    crew.stop().await
}

/// "Check that it has the same Keepers", it said, and named the full disk nowhere.
#[tokio::test]
async fn a_store_that_cannot_be_made_at_the_proof_is_named_with_the_reason_of_nexus() -> Result<()>
{
    let mut crew = crew().start_sealed().await?;
    let data = crew.dir().join("data");
    fs::create_dir_all(&data)?;
    // The directory cannot take a database. Even root cannot write there.
    let in_the_way = data.join("nexus.db.new");
    fs::create_dir(&in_the_way)?;
    fs::write(in_the_way.join("file"), "")?;
    let told = crew.bootstrap(&IMPATIENT).await?;
    assert_eq!(told.status, 1, "{}", told.text);
    for part in ["the store cannot be opened", "nexus.db.new", "mend what Nexus says of its store"]
    {
        assert!(told.text.contains(part), "{part}: {}", told.text);
    }
    assert!(!told.text.contains("the same threshold"), "{}", told.text);

    // As it says.
    fs::remove_dir_all(&in_the_way)?;
    crew.nexus().terminate().await?;
    crew.kill_keepers(1..=3).await?;
    crew.restart_keepers(1..=3).await?;
    crew.start_nexus().await?;
    let told = crew.bootstrap(&[]).await?;
    assert_eq!(told.status, 0, "{}", told.text);
    crew.ready(PATIENCE).await?;
    crew.stop().await
}
