//! A sealed Nexus that has a whole key and no data for it gives an empty Keeper the share that this Keeper gave it, and nothing else
//! to anybody.

use anyhow::Result;
use spike_tests::fake_keeper::{FakeKeeper, ReservedAddress};

use super::{fresh_shares, given_nothing_but};
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
