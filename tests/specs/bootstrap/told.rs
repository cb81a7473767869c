//! What Bootstrap, and the status of Nexus, tell a person who has a clumsy beginning.

use std::fs;

use anyhow::Result;
use spike_domain::Role;
use spike_tests::{PATIENCE, SUPERUSER, eventually};

use super::{IMPATIENT, data_is_there, marker, no_share_was_replaced, with_data};
use crate::crew;

/// It said "nothing to do", and a person took the new settings for accepted.
#[tokio::test]
async fn beside_a_key_in_use_settings_that_nexus_does_not_share_are_named() -> Result<()> {
    let crew = with_data().await?;
    let status = crew.status().await?;
    let mut urls: Vec<&str> = status.keepers.iter().map(|keeper| keeper.url.as_str()).collect();
    let of = |urls: &[&str]| urls.join(",");
    urls.swap(0, 1);
    let swapped = of(&urls);
    urls.swap(0, 1);
    for (settings, words) in [
        (vec![("SPIKE_NEXUS_KEEPER_PEERS", swapped.as_str())], "in the same order at both"),
        (
            vec![("SPIKE_NEXUS_SHAMIR_THRESHOLD", "3")],
            "SPIKE_NEXUS_SHAMIR_THRESHOLD is 3 here, and 2 at Nexus",
        ),
        (
            vec![
                ("SPIKE_NEXUS_KEEPER_PEERS", of(&urls[..2]).as_str()),
                ("SPIKE_NEXUS_SHAMIR_SHARES", "2"),
            ],
            "names 2 Keepers here, and 3 at Nexus",
        ),
    ] {
        let told = crew.bootstrap(&settings).await?;
        assert_eq!(told.status, 0, "{}", told.text);
        for part in ["warning: ", words, "nothing to do: Nexus has a root key already"] {
            assert!(told.text.contains(part), "{part}: {}", told.text);
        }
    }
    let told = crew.bootstrap(&[]).await?;
    assert!(!told.text.contains("warning"), "{}", told.text);
    no_share_was_replaced(&crew)?;
    crew.stop().await
}

/// It waited for Nexus for half an hour, and named none of the shares that a new key would have replaced.
#[tokio::test]
async fn without_a_marker_and_with_nexus_down_the_shares_of_the_keepers_are_named() -> Result<()> {
    let mut crew = with_data().await?;
    crew.nexus().terminate().await?;
    fs::remove_file(marker(&crew))?;
    let told = crew.bootstrap(&IMPATIENT).await?;
    assert_eq!(told.status, 1, "{}", told.text);
    for part in [
        "a root key was made before, a share of which is at Keeper 1 at https://localhost:",
        "Keeper 3 at https://localhost:",
        "holds a share of a root key",
        "hint: a root key was made before, so this would make none: start Nexus",
    ] {
        assert!(told.text.contains(part), "{part}: {}", told.text);
    }
    // As it says.
    crew.start_nexus().await?;
    data_is_there(&mut crew).await?;
    no_share_was_replaced(&crew)?;
    crew.stop().await
}

/// The hint began with the agent, which had just answered.
#[tokio::test]
async fn under_the_identity_of_another_role_the_registration_is_named_and_not_the_agent()
-> Result<()> {
    let mut crew = crew().start_sealed().await?;
    let mut command = crew.client("bootstrap");
    command.arg("-init").envs(IMPATIENT);
    command.env(
        "SPIKE_NEXUS_KEEPER_PEERS",
        crew.status()
            .await?
            .keepers
            .iter()
            .map(|keeper| keeper.url.clone())
            .collect::<Vec<_>>()
            .join(","),
    );
    let id = crew.spiffe_id(SUPERUSER)?;
    let registry = crew.cluster().workload_api().registry();
    let (child, _registration) = registry.spawn(&mut command, id)?;
    let ended = tokio::time::timeout(PATIENCE, child.wait_with_output()).await??;
    let text = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{text}");
    for part in [
        &format!("{SUPERUSER}, which is not {}", Role::Bootstrap),
        "hint: give this program that SPIFFE ID in its registration entry",
        "spike-dev as /spike/bootstrap -- bootstrap -init",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("see that the SPIFFE agent runs"), "{text}");
    crew.stop().await
}

/// It spoke of `spike operator restore`, for which there is nothing yet.
#[tokio::test]
async fn the_status_of_a_new_deployment_leads_to_bootstrap_and_not_to_a_restore() -> Result<()> {
    let mut crew = crew().start_sealed().await?;
    let shown = eventually("every Keeper was asked", PATIENCE, async || {
        let ran = crew.pilot(SUPERUSER, &["operator", "status"]).await?;
        let shown = String::from_utf8_lossy(&ran.stdout).into_owned();
        Ok((shown.matches(": empty").count() == 3).then_some(shown))
    })
    .await?;
    assert!(shown.contains("\nNext        : in a new deployment, run Bootstrap once"), "{shown}");
    assert!(shown.contains("If SPIKE was in use before"), "{shown}");
    assert_eq!(crew.bootstrap(&[]).await?.status, 0);
    crew.ready(PATIENCE).await?;
    let ran = crew.pilot(SUPERUSER, &["operator", "status"]).await?;
    assert!(!String::from_utf8_lossy(&ran.stdout).contains("Next"), "{ran:?}");
    crew.stop().await
}

/// Only the log of Nexus said it.
#[tokio::test]
async fn a_threshold_of_one_is_told_before_the_key_is_made_and_in_the_status() -> Result<()> {
    let crew = crew().keepers(2, 1).start_sealed().await?;
    let told = crew.bootstrap(&[]).await?;
    assert_eq!(told.status, 0, "{}", told.text);
    let danger = "each Keeper, and each recovery file, is the whole root key";
    assert!(told.text.contains(danger), "{}", told.text);
    let ran = crew.pilot(SUPERUSER, &["operator", "status"]).await?;
    assert!(String::from_utf8_lossy(&ran.stdout).contains(danger), "{ran:?}");
    crew.stop().await
}
