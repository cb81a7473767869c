//! Bootstrap in Kubernetes: the marker is a ConfigMap, and each installation and upgrade runs Bootstrap again. With the real
//! programs, and a server that answers like the API server.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use spike_tests::{
    PATIENCE,
    crew::{BootstrapRun, Crew},
    kube_api::KubeApi,
    secrets::put,
    skipped,
};

use super::{
    data_is_there, no_keeper_holds_a_share, no_share_was_replaced, shares_bring_the_data_back,
};
use crate::{charts::note_key, crew};

/// A crew without a root key, and its API server; `None` if this machine permits no mount namespace.
async fn in_a_cluster() -> Result<Option<(Crew, KubeApi)>> {
    let crew = crew().start_sealed().await?;
    let api = KubeApi::serve(&crew).await?;
    if api.is_none() {
        skipped("no mount namespace may be had here")?;
    }
    Ok(api.map(|api| (crew, api)))
}

/// One run of the Job.
async fn job(crew: &Crew, api: &KubeApi, pod: &str) -> Result<BootstrapRun> {
    job_with(crew, api, pod, &[]).await
}

/// The same, with more settings.
async fn job_with(
    crew: &Crew,
    api: &KubeApi,
    pod: &str,
    more: &[(&str, &str)],
) -> Result<BootstrapRun> {
    let settings = api.pod(pod);
    let settings = settings.iter().map(|(name, value)| (*name, value.as_str()));
    let settings: Vec<_> = settings.chain(more.iter().copied()).collect();
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

    // While Nexus is healthy, the key is found in use, and the marker says so.
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
    let made = |told: &BootstrapRun| told.text.contains("bootstrap: made root key");
    assert!(made(&one) != made(&two), "{}\n{}", one.text, two.text);
    crew.ready(PATIENCE).await?;
    no_share_was_replaced(&crew)?;
    assert_eq!(api.data()["bootstrap-completed"], "true");
    crew.stop().await
}

/// The claim of a pod that has died does not last, and the next run succeeds.
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
    // It may claim, but not write the marker.
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

async fn put_something(crew: &mut Crew) -> Result<()> {
    crew.ready(PATIENCE).await?;
    crew.superuser()?.put_secret(&put("a/b", &[("k", "precious")])).await?;
    Ok(())
}

#[tokio::test]
async fn a_forced_job_takes_no_live_key_away_and_makes_another_once_everything_was_put_aside()
-> Result<()> {
    let Some((mut crew, api)) = in_a_cluster().await? else { return Ok(()) };
    assert_eq!(job(&crew, &api, "pod-1").await?.status, 0);
    put_something(&mut crew).await?;
    let (key, data) = (crew.status().await?.root_key, api.data());
    let forced = [("SPIKE_BOOTSTRAP_FORCE", "true")];
    let told = job_with(&crew, &api, "pod-2", &forced).await?;
    assert_eq!(told.status, 3, "{}", told.text);
    assert!(told.text.contains("runs and has a root key"), "{}", told.text);
    assert_eq!(api.data(), data);
    assert_eq!(crew.status().await?.root_key, key);

    crew.nexus().terminate().await?;
    std::fs::rename(crew.dir().join("data"), crew.dir().join("aside"))?;
    crew.kill_keepers(1..=3).await?;
    crew.restart_keepers(1..=3).await?;
    crew.start_nexus().await?;
    let told = job(&crew, &api, "pod-3").await?;
    assert_eq!(told.status, 3, "without force the ConfigMap counts: {}", told.text);
    assert!(told.text.contains("by pod-1"), "{}", told.text);
    let told = job_with(&crew, &api, "pod-4", &forced).await?;
    assert_eq!(told.status, 0, "{}", told.text);
    assert_eq!(api.data()["completed-by-pod"], "pod-4");
    crew.ready(PATIENCE).await?;
    assert_ne!(crew.status().await?.root_key, key);
    crew.stop().await
}

/// F18: upstream takes it for "not done", and makes another key.
#[tokio::test]
async fn where_the_config_map_cannot_be_read_no_key_is_made_though_every_keeper_is_empty()
-> Result<()> {
    let Some((mut crew, api)) = in_a_cluster().await? else { return Ok(()) };
    assert_eq!(job(&crew, &api, "pod-1").await?.status, 0);
    crew.ready(PATIENCE).await?;
    // As after a move to another cluster whose volume is not there yet: nothing but the ConfigMap knows of the key.
    crew.nexus().terminate().await?;
    std::fs::rename(crew.dir().join("data"), crew.dir().join("aside"))?;
    crew.kill_keepers(1..=3).await?;
    crew.restart_keepers(1..=3).await?;
    crew.start_nexus().await?;
    let data = api.data();
    // A server that is broken; a proxy that knows nothing of ConfigMaps; one that looked up something else.
    for (code, reason) in [(500, "InternalError"), (404, "no such page"), (410, "Gone")] {
        api.answer_next("get", &[(code, reason); 8]);
        let told = job(&crew, &api, "pod-2").await?;
        assert_eq!(told.status, 1, "{code}: {}", told.text);
        assert!(told.text.contains("cannot tell whether this was done before"), "{}", told.text);
        assert_eq!(api.data(), data);
        no_keeper_holds_a_share(&mut crew).await?;
        api.answer_as_usual();
    }
    // It can be read again, and says that there is a key.
    assert_eq!(job(&crew, &api, "pod-3").await?.status, 3);
    crew.stop().await
}

/// Somebody creates it between the look and the claim.
#[tokio::test]
async fn a_conflict_on_create_is_no_failure_the_job_looks_again_and_goes_on() -> Result<()> {
    let Some((mut crew, api)) = in_a_cluster().await? else { return Ok(()) };
    api.put(&json!({ "bootstrap-completed": "false" }));
    // What the first looks see is older than that.
    api.answer_next("get", &[(404, "NotFound"); 2]);
    let told = job(&crew, &api, "pod-1").await?;
    assert_eq!(told.status, 0, "{}", told.text);
    assert_eq!(api.data()["completed-by-pod"], "pod-1");
    // The claim meets the conflict; only then it is looked at what is there.
    let verbs = api.verbs();
    assert_eq!(verbs.get(..4), Some(&["get", "get", "create", "get"][..]), "{verbs:?}");
    crew.ready(PATIENCE).await?;
    crew.stop().await
}

#[tokio::test]
async fn a_write_that_fails_is_tried_again_and_each_time_is_told() -> Result<()> {
    let Some((mut crew, api)) = in_a_cluster().await? else { return Ok(()) };
    api.answer_next("create", &[(503, "ServiceUnavailable"), (500, "InternalError")]);
    api.answer_next("update", &[(500, "InternalError"), (429, "TooManyRequests")]);
    let told = job(&crew, &api, "pod-1").await?;
    assert_eq!(told.status, 0, "{}", told.text);
    for part in ["attempt 1", "attempt 2", "500 InternalError", "429 TooManyRequests"] {
        assert!(told.text.contains(part), "{part}: {}", told.text);
    }
    assert_eq!(api.data()["bootstrap-completed"], "true");
    crew.ready(PATIENCE).await?;
    no_share_was_replaced(&crew)?;
    crew.stop().await
}

/// The token of a pod ends while the pod waits, and its kubelet has put another in its place.
#[tokio::test]
async fn a_token_that_is_not_taken_any_more_makes_no_key_and_the_next_pod_has_the_new_one()
-> Result<()> {
    let Some((mut crew, api)) = in_a_cluster().await? else { return Ok(()) };
    api.take_only("another-token");
    let told = job(&crew, &api, "pod-1").await?;
    assert_eq!(told.status, 1, "{}", told.text);
    for part in ["cannot tell whether this was done before", "401 Unauthorized"] {
        assert!(told.text.contains(part), "{part}: {}", told.text);
    }
    no_keeper_holds_a_share(&mut crew).await?;
    api.hand_out("another-token")?;
    let told = job(&crew, &api, "pod-2").await?;
    assert_eq!(told.status, 0, "{}", told.text);
    crew.ready(PATIENCE).await?;
    crew.stop().await
}

/// A kubelet renews a token long before its end; who waits for Nexus for minutes has to look for the new one.
#[tokio::test]
#[ignore = "takes over a minute; run with --ignored"]
async fn a_job_that_waits_for_nexus_while_its_token_is_renewed_goes_on_with_the_new_one()
-> Result<()> {
    let Some((mut crew, api)) = in_a_cluster().await? else { return Ok(()) };
    crew.nexus().terminate().await?;
    crew.wrap("nexus", "sleep 66; exec \"$PROGRAM\" \"$@\"").await?;
    crew.cluster().restart_nexus()?;
    let patient = [("SPIKE_BOOTSTRAP_INIT_VERIFICATION_TIMEOUT", "5m")];
    let renewed = async {
        // The client reads the file again after a minute.
        tokio::time::sleep(Duration::from_secs(61)).await;
        let looks = api.verbs();
        assert!(!looks.is_empty() && !looks.contains(&"create"), "it did not wait: {looks:?}");
        api.hand_out("another-token")?;
        api.take_only("another-token");
        anyhow::Ok(())
    };
    let (told, renewed) = tokio::join!(job_with(&crew, &api, "pod-1", &patient), renewed);
    renewed?;
    let told = told?;
    assert_eq!(told.status, 0, "{}", told.text);
    assert_eq!(api.data()["completed-by-pod"], "pod-1");
    crew.ready(PATIENCE).await?;
    crew.stop().await
}

#[tokio::test]
async fn a_slow_api_server_is_waited_for_and_one_that_does_not_answer_is_asked_again() -> Result<()>
{
    let Some((mut crew, api)) = in_a_cluster().await? else { return Ok(()) };
    api.slow(Duration::from_secs(1));
    // Longer than Bootstrap waits for one answer.
    api.stall(Duration::from_secs(12));
    let told = job(&crew, &api, "pod-1").await?;
    assert_eq!(told.status, 0, "{}", told.text);
    assert!(
        told.text.contains("ConfigMap team-a/spike-bootstrap-state, attempt 1"),
        "{}",
        told.text
    );
    assert_eq!(api.data()["bootstrap-completed"], "true");
    crew.ready(PATIENCE).await?;
    crew.stop().await
}
