//! A workload that is denied repeatedly gets 429, and its permitted requests still succeed.

use std::{sync::Arc, time::Instant};

use anyhow::{Context, Result};
use spike_daemon::settings::Backend;
use spike_tests::{
    PATIENCE, eventually,
    hostile::{
        Http2Peer, MIB, PeerBehaviour,
        attack::{post, requests},
    },
    policies::allow,
    secrets,
};

use super::{ENCRYPT, GET, http2_as, operator_is_served, records_of_the_workload};
use crate::{WORKLOAD, scenario};

/// The number of denials that one process sends within a few seconds.
const REQUESTS: usize = 1_200;
const CONNECTIONS: usize = 64;

/// The bounds on what denials of one identity add to the audit log: at once, and for each second.
const AUDIT_BURST: u64 = MIB;
const AUDIT_RATE: u64 = MIB / 2;

#[tokio::test]
async fn who_is_denied_again_and_again_is_told_to_wait_and_still_reads_what_it_may() -> Result<()> {
    let cluster = scenario().start().await?;
    let superuser = cluster.superuser()?;
    superuser.put_secret(&secrets::put("open", &[("k", "v")])).await?;
    superuser.put_policy(&allow("open", WORKLOAD, "^open$", &["read"])).await?;
    let dialer = Arc::new(cluster.dial_as(WORKLOAD)?);
    let path = format!("closed/{}", "x".repeat(400));
    let denied = post(GET, &format!(r#"{{"path":"{path}"}}"#));
    let begun = Instant::now();

    let attack = {
        let dialer = Arc::clone(&dialer);
        tokio::spawn(async move { requests(&dialer, &denied, CONNECTIONS, REQUESTS).await })
    };
    let mut honest = dialer.connect().await?;
    let mut reads = 0;
    while !attack.is_finished() {
        let answer = honest.post(GET, r#"{"path":"open"}"#).await.context("an allowed read")?;
        assert_eq!(answer.status, 200, "an allowed read");
        reads += 1;
    }
    operator_is_served(&cluster).await?;
    let tally = attack.await??;
    let of_the_attack = |line: &&str| line.contains("closed/");
    let audit = cluster.audit_text()?;
    let grown: u64 = audit.lines().filter(of_the_attack).map(|line| line.len() as u64).sum();
    let seconds = begun.elapsed().as_secs() + 1;

    assert!(reads > 0);
    assert!(tally.count(401) > 0, "the first are told why: {tally:?}");
    assert!(tally.count(429) > 0, "the others are told to wait: {tally:?}");
    assert_eq!(tally.retry_after, tally.count(429), "and for how long: {tally:?}");
    let answered = tally.count(401) + tally.count(429);
    assert_eq!(answered + tally.unanswered, REQUESTS as u64, "{tally:?}");
    let allowed = AUDIT_BURST + AUDIT_RATE * seconds;
    assert!(grown <= allowed, "{grown} bytes of audit log in {seconds} s");
    cluster.stop().await
}

/// How many of these lines there are, and at most: those of the denials, and those about a peer that is told to wait.
fn lines_are_few(lines: usize, begun: Instant) {
    let seconds = usize::try_from(begun.elapsed().as_secs()).unwrap_or(usize::MAX);
    assert!(lines <= 200 + 100 * seconds, "{lines} lines in {seconds} s");
}

/// Only denials counted: a workload without rights wrote ten megabytes a second while Nexus waited for its key.
#[tokio::test]
async fn while_nexus_is_sealed_nobody_fills_the_audit_log() -> Result<()> {
    let cluster = scenario().backend(Backend::Sqlite).start_sealed().await?;
    let dialer = Arc::new(cluster.dial_as(WORKLOAD)?);
    let begun = Instant::now();
    let tally = requests(&dialer, &post(GET, r#"{"path":"a"}"#), CONNECTIONS, REQUESTS).await?;
    assert_eq!(tally.count(503) + tally.unanswered, REQUESTS as u64, "{tally:?}");
    assert_eq!(tally.unanswered, 0, "{tally:?}");
    lines_are_few(records_of_the_workload(&cluster)?.len(), begun);
    cluster.stop().await
}

/// How many requests of others than operators fit, and who takes how many of them until none is left.
const FEW: (&str, [(&str, usize); 4]) =
    ("8", [("/workload/a", 3), ("/workload/b", 2), ("/workload/c", 1), ("/workload/d", 1)]);

/// The lines about requests that find no place were not bounded.
#[tokio::test]
async fn while_all_places_are_taken_nobody_fills_the_audit_log() -> Result<()> {
    let cluster = scenario().setting("SPIKE_HTTP_SERVER_MAX_REQUESTS", FEW.0).start().await?;
    let (mut peers, mut held) = (Vec::new(), 0.0);
    for (id, requests) in FEW.1 {
        let mut peer = Http2Peer::connect(&http2_as(&cluster, id)?, PeerBehaviour::GOOD).await?;
        for _ in 0..requests {
            let stream = peer.open(GET).await?;
            peer.feed(stream, b" ", false).await?;
            held += 1.0;
            // Each takes what those before it have left.
            cluster.until_metric("spike_requests_in_flight", |taken| taken >= held).await?;
        }
        peers.push(peer);
    }
    let dialer = Arc::new(cluster.dial_as(WORKLOAD)?);
    let begun = Instant::now();
    let tally = requests(&dialer, &post(GET, r#"{"path":"a"}"#), CONNECTIONS, REQUESTS).await?;
    // Two at a time are more than one ID gets of so few.
    assert_eq!(tally.count(503) + tally.count(429), REQUESTS as u64, "{tally:?}");
    assert!(tally.count(503) > REQUESTS as u64 / 2, "{tally:?}");
    lines_are_few(records_of_the_workload(&cluster)?.len(), begun);
    operator_is_served(&cluster).await?;
    cluster.stop().await
}

/// Four identities without rights held all places that there were for as long as they liked.
#[tokio::test]
async fn whoever_holds_all_the_requests_that_it_can_get_leaves_places_for_others() -> Result<()> {
    let cluster = scenario().setting("SPIKE_HTTP_SERVER_MAX_REQUESTS", "128").start().await?;
    let superuser = cluster.superuser()?;
    superuser.put_secret(&secrets::put("open", &[("k", "v")])).await?;
    superuser.put_policy(&allow("open", WORKLOAD, "^open$", &["read"])).await?;
    let mut peers = Vec::new();
    for id in ["/workload/a", "/workload/b", "/workload/c", "/workload/d"] {
        let mut peer = Http2Peer::connect(&http2_as(&cluster, id)?, PeerBehaviour::GOOD).await?;
        for _ in 0..100 {
            let stream = peer.open(GET).await?;
            peer.feed(stream, b" ", false).await?;
        }
        peers.push(peer);
    }
    // Four fifths of those that are not for operators.
    cluster.until_metric("spike_requests_in_flight", |taken| taken >= 80.0).await?;
    let mut honest = cluster.dial_as(WORKLOAD)?.connect().await?;
    for _ in 0..10 {
        assert_eq!(honest.post(GET, r#"{"path":"open"}"#).await?.status, 200);
    }
    drop(peers);
    cluster.stop().await
}

/// Each burst is sent before any of it is answered, so its sender learns that it has to wait only behind it.
#[tokio::test]
async fn requests_over_the_limit_of_their_id_do_not_fill_the_audit_log() -> Result<()> {
    /// One request of each connection is refused in a second, once its sender is slowed down.
    const PEERS: usize = 64;
    const BURST: usize = 16;
    /// Lines of a second with 429, beside those of each denial.
    const LINES: u64 = 20;
    let cluster = scenario().start().await?;
    let dialer = http2_as(&cluster, WORKLOAD)?;
    let target = format!("/{}", "%1b".repeat(512));
    let begun = Instant::now();
    let mut peers = Vec::new();
    for _ in 0..PEERS {
        peers.push(Http2Peer::connect(&dialer, PeerBehaviour::GOOD).await?);
    }
    let (mut slowed_down, mut denied) = (0, 0);
    let mut streams = Vec::new();
    for peer in &mut peers {
        for _ in 0..BURST {
            streams.push(peer.ask(&target, b"{}").await?);
        }
    }
    for (number, stream) in streams.into_iter().enumerate() {
        let peer = &peers[number / BURST];
        match peer.status(stream).await? {
            Some(429) => slowed_down += 1,
            Some(400) => denied += 1,
            _ => anyhow::bail!("request {number}: {:?}", peer.so_far(stream)),
        }
    }
    assert!(slowed_down > 300, "{slowed_down} of {}", PEERS * BURST);
    let told = eventually("lines or counts of all", PATIENCE, async || {
        let records = records_of_the_workload(&cluster)?;
        let records = records.iter().filter(|record| record["Status"] == 429);
        let (counts, lines): (Vec<_>, Vec<_>) =
            records.partition(|record| record["Action"] == "refused");
        let counted = counts.iter().filter_map(|record| {
            record["Err"].as_str()?.split_once(" more requests")?.0.parse::<u64>().ok()
        });
        let lines = lines.len() as u64;
        Ok((lines + counted.sum::<u64>() == slowed_down).then_some(lines))
    })
    .await?;
    let seconds = begun.elapsed().as_secs() + 2;
    assert!(told <= seconds * LINES, "{told} lines in {seconds} s");
    let audit = cluster.audit_text()?;
    let longest = audit.lines().filter(|line| line.contains("u001b")).map(str::len).max();
    assert!(
        longest.is_some_and(|length| length < 1_500),
        "{longest:?}: clipped once it is escaped"
    );
    assert!(denied > 0);
    cluster.stop().await
}

#[tokio::test]
async fn bodies_that_are_too_large_for_the_cipher_are_held_against_who_may_not_use_it() -> Result<()>
{
    let cluster = scenario().start().await?;
    let dialer = Arc::new(cluster.dial_as(WORKLOAD)?);
    let body = format!(r#"{{"plaintext":"{}"}}"#, "x".repeat(400 << 10));

    let tally = requests(&dialer, &post(ENCRYPT, &body), 8, 200).await?;

    assert!(tally.count(400) > 0, "the first are told why: {tally:?}");
    assert!(tally.count(429) > 0, "the others are told to wait: {tally:?}");
    operator_is_served(&cluster).await?;
    cluster.stop().await
}
