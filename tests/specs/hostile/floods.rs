//! HTTP/2 that is valid and endless. Nexus ends each connection, stays healthy, and serves others.

use anyhow::{Context, Result, ensure};
use spike_tests::{
    PATIENCE, eventually,
    hostile::{
        MIB,
        flood::{Flood, flood},
        resident,
    },
};

use super::{
    LIST, audit_records,
    bodies::MOST,
    operator_is_served,
    protocol::{ENDS_WITHIN, peer},
};
use crate::scenario;

/// An error code of HTTP/2 (RFC 9113, section 7).
const ENHANCE_YOUR_CALM: u32 = 0xb;

/// More frames than any honest client ever sends.
const FRAMES: u32 = 50_000;

/// The error code with which each flood ends; `None`: the connection is cut without one.
const fn end_of(flood: Flood) -> Option<u32> {
    match flood {
        Flood::RapidReset | Flood::Continuation | Flood::EmptyData => Some(ENHANCE_YOUR_CALM),
        Flood::Settings | Flood::Ping | Flood::Priority | Flood::WindowUpdate | Flood::Unknown => {
            None
        }
    }
}

#[tokio::test]
async fn a_flood_of_frames_ends_its_connection_and_others_are_served() -> Result<()> {
    let mut cluster = scenario().start().await?;
    let pid = cluster.nexus().pid().context("Nexus runs")?;
    let mut wrong = Vec::new();
    for kind in Flood::ALL {
        let mut peer = peer(&cluster).await?;
        let sent = flood(&mut peer, kind, LIST, FRAMES).await?;
        operator_is_served(&cluster).await.with_context(|| format!("during {kind:?}"))?;
        let taken = resident(pid)?;
        ensure!(taken <= MOST, "{kind:?}: Nexus takes {} MiB", taken / MIB);
        let ended = peer.ended(ENDS_WITHIN).await.is_ok();
        if !ended || peer.goaway() != end_of(kind) {
            wrong.push(format!("{kind:?}: ended {ended}, {:?} after {sent}", peer.goaway()));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    cluster.stop().await
}

/// A request every few seconds does not hide a flood, and the cut has one line.
#[tokio::test]
async fn a_flood_of_frames_with_a_request_now_and_then_ends_with_one_line() -> Result<()> {
    let cluster = scenario().start().await?;
    for kind in [Flood::Ping, Flood::Priority] {
        let lines = || -> Result<usize> {
            let records = audit_records(&cluster)?;
            let reasons = records.iter().filter_map(|record| record["Err"].as_str());
            Ok(reasons.filter(|reason| reason.contains("frames without a request")).count())
        };
        let before = lines()?;
        let mut peer = peer(&cluster).await?;
        let mut sent = 0;
        while !peer.has_ended() && sent < FRAMES {
            peer.ask(LIST, b"{}").await.ok();
            sent += flood(&mut peer, kind, LIST, 500).await?;
        }
        peer.ended(ENDS_WITHIN).await.with_context(|| format!("{kind:?}: {sent} frames"))?;
        eventually("its line", PATIENCE / 6, async || Ok((lines()? == before + 1).then_some(())))
            .await?;
    }
    operator_is_served(&cluster).await?;
    cluster.stop().await
}

/// Resets are the peer's doing: they are no reason for a line in the log of Nexus.
#[tokio::test]
async fn a_flood_of_resets_does_not_fill_the_log() -> Result<()> {
    let cluster = scenario().start().await?;
    let before = cluster.log()?.lines().count();
    for _ in 0..3 {
        let mut peer = peer(&cluster).await?;
        flood(&mut peer, Flood::RapidReset, LIST, 5_000).await?;
        peer.ended(ENDS_WITHIN).await?;
    }
    operator_is_served(&cluster).await?;
    let log = cluster.log()?;
    let added = log.lines().skip(before);
    assert_eq!(added.filter(|line| line.contains("WARN")).collect::<Vec<_>>(), Vec::<&str>::new());
    cluster.stop().await
}
