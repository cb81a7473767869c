//! The list of Keepers while the root key lives: what may change in it, as `docs/operations/keepers.md` says.

use anyhow::Result;
use spike_tests::{
    PATIENCE,
    crew::Crew,
    fake_keeper::{FakeKeeper, ReservedAddress},
    secrets::value_of,
};

use super::with_data;

/// Restarts Nexus with these Keepers, and waits until each of them holds its share.
async fn restarted_with(crew: &mut Crew, urls: &[String]) -> Result<()> {
    crew.nexus().terminate().await?;
    crew.nexus().set("SPIKE_NEXUS_KEEPER_PEERS", &urls.join(","));
    crew.nexus().set("SPIKE_NEXUS_SHAMIR_SHARES", &urls.len().to_string());
    crew.start_nexus().await?;
    crew.ready(PATIENCE).await?;
    crew.keepers_good().await
}

// No page said whether a list of Keepers can ever change. A share depends on the key, the threshold and its number only.
#[tokio::test]
async fn a_keeper_moves_to_another_url_and_keepers_are_added_and_taken_away_at_the_end()
-> Result<()> {
    let mut crew = with_data(3, 2).await?;
    let key = crew.status().await?.root_key;
    let new = ReservedAddress::several(3).await?;
    let urls = [crew.keeper_url(1)?, new[0].url(), crew.keeper_url(3)?, new[1].url(), new[2].url()];
    let keepers: Vec<FakeKeeper> =
        new.into_iter().map(|address| address.serve(&crew)).collect::<Result<_>>()?;
    restarted_with(&mut crew, &urls).await?;
    let status = crew.status().await?;
    assert_eq!((status.margin, &status.root_key), (Some(3), &key));
    assert!(keepers.iter().all(|keeper| keeper.given().len() == 1), "{keepers:?}");
    restarted_with(&mut crew, &urls[..3]).await?;
    let status = crew.status().await?;
    assert_eq!((status.margin, &status.root_key), (Some(1), &key));
    assert_eq!(value_of(&crew.superuser()?, "a/b", 0, "k").await?, "precious");
    crew.stop().await
}
