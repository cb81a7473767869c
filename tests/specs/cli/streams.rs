//! Answers to questions, and `-` in place of a file.

use std::{fs, process::Stdio};

use anyhow::Result;
use spike_tests::{Running, SUPERUSER};

use crate::scenario;

async fn create_policy(cluster: &Running, name: &str) -> Result<()> {
    let arguments = [
        "policy",
        "create",
        "--name",
        name,
        "--path-pattern",
        "^tenants/acme/.*$",
        "--spiffeid-pattern",
        r"^spiffe://spike\.ist/app$",
        "--permissions",
        "read",
    ];
    cluster.spike(&arguments).await?.done()?;
    Ok(())
}

// Both ended with 0 and "Operation canceled.", and the policy stayed.
#[tokio::test]
async fn a_script_without_an_answer_hears_that_its_policy_is_still_there_and_yes_is_a_yes()
-> Result<()> {
    let cluster = scenario().start().await?;
    create_policy(&cluster, "w").await?;
    let delete = ["policy", "delete", "w"];

    let silent = cluster.spike(&delete).await?;
    assert_eq!(silent.status, Some(2), "{silent:?}");
    assert!(silent.stderr.contains("policy 'w' is still there"), "{silent:?}");
    assert!(silent.stderr.contains("--yes"), "{silent:?}");
    let mut command = cluster.command("spike");
    let nothing = cluster.run_as(SUPERUSER, command.args(delete).stdin(Stdio::null())).await?;
    assert_eq!(nothing.status.code(), Some(2));

    let no = cluster.spike_with(&delete, b"n\n").await?;
    assert_eq!(no.done()?, "Operation canceled.\n");
    assert!(cluster.spike(&["policy", "list"]).await?.done()?.contains('w'));

    let yes = cluster.spike_with(&delete, b"yes\n").await?;
    assert_eq!(yes.done()?, "Policy deleted successfully.\n");
    cluster.stop().await
}

// The plaintext went into a file with the name `-`, and the pipe got nothing.
#[tokio::test]
async fn a_ciphertext_and_a_plaintext_for_minus_go_to_standard_output_and_to_no_file() -> Result<()>
{
    let cluster = scenario().start().await?;
    let encrypted = cluster.spike_with(&["cipher", "encrypt", "-f", "-", "-o", "-"], b"hi").await?;
    assert!(encrypted.status == Some(0) && !encrypted.stdout.is_empty(), "{encrypted:?}");
    fs::write(cluster.dir().join("x.enc"), &encrypted.stdout)?;
    let decrypted = cluster.spike(&["cipher", "decrypt", "-f", "x.enc", "-o", "-"]).await?;
    assert_eq!(decrypted.done()?, "hi");
    assert!(!cluster.dir().join("-").exists());
    cluster.stop().await
}

// Each took `-` for the name of a file or of a directory.
#[tokio::test]
async fn where_minus_cannot_be_a_stream_it_is_refused_and_the_name_of_such_a_file_told()
-> Result<()> {
    let cluster = scenario().start().await?;
    for (program, arguments) in [
        ("spike", &["operator", "recover", "--out", "-"][..]),
        ("spike", &["man", "--dir", "-"]),
        ("spike", &["doctor", "--bundle", "-"]),
        ("spike", &["doctor", "--bundle", "b.tar", "--log", "-"]),
        ("spike", &["secret", "put", "a", "k=@-"]),
        ("spike-dev", &["svid", "/app", "--out", "-"]),
        ("spike-dev", &["--dir", "-", "as", "/app", "--", "true"]),
        ("nexus", &["verify-backup", "-"]),
        ("nexus", &["verify-backup", "b", "--shares", "-"]),
        ("nexus", &["restore-backup", "-", "--data-dir", "d"]),
        ("nexus", &["backup", "b", "--data-dir", "-"]),
    ] {
        let mut command = cluster.command(program);
        command.args(arguments).current_dir(cluster.dir());
        let output = command.stdin(Stdio::null()).output().await?;
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{program} {arguments:?}: {told}");
        assert!(told.contains("./-"), "{program} {arguments:?}: {told}");
    }
    assert!(!cluster.dir().join("-").exists());
    cluster.stop().await
}
