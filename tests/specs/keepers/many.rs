//! More shares than every choice can be tried of, some of them wrong.

use anyhow::Result;
use spike_tests::{PATIENCE, secrets::value_of};

use super::fakes::{fresh_shares, given_nothing_but, with_a_secret};

/// The wrong ones were placed so that no run of neighbours was whole: Nexus tried the same 2000 choices each time, stayed sealed, and
/// said that no 10 of the shares belong together.
#[tokio::test]
async fn fifteen_honest_keepers_of_twenty_unseal_nexus_wherever_the_others_are() -> Result<()> {
    let (mut crew, keepers, shares) = with_a_secret(20, 10).await?;
    for place in [0, 4, 8, 12, 16] {
        keepers[place].hold(&fresh_shares(20, 10)?[place].value);
    }
    crew.start_nexus().await?;
    crew.ready(PATIENCE).await?;
    assert_eq!(value_of(&crew.superuser()?, "a/b", 0, "k").await?, "precious");
    for (place, (keeper, share)) in keepers.iter().zip(&shares).enumerate() {
        if keeper.holds(&share.value) {
            given_nothing_but(keeper, share);
        } else {
            assert_eq!(place % 4, 0, "Keeper {} lost its share", share.index);
        }
    }
    crew.stop().await
}

/// One choice of 9880 is right. Nobody tried others than the first 2000.
#[tokio::test]
async fn nexus_goes_on_to_try_other_choices_while_the_same_shares_are_there() -> Result<()> {
    let (mut crew, keepers, _) = with_a_secret(40, 3).await?;
    for (place, keeper) in keepers.iter().enumerate() {
        if ![3, 17, 31].contains(&place) {
            keeper.hold(&fresh_shares(40, 3)?[place].value);
        }
    }
    crew.start_nexus().await?;
    crew.ready(20 * PATIENCE).await?;
    assert_eq!(value_of(&crew.superuser()?, "a/b", 0, "k").await?, "precious");
    crew.stop().await
}
