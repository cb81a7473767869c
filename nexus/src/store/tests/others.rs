//! A store whose files belong to another user, and are writable through their group, as on a volume in Kubernetes.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::*;

/// A user and a group that own nothing.
const USER: u32 = 64_001;
const GROUP: u32 = 64_002;

/// Run by the test below as another user, in the directory of the store.
#[test]
#[ignore = "it opens the store that the test below has made"]
fn another_user_opens_the_store() {
    let here = std::env::current_dir().unwrap();
    let store = Store::open_or_create(&Home::File(here), &root_key(1), &options(), NOON).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert_eq!(store.get(&path("p"), Selector::Current).unwrap().unwrap().as_slice(), b"one");
    let put = runtime.block_on(store.put(&path("p"), value("two"), NOON));
    assert_eq!(put.unwrap(), 2);
    runtime.block_on(store.close()).unwrap();
}

// The mode could not be changed, and Nexus stayed sealed.
#[tokio::test]
async fn a_store_that_belongs_to_another_user_and_is_open_to_the_group_opens() {
    if !rustix::process::geteuid().is_root() {
        let is_gate = std::env::vars_os().any(|(name, value)| name == "CI" && value == "true");
        assert!(
            !is_gate,
            "under CI=true every test must run, and only root can make files for others"
        );
        println!("skipped: only root can make files for others");
        return;
    }
    let home = in_file(options());
    home.put("p", "one").await;
    home.store.close().await.unwrap();
    let directory = home.directory();
    chown(directory, None, Some(GROUP)).unwrap();
    fs::set_permissions(directory, fs::Permissions::from_mode(0o2770)).unwrap();
    for entry in fs::read_dir(directory).unwrap() {
        let file = entry.unwrap().path();
        chown(&file, None, Some(GROUP)).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o660)).unwrap();
    }
    // In a place that the other user can read.
    let program = tempfile::tempdir().unwrap();
    fs::set_permissions(program.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = program.path().join("tests");
    fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    let output = Command::new(&copy)
        .args(["--exact", "store::tests::others::another_user_opens_the_store", "--ignored"])
        .current_dir(directory)
        .uid(USER)
        .gid(GROUP)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}
