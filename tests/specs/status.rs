//! `spike status`: one screen of a real system, also in a real terminal, and while parts of the system are away.

use std::{fs::File, process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use spike_dev::workload_api::Registration;
use spike_tests::{
    PATIENCE, SUPERUSER,
    crew::Crew,
    eventually,
    secrets::put,
    terminal::{Terminal, plain},
};
use spike_wire::SecretGetRequest;
use tokio::process::Child;

use crate::{WORKLOAD, crew};

fn signal(child: &Child, signal: Signal) -> Result<()> {
    let id = child.id().and_then(|id| Pid::from_raw(id.cast_signed())).context("it has ended")?;
    Ok(kill_process(id, signal)?)
}

/// The addresses of the Keepers, as the setting has them.
fn peers(crew: &mut Crew) -> Result<String> {
    let urls: Result<Vec<_>> = (1..=3).map(|index| crew.keeper_url(index)).collect();
    Ok(urls?.join(","))
}

fn text(bytes: &[u8]) -> Result<&str> {
    Ok(std::str::from_utf8(bytes)?)
}

#[tokio::test]
async fn one_screen_has_what_runs_and_how_much_is_left_of_each_svid() -> Result<()> {
    let mut crew = crew().start().await?;
    crew.keepers_good().await?;
    crew.superuser()?.put_secret(&put("tenants/acme/db", &[("user", "app")])).await?;
    let request = SecretGetRequest { path: "tenants/acme/db".to_owned(), version: 0 };
    let denied = crew.as_id(WORKLOAD)?.get_secret(&request).await;
    assert!(denied.is_err(), "{denied:?}");
    let peers = peers(&mut crew)?;
    let settings = [("SPIKE_NEXUS_KEEPER_PEERS", peers.as_str())];
    let output = crew.pilot_with(SUPERUSER, &["status"], &settings).await?;
    let shown = text(&output.stdout)?;
    assert_eq!(output.status.code(), Some(0), "{shown}");
    for part in [
        "\nNexus      ready\n           version 0.1.0, since 2",
        "any 2 of 3 shares rebuild it\n",
        "\nMargin     1 Keeper may be lost\n",
        "\nRequests   ",
        "\nStore      sqlite, ",
        " free\n",
        "\nBackup     SPIKE Nexus knows of none that was verified\n",
        "\n3          good        https://localhost:",
        " ago), version 0.1.0, up since 2",
        "/spike/pilot/role/superuser\n",
        "/spike/nexus\n",
    ] {
        assert!(shown.contains(part), "{part:?}: {shown}");
    }
    for whose in ["spike", "Nexus", "Keeper 1", "Keeper 2", "Keeper 3"] {
        assert!(shown.contains(&format!("\n{whose:<10} [#")), "{whose}: {shown}");
    }
    assert!(!shown.contains('\x1b'), "{shown}");

    let output = crew.pilot_with(SUPERUSER, &["status", "-f", "json"], &settings).await?;
    let tree: Value = serde_json::from_slice(&output.stdout)?;
    let count = |name: &str| tree["nexus"]["recent"][name].as_u64().unwrap_or_default();
    assert!(count("requests") >= 3 && count("refused") >= 1, "{tree:#}");
    assert_eq!(tree["keepers"].as_array().map(Vec::len), Some(3), "{tree:#}");
    assert!(tree["nexus"]["store"]["freeBytes"].as_u64() > Some(0), "{tree:#}");
    crew.stop().await
}

#[tokio::test]
async fn while_nexus_is_away_the_screen_has_what_can_be_seen_and_the_status_is_that_of_a_call()
-> Result<()> {
    let mut crew = crew().start().await?;
    let peers = peers(&mut crew)?;
    crew.nexus().kill().await?;
    let settings = [("SPIKE_NEXUS_KEEPER_PEERS", peers.as_str())];
    let output = crew.pilot_with(SUPERUSER, &["status"], &settings).await?;
    let shown = text(&output.stdout)?;
    assert_eq!(output.status.code(), Some(6), "{shown}");
    for part in [
        "\nNexus      not known: Failed to connect to SPIKE Nexus at https://localhost:",
        ": it is there; whether it holds a share only SPIKE Nexus knows\n",
        "\nspike      [#",
        "\nNexus      not known: cannot connect to localhost:",
        "\nKeeper 2   [#",
    ] {
        assert!(shown.contains(part), "{part:?}: {shown}");
    }
    let of_operator = crew.pilot(SUPERUSER, &["operator", "status"]).await?;
    assert_eq!(of_operator.status.code(), Some(6));
    assert_eq!(text(&output.stderr)?, text(&of_operator.stderr)?);
    crew.cluster().workload_api().pause().await;
    let wait = [("SPIKE_SPIFFE_SOURCE_TIMEOUT", "1s")];
    let output = crew.pilot_with(SUPERUSER, &["status"], &wait).await?;
    let shown = text(&output.stdout)?;
    assert_eq!(output.status.code(), Some(6), "{shown}");
    assert!(shown.contains("\nspike      not known: the Workload API has given none\n"), "{shown}");
    Ok(())
}

/// Starts a watch under the SPIFFE ID of a superuser.
fn watch(
    crew: &mut Crew,
    arguments: &[&str],
    settings: &[(&str, &str)],
    stdout: Stdio,
) -> Result<(Child, Registration)> {
    let mut command = crew.client("spike");
    command.args(["status", "--watch", "--interval", "1"]).args(arguments);
    command.envs(settings.iter().copied()).stdout(stdout).stderr(Stdio::inherit());
    let id = crew.cluster().spiffe_id(SUPERUSER)?;
    Ok(crew.cluster().workload_api().registry().spawn(&mut command, id)?)
}

const ENTERED: &str = "\x1b[?1049h\x1b[?25l";
const LEFT: &str = "\x1b[?25h\x1b[?1049l";

#[tokio::test]
async fn a_watch_on_a_terminal_refreshes_in_place_and_gives_the_terminal_back() -> Result<()> {
    const NEVER: &[&str] = &["--color", "never"];
    const NO_COLOR: &[(&str, &str)] = &[("NO_COLOR", "1")];
    for (columns, arguments, settings) in
        [(80, NEVER, &[][..]), (80, &[], NO_COLOR), (200, &[], &[])]
    {
        let mut crew = crew().start().await?;
        crew.keepers_good().await?;
        let (terminal, slave) = Terminal::open(columns, 40)?;
        let (mut child, _registration) = watch(&mut crew, arguments, settings, slave.into())?;
        terminal.shows(0, ENTERED).await?;
        let at = terminal.shows(0, "ready").await?;
        let second = terminal.shows(at, "ready").await?;
        crew.nexus().kill().await?;
        terminal.shows(second, "known:").await?;
        signal(&child, Signal::INT)?;
        let status = tokio::time::timeout(PATIENCE, child.wait()).await??;
        assert!(status.success(), "{status}");
        let text = terminal.whole().await?;
        let (watched, after) = text.split_once(LEFT).context("it was not left")?;
        assert!(watched.starts_with(ENTERED), "{}", text.escape_debug());
        assert!(watched.matches("\x1b[H").count() >= 3, "{}", text.escape_debug());
        assert!(!after.contains("\x1b[?"), "{}", after.escape_debug());
        assert!(after.contains("SVIDs"), "the last look is still to be read: {after}");
        let is_coloured = text.contains("\x1b[1;31m");
        assert_eq!(is_coloured, columns == 200, "{}", text.escape_debug());
        let lines = plain(watched);
        let longest = lines.lines().map(|line| line.trim_end().chars().count()).max();
        ensure!(longest <= Some(columns.into()), "{longest:?}: {lines}");
    }
    Ok(())
}

// Ctrl-Z would have left a terminal without a cursor, on another screen.
#[tokio::test]
async fn a_watch_that_is_stopped_gives_the_terminal_back_and_takes_it_again() -> Result<()> {
    let mut crew = crew().start().await?;
    let (terminal, slave) = Terminal::open(80, 10)?;
    let (mut child, _registration) = watch(&mut crew, &[], &[], slave.into())?;
    let shown = terminal.shows(0, "more lines: this terminal is too low").await?;
    signal(&child, Signal::TSTP)?;
    let left = terminal.shows(shown, LEFT).await?;
    signal(&child, Signal::CONT)?;
    let again = terminal.shows(left, ENTERED).await?;
    terminal.shows(again, "ready").await?;
    signal(&child, Signal::TERM)?;
    let status = tokio::time::timeout(PATIENCE, child.wait()).await??;
    assert!(status.success(), "{status}");
    assert!(terminal.whole().await?.contains(LEFT));
    crew.stop().await
}

#[tokio::test]
async fn a_watch_in_a_pipe_prints_one_plain_screen_after_the_other() -> Result<()> {
    let mut crew = crew().start().await?;
    let place = crew.dir().join("watched");
    let (mut child, _registration) = watch(&mut crew, &[], &[], File::create(&place)?.into())?;
    let screens = |text: &str| text.matches("SPIKE at https://").count();
    eventually("three screens", PATIENCE, async || {
        Ok((screens(&std::fs::read_to_string(&place)?) >= 3).then_some(()))
    })
    .await?;
    signal(&child, Signal::INT)?;
    let status = tokio::time::timeout(PATIENCE, child.wait()).await??;
    assert!(status.success(), "{status}");
    let text = std::fs::read_to_string(&place)?;
    assert!(!text.contains('\x1b'), "{}", text.escape_debug());
    assert_eq!(text.split("\n\nSPIKE at ").count(), screens(&text), "{text}");
    // A terminal that is closed ends a watch, too: the reader of the pipe has gone.
    let mut gone = watch(&mut crew, &[], &[], Stdio::piped())?;
    drop(gone.0.stdout.take());
    let ended = tokio::time::timeout(PATIENCE + Duration::from_secs(5), gone.0.wait()).await??;
    assert_eq!(ended.code(), Some(1), "{ended}");
    crew.stop().await
}
