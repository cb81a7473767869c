//! What takes long shows on a terminal how far it has come, and nothing anywhere else. What a program says is the same on both.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, ensure};
use spike_tests::{
    PATIENCE,
    crew::{Crew, RECOVERER, RESTORER},
    secrets::put,
    terminal::{Terminal, plain},
};
use tokio::process::Command;

use crate::crew;

/// Runs a program to its end under a SPIFFE ID, with a terminal for standard error: its standard output, and what the terminal got.
async fn on_terminal(
    crew: &mut Crew,
    path: &str,
    command: &mut Command,
) -> Result<(String, String)> {
    let (terminal, slave) = Terminal::open(80, 24)?;
    command.env("TERM", "xterm").stdout(Stdio::piped()).stderr(slave);
    let id = crew.cluster().spiffe_id(path)?;
    let (child, _registration) = crew.cluster().workload_api().registry().spawn(command, id)?;
    command.stderr(Stdio::null());
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output());
    let output = output.await.context("it does not end")??;
    let shown = terminal.whole().await?;
    ensure!(output.status.success(), "{}: {shown}", output.status);
    Ok((String::from_utf8(output.stdout)?, shown))
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("the directories of tests are text")
}

/// The recovery files of a crew.
async fn recovery_files(crew: &Crew) -> Result<PathBuf> {
    let directory = crew.dir().join("kept");
    let arguments = ["operator", "recover", "--out", text(&directory)?];
    let taken = crew.pilot(RECOVERER, &arguments).await?;
    ensure!(taken.status.success(), "{}", String::from_utf8_lossy(&taken.stderr));
    Ok(directory)
}

#[tokio::test]
async fn a_backup_shows_each_step_on_a_terminal_and_nothing_in_a_pipe() -> Result<()> {
    let mut crew = crew().start().await?;
    crew.superuser()?.put_secret(&put("tenants/acme/db", &[("user", "app")])).await?;
    let kept = recovery_files(&crew).await?;
    let file = text(&crew.dir().join("b.backup"))?.to_owned();
    let (data, kept) = (text(crew.dir())?.to_owned(), text(&kept)?.to_owned());
    let restored = text(&crew.dir().join("restored"))?.to_owned();
    for (arguments, steps) in [
        (
            vec!["backup", &file, "--data-dir", &data],
            &[
                "copying the database",
                "writing the backup",
                "checking every byte",
                "checking the database",
            ][..],
        ),
        (
            vec!["verify-backup", &file, "--shares", &kept],
            &[
                "checking every byte",
                "rebuilding the key from every subset",
                "decrypting every row",
            ],
        ),
        (vec!["restore-backup", &file, "--data-dir", &restored], &["checking every byte"]),
    ] {
        let mut command = crew.client("nexus");
        let (stdout, shown) =
            on_terminal(&mut crew, "/workload/none", command.env_clear().args(&arguments)).await?;
        for step in steps {
            assert!(shown.contains(step), "{step}: {}", shown.escape_debug());
        }
        let lines = plain(&shown);
        let longest = lines.split(['\r', '\n']).map(|line| line.trim_end().chars().count()).max();
        assert!(longest <= Some(80), "{longest:?}: {}", shown.escape_debug());
        assert!(!stdout.contains('\x1b') && !stdout.is_empty(), "{stdout}");
    }
    let arguments = ["verify-backup", &file, "--shares", &kept];
    let piped =
        crew.client("nexus").env_clear().env("TERM", "xterm").args(arguments).output().await?;
    assert!(piped.status.success());
    assert_eq!(String::from_utf8(piped.stderr)?, "");
    crew.stop().await
}

#[tokio::test]
async fn a_restore_shows_the_shares_of_those_needed() -> Result<()> {
    let mut crew = crew().start().await?;
    let kept = recovery_files(&crew).await?;
    crew.black_out().await?;
    let file = |index: u8| kept.join(format!("spike.recovery.{index}.txt")).display().to_string();
    let (first, second) = (file(1), file(2));
    let mut command = crew.client("spike");
    command.args(["operator", "restore", "--file", &first, "--file", &second]);
    let (stdout, shown) = on_terminal(&mut crew, RESTORER, &mut command).await?;
    assert!(shown.contains("shares fed of those needed: 1 of 2"), "{}", shown.escape_debug());
    assert!(stdout.contains("SPIKE is now restored and ready to use."), "{stdout}");
    crew.ready(PATIENCE).await?;
    crew.stop().await
}

#[tokio::test]
async fn bootstrap_shows_what_it_waits_for_and_its_lines_stay_whole() -> Result<()> {
    let mut crew = crew().start_sealed().await?;
    let urls: Result<Vec<_>> = (1..=3).map(|index| crew.keeper_url(index)).collect();
    let mut command = crew.client("bootstrap");
    command.arg("-init").env("SPIKE_NEXUS_KEEPER_PEERS", urls?.join(","));
    command.env("SPIKE_BOOTSTRAP_STATE_DIR", crew.dir());
    let (_, shown) = on_terminal(&mut crew, "/spike/bootstrap", &mut command).await?;
    for part in [
        "waiting for Keepers: 0 of 3",
        "giving shares to Keepers: ",
        "waiting for the proof of Nexus",
    ] {
        assert!(shown.contains(part), "{part}: {}", shown.escape_debug());
    }
    // A line begins where the terminal has nothing else in it.
    for line in shown.split("bootstrap: ").skip(1) {
        assert!(line.contains('\n'), "{}", line.escape_debug());
    }
    assert_eq!(shown.matches("\r\x1b[Kbootstrap: ").count(), shown.matches("bootstrap: ").count());
    assert!(shown.contains("bootstrap: done: Nexus has proved"), "{}", shown.escape_debug());
    crew.stop().await
}
