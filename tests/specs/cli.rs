//! The `spike` command against a real Nexus: values come back byte for byte, and each case has its exit status.

mod streams;

use std::{
    fs,
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink},
    process::{Output, Stdio},
};

use anyhow::{Context as _, Result};
use spike_daemon::settings::Backend;
use spike_tests::{PATIENCE, Running, SUPERUSER};
use tokio::{process::Command, time::timeout};

use crate::{crew, scenario};

/// A text like a PEM key, with several lines and a final newline. It is no real key.
const KEY: &str =
    "-----BEGIN PRIVATE KEY-----\nbm90IGEga2V5\nbm90IGEga2V5\n-----END PRIVATE KEY-----\n";

#[tokio::test]
async fn a_key_file_goes_in_and_comes_out_byte_for_byte() -> Result<()> {
    let cluster = scenario().start().await?;
    fs::write(cluster.dir().join("key.pem"), KEY)?;
    cluster
        .spike(&["secret", "put", "tenants/acme/db", "user=app", "pass=@key.pem"])
        .await?
        .done()?;
    let read = cluster.spike(&["secret", "get", "tenants/acme/db", "pass", "--raw"]).await?;
    assert_eq!(read.done()?, KEY);
    assert_eq!(read.stderr, "");

    let input = "Grüße 🔑\r\nno newline at the end";
    let put = ["secret", "put", "tenants/acme/db", "pass=-"];
    cluster.spike_with(&put, input.as_bytes()).await?.done()?;
    let read = cluster.spike(&["secret", "get", "tenants/acme/db", "pass", "--raw"]).await?;
    assert_eq!(read.done()?, input);
    cluster.stop().await
}

#[tokio::test]
async fn a_secret_can_be_listed_deleted_and_brought_back() -> Result<()> {
    let cluster = scenario().start().await?;
    cluster.spike(&["secret", "put", "tenants/acme/db", "n=1"]).await?.done()?;
    cluster.spike(&["secret", "put", "tenants/acme/db", "n=2"]).await?.done()?;
    let listed = cluster.spike(&["secret", "list"]).await?;
    assert!(listed.done()?.contains("tenants/acme/db"), "{listed:?}");
    let get = ["secret", "get", "tenants/acme/db", "n", "--raw"];
    cluster.spike(&["secret", "delete", "tenants/acme/db"]).await?.done()?;
    assert_eq!(cluster.spike(&get).await?.done()?, "1");
    cluster.spike(&["secret", "undelete", "tenants/acme/db", "--versions", "2"]).await?.done()?;
    assert_eq!(cluster.spike(&get).await?.done()?, "2");
    let known = cluster
        .spike(&["secret", "metadata", "get", "tenants/acme/db", "--format", "json"])
        .await?;
    let known: serde_json::Value = serde_json::from_str(known.done()?)?;
    assert_eq!(known["metadata"]["currentVersion"], 2, "{known}");
    cluster.stop().await
}

#[tokio::test]
async fn the_exit_status_tells_the_cases_apart() -> Result<()> {
    let mut cluster = scenario().start().await?;
    for (arguments, status) in [
        (&["secret", "get", "nowhere"][..], 3),
        (&["secret", "put", "bad path", "k=v"], 2),
        (&["secret", "put"], 2),
        (&["secret", "nonsense"], 2),
        (&["--version"], 0),
    ] {
        let said = cluster.spike(arguments).await?;
        assert_eq!(said.status, Some(status), "{arguments:?}: {said:?}");
        assert_eq!(said.stderr.is_empty(), status == 0, "{arguments:?}: {said:?}");
    }
    let denied =
        cluster.run_as("/workload/app1", cluster.command("spike").args(["secret", "list"])).await?;
    assert_eq!(denied.status.code(), Some(4), "{}", String::from_utf8_lossy(&denied.stderr));
    cluster.terminate().await?;
    let unreachable = cluster.spike(&["secret", "list"]).await?;
    assert_eq!(unreachable.status, Some(6), "{unreachable:?}");
    assert!(unreachable.stderr.starts_with("Error: "), "{unreachable:?}");
    cluster.workload_api().pause().await;
    let help = cluster.spike(&["secret", "--help"]).await?;
    assert_eq!(help.status, Some(0), "help needs no agent: {help:?}");
    Ok(())
}

/// Runs a line of bash in which `spike` is the program of the cluster, in the directory of the cluster.
async fn bash(cluster: &Running, line: &str) -> Result<Output> {
    let mut command = Command::new("bash");
    let path = format!("{}:/usr/bin:/bin", cluster.dir().join("bin").display());
    command.args(["-o", "pipefail", "-c", line]).env_clear().env("PATH", path);
    command.envs(cluster.client_settings()).current_dir(cluster.dir());
    command.stdin(Stdio::null()).kill_on_drop(true);
    Ok(timeout(PATIENCE, command.output()).await.context("bash does not end")??)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn output_to_a_name_of_standard_output_is_written_there_and_replaces_nothing() -> Result<()> {
    let cluster = scenario().start().await?;
    let dev_stdout = fs::read_link("/dev/stdout")?;
    for line in [
        "printf plan | spike cipher encrypt -o /dev/stdout | spike cipher decrypt -o /dev/stdout | cat",
        "printf plan | spike cipher encrypt | spike cipher decrypt -o /dev/fd/1 | cat",
        // The shell that opened the file has written to it before.
        "{ printf plan | spike cipher encrypt | spike cipher decrypt -o /dev/stdout; } > redirected && cat redirected",
        "printf plan | spike cipher encrypt -o >(spike cipher decrypt > substituted) && while ! [ -s substituted ]; do :; done; cat substituted",
        "mkfifo pipe && { cat pipe & printf plan | spike cipher encrypt | spike cipher decrypt -o pipe; wait; }",
    ] {
        let output = bash(&cluster, line).await?;
        assert!(output.status.success(), "{line}: {}", said(&output));
        assert_eq!(output.stdout, b"plan", "{line}: {}", said(&output));
    }
    let appended = bash(&cluster, "{ printf a; printf b | spike cipher encrypt | spike cipher decrypt -o /dev/stdout; printf c; } > all && cat all").await?;
    assert_eq!(appended.stdout, b"abc", "{}", said(&appended));
    assert_eq!(fs::read_link("/dev/stdout")?, dev_stdout);
    assert!(fs::metadata(cluster.dir().join("pipe"))?.file_type().is_fifo());
    cluster.stop().await
}

#[tokio::test]
async fn only_a_file_that_is_not_there_is_new_and_a_dangling_link_is_told() -> Result<()> {
    let cluster = scenario().start().await?;
    let place = |name: &str| cluster.dir().join(name);
    fs::write(place("there"), "of before, and longer than what comes")?;
    fs::set_permissions(place("there"), fs::Permissions::from_mode(0o640))?;
    symlink("nowhere", place("dangling"))?;
    for name in ["new", "there"] {
        cluster.spike_with(&["cipher", "encrypt", "-o", "enc"], b"plan").await?.done()?;
        cluster.spike(&["cipher", "decrypt", "-f", "enc", "-o", name]).await?.done()?;
        assert_eq!(fs::read(place(name))?, b"plan", "{name}");
    }
    let mode = |name: &str| fs::metadata(place(name)).map(|file| file.permissions().mode() & 0o777);
    assert_eq!((mode("new")?, mode("there")?), (0o600, 0o640));
    let refused = cluster.spike_with(&["cipher", "encrypt", "-o", "dangling"], b"plan").await?;
    assert_eq!(refused.status, Some(1), "{refused:?}");
    assert!(
        refused.stderr.contains("a symbolic link to nowhere, which does not exist"),
        "{refused:?}"
    );
    assert!(place("dangling").is_symlink() && !place("nowhere").exists());
    cluster.stop().await
}

#[tokio::test]
async fn a_pipe_that_brings_nothing_and_a_slip_in_a_key_store_nothing() -> Result<()> {
    let cluster = scenario().start().await?;
    for (arguments, part) in [
        (&["secret", "put", "a/b", "k=-"][..], "standard input is empty"),
        (&["secret", "put", "a/b", "user = app"], "begins or ends with a space"),
        (&["secret", "put", "a/b", "k=a", "k=b"], "have the same key"),
        (&["secret", "put", "a/b", "k=@missing"], "cannot read missing"),
        (&["cipher", "encrypt"], "standard input is empty"),
    ] {
        let refused = cluster.spike(arguments).await?;
        assert_eq!(refused.status, Some(2), "{refused:?}");
        assert!(refused.stderr.contains(part), "{refused:?}");
    }
    assert_eq!(cluster.spike(&["secret", "list"]).await?.done()?, "No secrets found.\n");
    cluster.spike(&["secret", "put", "a/b", "k=-", "--allow-empty"]).await?.done()?;
    assert_eq!(cluster.spike(&["secret", "get", "a/b", "k", "--raw"]).await?.done()?, "");
    cluster.stop().await
}

#[tokio::test]
async fn metadata_of_a_secret_that_is_all_deleted_is_shown() -> Result<()> {
    let cluster = scenario().start().await?;
    for value in ["n=1", "n=2"] {
        cluster.spike(&["secret", "put", "a/b", value]).await?.done()?;
    }
    cluster.spike(&["secret", "delete", "a/b", "--versions", "1,2"]).await?.done()?;
    let get = ["secret", "metadata", "get", "a/b"];
    let shown = cluster.spike(&get).await?;
    assert_eq!(shown.done()?.matches("Deleted: 2").count(), 2, "{shown:?}");
    // A question for one version is whether it can be read.
    let one = cluster.spike(&[&get[..], &["--version", "1"]].concat()).await?;
    assert_eq!(one.status, Some(3), "{one:?}");
    cluster.stop().await
}

#[tokio::test]
async fn a_value_is_shown_on_a_terminal_and_obeyed_by_none() -> Result<()> {
    let cluster = scenario().start().await?;
    let value = "\x1b[2Ja\nuser: root";
    let put = ["secret", "put", "a/b", r"path=C:\new\u001b", "note=-"];
    cluster.spike_with(&put, value.as_bytes()).await?.done()?;
    let piped = cluster.spike(&["secret", "get", "a/b"]).await?;
    assert_eq!(piped.done()?, format!("note: {value}\npath: C:\\new\\u001b\n"));
    // `script` runs the command on a terminal of its own; its absence would show as a failure.
    let output = bash(&cluster, "script -qec 'spike secret get a/b' /dev/null").await?;
    let shown = String::from_utf8(output.stdout)?;
    assert!(shown.contains(r#"note: "\u001b[2Ja\nuser: root""#), "{shown:?}");
    // A backslash of a value looked like the begin of an escape.
    assert!(shown.contains(r"path: C:\new\u001b"), "{shown:?}");
    assert!(
        shown.contains("a value in double quotes is shown with the escapes of JSON"),
        "{shown:?}"
    );
    assert!(!shown.contains("\x1b[2J") && !shown.contains("\nuser: root"), "{shown:?}");
    cluster.stop().await
}

#[tokio::test]
async fn what_get_prints_can_be_edited_and_applied() -> Result<()> {
    let cluster = scenario().start().await?;
    let create = [
        "policy",
        "create",
        "--name",
        "p",
        "--permissions",
        "read",
        "--spiffeid-pattern",
        "^spiffe://example/a$",
        "--path-pattern",
        "^x$",
    ];
    cluster.spike(&create).await?.done()?;
    let printed = cluster.spike(&["policy", "get", "p", "-f", "json"]).await?;
    let edited = printed.done()?.replacen("example/a", "example/b", 1);
    let apply = ["policy", "apply", "--file", "-"];
    cluster.spike_with(&apply, edited.as_bytes()).await?.done()?;
    let shown = cluster.spike(&["policy", "get", "p"]).await?;
    assert!(shown.done()?.contains("example/b"), "{shown:?}");
    for (field, part) in [
        (r#""effect": "deny""#, r#"no field "effect""#),
        (r#""Permissions": ["super"]"#, "something else"),
    ] {
        let document = edited.replacen('{', &format!("{{ {field},"), 1);
        let refused = cluster.spike_with(&apply, document.as_bytes()).await?;
        assert_eq!(refused.status, Some(2), "{refused:?}");
        assert!(refused.stderr.contains(part) && refused.stderr.contains("line "), "{refused:?}");
    }
    let listed = cluster
        .spike(&["policy", "list", "--path-contains", "x", "--limit", "1", "-f", "json"])
        .await?;
    let listed: serde_json::Value = serde_json::from_str(listed.done()?)?;
    assert_eq!(listed[0]["name"], "p");

    // The YAML had its own spellings of fields, and two of them were never read.
    let printed = cluster.spike(&["policy", "get", "p", "-f", "yaml"]).await?;
    let edited = printed.done()?.replacen("example/b", "example/c", 1);
    cluster.spike_with(&["policy", "apply", "-f", "-"], edited.as_bytes()).await?.done()?;
    let shown = cluster.spike(&["policy", "get", "p"]).await?;
    assert!(shown.done()?.contains("example/c"), "{shown:?}");
    let read_by_nobody = format!("{}\nidregex: ^spiffe://example/d$\n", edited.trim_end());
    let refused =
        cluster.spike_with(&["policy", "apply", "-f", "-"], read_by_nobody.as_bytes()).await?;
    assert_eq!(refused.status, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("\"idregex\" is not read"), "{refused:?}");
    cluster.stop().await
}

#[tokio::test]
async fn a_sealed_nexus_says_why_it_is_sealed() -> Result<()> {
    let cluster = scenario().backend(Backend::Sqlite).start_sealed().await?;
    let refused = cluster.spike(&["secret", "list"]).await?;
    assert_eq!(refused.status, Some(5), "{refused:?}");
    assert!(
        refused.stderr.contains("is not ready: sealed: no Keeper has sent a share yet"),
        "{refused:?}"
    );
    cluster.stop().await
}

#[tokio::test]
async fn a_nexus_of_another_ca_is_told_as_that_and_in_words() -> Result<()> {
    let (ours, other) = (scenario().start().await?, scenario().start().await?);
    let url = "SPIKE_NEXUS_API_URL";
    let theirs = other.client_settings().into_iter().find(|(name, _)| name == url);
    let (_, theirs) = theirs.context("no URL of the other Nexus")?;
    let line = format!("{url}={theirs} spike secret list");
    let output = bash(&ours, &line).await?;
    assert_eq!(output.status.code(), Some(6), "{}", said(&output));
    assert!(said(&output).contains("is it of another CA"), "{}", said(&output));
    assert!(!said(&output).contains("Other("), "{}", said(&output));
    other.stop().await?;
    ours.stop().await
}

#[tokio::test]
async fn a_store_that_cannot_be_opened_is_told_as_that_and_not_as_missing_shares() -> Result<()> {
    let mut crew = crew().start().await?;
    crew.nexus().kill().await?;
    for end in ["", "-wal", "-shm"] {
        fs::remove_file(crew.dir().join(format!("data/nexus.db{end}"))).ok();
    }
    fs::write(crew.dir().join("data/nexus.db"), "a file of somebody else's")?;
    crew.start_nexus().await?;
    crew.sealed_because("the store cannot be opened").await?;
    let output = crew.pilot(SUPERUSER, &["secret", "list"]).await?;
    assert_eq!(output.status.code(), Some(5), "{}", said(&output));
    assert!(said(&output).contains("sealed: the store cannot be opened"), "{}", said(&output));
    assert!(said(&output).contains("hint: no share is missing"), "{}", said(&output));
    assert!(!said(&output).contains("run Bootstrap"), "{}", said(&output));
    Ok(())
}
