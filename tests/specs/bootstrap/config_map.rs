//! Bootstrap in a cluster: what remembers its work is a ConfigMap, and whoever installs or upgrades runs it each time. With
//! the real programs, against a server that answers as the API server does.

use anyhow::Result;
use serde_json::{Value, json};
use spike_tests::{
    PATIENCE,
    crew::{Crew, Told},
    kube_api::KubeApi,
    secrets::put,
    skipped,
};

use super::{
    data_is_there, no_keeper_holds_a_share, no_share_was_replaced, shares_bring_the_data_back,
};
use crate::{charts::note_key, crew};

/// A crew without a root key, and the API server of its cluster; `None` where no mount namespace is to be had.
async fn in_a_cluster() -> Result<Option<(Crew, KubeApi)>> {
    let crew = crew().start_sealed().await?;
    let api = KubeApi::serve(&crew).await?;
    if api.is_none() {
        skipped("no mount namespace may be had here")?;
    }
    Ok(api.map(|api| (crew, api)))
}

/// One run of the Job.
async fn job(crew: &Crew, api: &KubeApi, pod: &str) -> Result<Told> {
    let settings = api.pod(pod);
    let settings: Vec<(&str, &str)> =
        settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    crew.bootstrap(&settings).await
}

#[tokio::test]
async fn the_first_run_leaves_upstreams_config_map_and_the_next_ones_change_nothing() -> Result<()>
{
    let Some((mut crew, api)) = in_a_cluster().await? else { return Ok(()) };
    let told = job(&crew, &api, "pod-1").await?;
    assert_eq!(told.status, 0, "{}", told.text);
    assert!(told.text.contains("ConfigMap team-a/spike-bootstrap-state"), "{}", told.text);
    let data = api.data();
    assert_eq!(data["bootstrap-completed"], "true");
    assert_eq!(data["completed-by-pod"], "pod-1");
    assert!(data["completed-at"].as_str().is_some_and(|at| at.ends_with('Z')), "{data}");
    crew.ready(PATIENCE).await?;
    crew.superuser()?.put_secret(&put("a/b", &[("k", "precious")])).await?;
    let key = crew.status().await?.root_key;

    let told = job(&crew, &api, "pod-2").await?;
    assert_eq!(told.status, 0, "{}", told.text);
    assert!(told.text.contains("nothing to do: Nexus has a root key already"), "{}", told.text);
    assert_eq!(api.data(), data);
    no_share_was_replaced(&crew)?;
    crew.crash_nexus().await?;
    data_is_there(&mut crew).await?;
    assert_eq!(crew.status().await?.root_key, key);
    crew.stop().await
}

/// As long as it says otherwise, a Keeper without a share passes for ready, and a rolling update goes on.
#[tokio::test]
async fn what_the_keepers_of_the_chart_look_at_says_true_once_the_job_is_done() -> Result<()> {
    let Some((crew, api)) = in_a_cluster().await? else { return Ok(()) };
    let key = note_key()?;
    assert_ne!(api.data()[&key], "true");
    assert_eq!(job(&crew, &api, "pod-1").await?.status, 0);
    assert_eq!(api.data()[&key], "true", "{key}");
    crew.stop().await
}

/// It ended with 0 after an upgrade that had emptied every Keeper, and nobody noticed.
#[tokio::test]
async fn after_an_upgrade_that_emptied_every_keeper_the_job_fails_and_says_so() -> Result<()> {
    let Some((mut crew, api)) = in_a_cluster().await? else { return Ok(()) };
    assert_eq!(job(&crew, &api, "pod-1").await?.status, 0);
    crew.ready(PATIENCE).await?;
    crew.superuser()?.put_secret(&put("a/b", &[("k", "precious")])).await?;
    let shares = crew.recover().await?;
    crew.black_out().await?;
    let told = job(&crew, &api, "pod-2").await?;
    assert_eq!(told.status, 3, "{}", told.text);
    for part in ["holds a database", "holds no share", "by pod-1", "spike operator restore"] {
        assert!(told.text.contains(part), "{part}: {}", told.text);
    }
    no_keeper_holds_a_share(&mut crew).await?;
    shares_bring_the_data_back(&mut crew, &shares[..2]).await?;
    crew.stop().await
}

/// An older chart, a failed write, a restored namespace: each run of the Job made another key.
#[tokio::test]
async fn where_the_config_map_is_gone_and_there_is_data_no_run_makes_a_key() -> Result<()> {
    let Some((mut crew, api)) = in_a_cluster().await? else { return Ok(()) };
    assert_eq!(job(&crew, &api, "pod-1").await?.status, 0);
    crew.ready(PATIENCE).await?;
    crew.superuser()?.put_secret(&put("a/b", &[("k", "precious")])).await?;
    let shares = crew.recover().await?;

    // While Nexus is well it is found in use, and that is remembered as what it is.
    api.lose();
    let told = job(&crew, &api, "pod-2").await?;
    assert_eq!(told.status, 0, "{}", told.text);
    assert_eq!(api.data()["bootstrap-completed"], "true");
    assert_eq!(api.data()["found-in-use"], "true");

    api.lose();
    crew.black_out().await?;
    for pod in ["pod-3", "pod-4"] {
        let told = job(&crew, &api, pod).await?;
        assert_eq!(told.status, 3, "{}", told.text);
        assert!(told.text.contains("holds a database"), "{}", told.text);
        assert_eq!(api.data(), Value::Null, "nothing is claimed where no key may be made");
    }
    no_keeper_holds_a_share(&mut crew).await?;
    shares_bring_the_data_back(&mut crew, &shares[1..]).await?;
    crew.stop().await
}

/// Two Bootstraps at the same time made a key each.
#[tokio::test]
async fn of_two_runs_at_the_same_time_one_makes_the_key_and_both_end_well() -> Result<()> {
    let Some((mut crew, api)) = in_a_cluster().await? else { return Ok(()) };
    let (one, two) = tokio::join!(job(&crew, &api, "pod-1"), job(&crew, &api, "pod-2"));
    let (one, two) = (one?, two?);
    assert_eq!((one.status, two.status), (0, 0), "{}\n{}", one.text, two.text);
    let made = |told: &Told| told.text.contains("bootstrap: made root key");
    assert!(made(&one) != made(&two), "{}\n{}", one.text, two.text);
    crew.ready(PATIENCE).await?;
    no_share_was_replaced(&crew)?;
    assert_eq!(api.data()["bootstrap-completed"], "true");
    crew.stop().await
}

/// Its pod has died: the claim does not last, and the next run comes to the end.
#[tokio::test]
async fn a_claim_of_a_run_that_died_is_waited_for_and_then_taken_over() -> Result<()> {
    let Some((mut crew, api)) = in_a_cluster().await? else { return Ok(()) };
    api.put(&json!({
        "bootstrap-completed": "false", "claim": "00000000deadbeef", "claimed-by-pod": "pod-0",
    }));
    let told = job(&crew, &api, "pod-1").await?;
    assert_eq!(told.status, 0, "{}", told.text);
    assert!(told.text.contains("pod-0"), "it says whom it waits for: {}", told.text);
    assert_eq!(api.data()["completed-by-pod"], "pod-1");
    crew.ready(PATIENCE).await?;
    crew.stop().await
}

/// F18: upstream takes every failure for "not done".
#[tokio::test]
async fn without_the_right_to_read_or_to_claim_no_key_is_made() -> Result<()> {
    let Some((mut crew, api)) = in_a_cluster().await? else { return Ok(()) };
    for verbs in [["get"].as_slice(), &["create", "update"]] {
        api.forbid(verbs);
        let told = job(&crew, &api, "pod-1").await?;
        assert_eq!(told.status, 1, "{}", told.text);
        for part in ["cannot tell whether this was done before", "403 Forbidden"] {
            assert!(told.text.contains(part), "{part}: {}", told.text);
        }
        no_keeper_holds_a_share(&mut crew).await?;
    }
    api.forbid(&[]);
    let told = job(&crew, &api, "pod-2").await?;
    assert_eq!(told.status, 0, "{}", told.text);
    crew.ready(PATIENCE).await?;
    crew.stop().await
}

/// The Job was run again, and made another key.
#[tokio::test]
async fn a_marker_that_cannot_be_written_fails_the_job_and_the_next_run_only_writes_it()
-> Result<()> {
    let Some((mut crew, api)) = in_a_cluster().await? else { return Ok(()) };
    // It may claim, and no more.
    api.forbid(&["update"]);
    let told = job(&crew, &api, "pod-1").await?;
    assert_eq!(told.status, 1, "{}", told.text);
    assert!(told.text.contains("the root key is in use, but that cannot be remembered"));
    assert_eq!(api.data()["bootstrap-completed"], "false");
    crew.ready(PATIENCE).await?;
    let key = crew.status().await?.root_key;

    api.forbid(&[]);
    let told = job(&crew, &api, "pod-2").await?;
    assert_eq!(told.status, 0, "{}", told.text);
    assert_eq!(api.data()["bootstrap-completed"], "true");
    assert!(api.verbs().contains(&"update"));
    assert_eq!(crew.status().await?.root_key, key);
    no_share_was_replaced(&crew)?;
    crew.stop().await
}
