//! Fake Keepers, and the shares that they hold.

use anyhow::Result;
use spike_crypto::{Derivation, Quorum, RootKey, Share, split};
use spike_tests::{
    PATIENCE,
    crew::Crew,
    eventually,
    fake_keeper::{FakeKeeper, ReservedAddress},
    secrets::put,
};
use spike_wire::{ContributeRequest, Shard};

use crate::crew;

/// A crew with fake Keepers, and a key that is split among them.
pub(super) async fn on_fakes(
    count: u16,
    threshold: u16,
) -> Result<(Crew, Vec<FakeKeeper>, Vec<Share>)> {
    let addresses = ReservedAddress::several(count.into()).await?;
    let urls: Vec<String> = addresses.iter().map(ReservedAddress::url).collect();
    // No Bootstrap proves the keys of these Keepers.
    let plan = crew().keepers_at(&urls, threshold).setting("SPIKE_NEXUS_ACCEPT_NEW_STORE", "true");
    let crew = plan.setting("SPIKE_NEXUS_KEEPER_UPDATE_INTERVAL", "500ms").start_sealed().await?;
    let fakes = addresses.into_iter().map(|address| address.serve(&crew)).collect::<Result<_>>()?;
    Ok((crew, fakes, fresh_shares(count, threshold)?))
}

pub(crate) fn fresh_shares(count: u16, threshold: u16) -> Result<Vec<Share>> {
    Ok(split(&RootKey::generate()?, Quorum::new(count, threshold)?, Derivation::Reject))
}

/// Checks that the Keeper only ever got this share, and only from Nexus.
pub(super) fn given_nothing_but(keeper: &FakeKeeper, share: &Share) {
    let request = ContributeRequest { shard: Shard::new(share.value.expose_bytes()) }.encode();
    for given in keeper.given() {
        assert_eq!(given.from, "spiffe://spike.ist/spike/nexus");
        assert!(given.body.as_bytes() == request, "Keeper {} was given another", share.index);
    }
}

/// Waits until the Keeper has its share back, and checks that it got nothing else.
pub(super) async fn has_back(keeper: &FakeKeeper, share: &Share) -> Result<()> {
    eventually("it has its share back", PATIENCE, async || {
        Ok(keeper.holds(&share.value).then_some(()))
    })
    .await?;
    given_nothing_but(keeper, share);
    Ok(())
}

/// As [`on_fakes`], with a secret at `a/b`, and each Keeper has its share. Nexus has ended.
pub(super) async fn with_a_secret(
    count: u16,
    threshold: u16,
) -> Result<(Crew, Vec<FakeKeeper>, Vec<Share>)> {
    let (mut crew, keepers, shares) = on_fakes(count, threshold).await?;
    for (keeper, share) in keepers.iter().zip(&shares) {
        keeper.hold(&share.value);
    }
    crew.ready(PATIENCE).await?;
    crew.superuser()?.put_secret(&put("a/b", &[("k", "precious")])).await?;
    crew.nexus().terminate().await?;
    Ok((crew, keepers, shares))
}
