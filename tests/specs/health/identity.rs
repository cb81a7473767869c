//! Checks of the identity and the clock of a daemon.

use std::time::Duration;

use anyhow::Result;

use super::course::{Effect, all_fail, all_recover, courses};
use crate::crew;

const BOTH: &[&str] = &["nexus", "keeper-1"];

/// The least by which the clock of the authority must differ is five minutes, and an SVID is valid from a moment before it is made.
const AHEAD: i64 = 400;

#[tokio::test]
async fn a_trust_bundle_that_cannot_be_used_fails_its_check_until_a_sound_one_comes() -> Result<()>
{
    let mut crew = crew().start().await?;
    let mut all = courses(&mut crew, BOTH, &[("trust_bundles", Effect::Degraded)]).await?;
    let workload_api = crew.cluster().workload_api();
    workload_api.send_unsound_bundle("spiffe://broken.example", b"no certificate");
    all_fail(&mut crew, &mut all, &[("trust_bundles", "broken.example")]).await?;
    let sound = crew.ca().root_der().to_vec();
    crew.cluster().workload_api().send_unsound_bundle("spiffe://broken.example", &sound);
    all_recover(&mut crew, all).await?;
    crew.stop().await
}

/// An SVID of an authority whose clock is ahead is not valid yet, too.
#[tokio::test]
async fn an_authority_whose_clock_is_minutes_ahead_fails_two_checks_until_it_is_right_again()
-> Result<()> {
    let mut crew = crew().start().await?;
    let checks = [("clock", Effect::Degraded), ("svid", Effect::NotReady)];
    let mut all = courses(&mut crew, BOTH, &checks).await?;
    crew.cluster().workload_api().set_clock_ahead(AHEAD);
    crew.cluster().workload_api().rotate();
    let parts = [("clock", "s behind that of the authority"), ("svid", "is the clock right?")];
    all_fail(&mut crew, &mut all, &parts).await?;
    crew.cluster().workload_api().set_clock_ahead(0);
    crew.cluster().workload_api().rotate();
    all_recover(&mut crew, all).await?;
    crew.stop().await
}

#[tokio::test]
async fn a_workload_api_that_is_away_fails_its_check_then_that_of_rotation_then_that_of_the_svid()
-> Result<()> {
    // The authority makes them valid from ten seconds before. A shorter one would be late each time, before the agent renews it.
    let mut crew = crew().svid_ttl(Duration::from_mins(1)).start().await?;
    let checks = [
        ("workload_api", Effect::Degraded),
        ("svid_rotation", Effect::Degraded),
        ("svid", Effect::NotReady),
    ];
    let mut all = courses(&mut crew, BOTH, &checks).await?;
    crew.cluster().workload_api().pause().await;
    let parts = [
        ("workload_api", "workload-api.sock"),
        ("svid_rotation", "past half of its life"),
        ("svid", "expired at"),
    ];
    all_fail(&mut crew, &mut all, &parts).await?;
    crew.cluster().workload_api().resume().await?;
    all_recover(&mut crew, all).await?;
    crew.stop().await
}
