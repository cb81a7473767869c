//! Recovery files after somebody had them in an editor.

use std::{fs, process::Stdio};

use anyhow::{Context, Result};
use spike_tests::{PATIENCE, crew::RESTORER};
use tokio::io::AsyncWriteExt as _;

use super::{blacked_out, data_is_back, said};

// The first was refused, and its text looks in every editor as it must be.
#[tokio::test]
async fn a_recovery_file_with_a_byte_order_mark_and_crlf_is_restored_from_a_file_and_from_a_pipe()
-> Result<()> {
    let (mut crew, shares) = blacked_out().await?;
    let text =
        |number: usize| format!("\u{feff}{}\r\n", shares[number].to_recovery_text().as_str());
    let file = crew.dir().join("saved.txt");
    fs::write(&file, text(0))?;
    let path = file.to_str().context("not text")?;
    let told = said(crew.pilot(RESTORER, &["operator", "restore", "--file", path]).await?)?;
    assert!(told.contains("Shards collected:  1"), "{told}");

    let mut command = crew.client("spike");
    command.args(["operator", "restore", "--file", "-"]).stdin(Stdio::piped());
    let id = crew.cluster().spiffe_id(RESTORER)?;
    let (mut child, _registration) =
        crew.cluster().workload_api().registry().spawn(&mut command, id)?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    stdin.write_all([text(1), text(2)].concat().as_bytes()).await?;
    drop(stdin);
    let ended = tokio::time::timeout(PATIENCE, child.wait_with_output());
    let told = said(ended.await.context("spike does not end")??)?;
    assert!(told.contains("SPIKE is now restored and ready to use."), "{told}");
    data_is_back(&mut crew).await?;
    crew.stop().await
}
