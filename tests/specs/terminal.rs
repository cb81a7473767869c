//! What `spike` asks a person at a terminal, with a terminal of its own.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    process::Stdio,
    sync::mpsc,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use spike_tests::{PATIENCE, SUPERUSER, crew::Crew};
use tokio::process::Command;

use crate::crew;

/// Runs `spike` on a terminal, types the line after the question, and returns everything that the terminal showed.
async fn typed(crew: &mut Crew, arguments: &[&str], question: &str, line: &str) -> Result<String> {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let name = ptsname(&ours, Vec::new())?.into_string()?;
    let theirs = File::options().read(true).write(true).open(name)?;
    let spike = crew.client("spike");
    let mut command = Command::new("setsid");
    command.arg("--ctty").arg(spike.as_std().get_program()).args(arguments).env_clear();
    for (name, value) in spike.as_std().get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command.stdin(theirs.try_clone()?).stdout(theirs.try_clone()?).stderr(Stdio::from(theirs));
    let id = crew.cluster().spiffe_id(SUPERUSER)?;
    let (mut child, _registration) =
        crew.cluster().workload_api().registry().spawn(&mut command, id)?;
    drop(command);
    let mut writer = File::from(ours);
    let mut reader = writer.try_clone()?;
    let (shown, pieces) = mpsc::channel();
    thread::spawn(move || {
        let mut buffer = [0; 1024];
        // A terminal whose last process has ended gives an error.
        while let Ok(read @ 1..) = reader.read(&mut buffer) {
            if shown.send(buffer.get(..read).unwrap_or_default().to_vec()).is_err() {
                return;
            }
        }
    });
    let mut text = Vec::new();
    let has = |text: &[u8]| String::from_utf8_lossy(text).contains(question);
    let asking = async {
        while !has(&text) {
            match pieces.try_recv() {
                Ok(piece) => text.extend(piece),
                Err(mpsc::TryRecvError::Empty) => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(mpsc::TryRecvError::Disconnected) => return,
            }
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.context("it does not ask")?;
    writer.write_all(format!("{line}\n").as_bytes())?;
    let ended = tokio::time::timeout(PATIENCE, child.wait()).await.context("it does not end")??;
    text.extend(pieces.iter().flatten());
    let text = String::from_utf8_lossy(&text).into_owned();
    ensure!(ended.success(), "{ended}: {text}");
    Ok(text)
}

// On a terminal, `pass=-` waited for Ctrl-D, showed what was typed, and stored its newline.
#[tokio::test]
async fn a_value_that_is_typed_is_not_shown_and_has_no_newline() -> Result<()> {
    let mut crew = crew().start().await?;
    let put = ["secret", "put", "tenants/acme/db", "user=app", "pass=-"];
    let shown = typed(&mut crew, &put, "Value of pass (not shown): ", "hunter2 ").await?;
    assert!(!shown.contains("hunter2"), "{shown}");
    let read = ["secret", "get", "tenants/acme/db", "pass", "--raw"];
    let read = crew.pilot(SUPERUSER, &read).await?;
    assert_eq!(String::from_utf8(read.stdout)?, "hunter2 ");
    crew.stop().await
}
