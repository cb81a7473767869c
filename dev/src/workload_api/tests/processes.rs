//! Other processes as callers: this test program runs itself, as a child that asks who it is.

use std::process::Stdio;

use tokio::process::{Child, Command};

use super::*;

/// The name of the test below that runs as a child process.
const CHILD: &str = "workload_api::tests::processes::child_that_prints_its_spiffe_id";

/// Not a test: what the tests below run as another process. Says nothing when no endpoint is set.
#[tokio::test]
#[ignore = "the child process of other tests"]
async fn child_that_prints_its_spiffe_id() {
    let Ok(client) = WorkloadApiClient::connect_env().await else { return };
    match client.fetch_x509_svid().await {
        Ok(svid) => println!("\nID={}", svid.spiffe_id()),
        Err(error) => println!("\nID={error}"),
    }
}

/// The command that runs the child above from this file.
fn child(program: &Path, api: &Running) -> Command {
    let mut command = Command::new(program);
    prepare(&mut command, api);
    command.args(["--exact", CHILD, "--ignored", "--nocapture"]);
    command
}

/// The same, with a shell between us and it.
fn grandchild(program: &Path, api: &Running) -> Command {
    let mut command = Command::new("sh");
    prepare(&mut command, api);
    // The last command keeps the shell from becoming the program.
    command.args(["-c", "\"$@\"; true", "sh"]).arg(program);
    command.args(["--exact", CHILD, "--ignored", "--nocapture"]);
    command
}

fn prepare(command: &mut Command, api: &Running) {
    command
        .env("SPIFFE_ENDPOINT_SOCKET", api.endpoint())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
}

async fn printed_id(child: Child) -> String {
    let output = tokio::time::timeout(DEADLINE, child.wait_with_output()).await.unwrap().unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    let line = output.lines().find_map(|line| line.strip_prefix("ID="));
    line.unwrap_or_else(|| panic!("no ID in {output}")).to_owned()
}

fn this_program() -> PathBuf {
    std::env::current_exe().unwrap()
}

/// This program under the name `spike`. A link, since a copy could still be open for writing in a sibling's fork.
fn spike() -> (PathBuf, TempDir) {
    let program = this_program();
    let dir = tempfile::tempdir_in(program.parent().unwrap()).unwrap();
    let spike = dir.path().join("spike");
    fs::hard_link(program, &spike).unwrap();
    (spike, dir)
}

#[tokio::test]
async fn a_registered_child_has_its_id_from_its_first_moment() {
    let (api, _dir) = start(HOUR).await;
    let mut command = child(&this_program(), &api);
    let (process, _entry) = api.registry().spawn(&mut command, id("/spike/keeper/1")).unwrap();
    assert_eq!(printed_id(process).await, "spiffe://spike.ist/spike/keeper/1");
}

#[tokio::test]
async fn a_grandchild_inherits_the_id_of_a_registered_child() {
    let (api, _dir) = start(HOUR).await;
    let mut command = grandchild(&this_program(), &api);
    let (process, _entry) = api.registry().spawn(&mut command, id("/workload/app1")).unwrap();
    assert_eq!(printed_id(process).await, "spiffe://spike.ist/workload/app1");
}

#[tokio::test]
async fn a_registration_ends_with_its_guard() {
    let (api, _dir) = start(HOUR).await;
    let entry = api.registry().register(std::process::id(), id("/workload/app1")).unwrap();
    let process = child(&this_program(), &api).spawn().unwrap();
    assert_eq!(printed_id(process).await, "spiffe://spike.ist/workload/app1");
    drop(entry);
    let process = child(&this_program(), &api).spawn().unwrap();
    let program = this_program().file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(printed_id(process).await, format!("spiffe://spike.ist/workload/{program}"));
}

#[tokio::test]
async fn a_program_called_spike_is_the_superuser() {
    let (api, _dir) = start(HOUR).await;
    let (spike, _link) = spike();
    let process = child(&spike, &api).spawn().unwrap();
    assert_eq!(printed_id(process).await, "spiffe://spike.ist/spike/pilot/role/superuser");
}

#[tokio::test]
async fn a_program_called_spike_under_a_registered_process_is_not_the_superuser() {
    let (api, _dir) = start(HOUR).await;
    let (spike, _link) = spike();
    let mut command = grandchild(&spike, &api);
    let (process, _entry) = api.registry().spawn(&mut command, id("/workload/app1")).unwrap();
    assert_eq!(printed_id(process).await, "spiffe://spike.ist/workload/app1");
}

#[tokio::test]
async fn a_program_that_does_not_start_is_an_error_and_leaves_no_entry() {
    let (api, _dir) = start(HOUR).await;
    let mut command = Command::new("/nonexistent/program");
    let refused = api.registry().spawn(&mut command, id("/workload/app1"));
    assert!(matches!(refused, Err(RegisterError::Spawn(_))));
}
