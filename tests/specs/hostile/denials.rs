//! A workload that is denied repeatedly gets 429, and its permitted requests still succeed.

use std::{sync::Arc, time::Instant};

use anyhow::{Context, Result};
use spike_tests::{
    hostile::{
        MIB,
        attack::{post, requests},
    },
    policies::allow,
    secrets,
};

use super::{ENCRYPT, GET, operator_is_served};
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
