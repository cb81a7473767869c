//! Start, pause, end, and the socket file meanwhile.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

#[tokio::test]
async fn while_paused_there_is_no_socket_and_afterwards_everything_is_as_before() {
    let (api, _dir) = start(HOUR).await;
    let _entry = api.registry().register(std::process::id(), id("/workload/app")).unwrap();
    let old = client(&api).await;
    let mut svids = old.stream_x509_svids().await.unwrap();
    next(&mut svids).await.unwrap().unwrap();

    api.pause().await;
    assert!(!api.socket().exists());
    assert!(next(&mut svids).await.is_none_or(|item| item.is_err()));
    WorkloadApiClient::connect_to(api.endpoint()).await.unwrap_err();
    api.pause().await;

    api.resume().await.unwrap();
    api.resume().await.unwrap();
    let svid = client(&api).await.fetch_x509_svid().await.unwrap();
    assert_eq!(*svid.spiffe_id(), id("/workload/app"));
}

#[tokio::test]
async fn the_socket_and_its_directory_are_for_their_owner_only() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("run/spike");
    let api = start_in(&dir, HOUR).await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&dir), 0o700);
    assert_eq!(mode(api.socket()), 0o600);
}

#[tokio::test]
async fn the_socket_goes_with_its_server() {
    let (api, dir) = start(HOUR).await;
    let socket = api.socket().to_owned();
    drop(api);
    assert!(!socket.exists());
    let api = start_in(dir.path(), HOUR).await;
    api.shutdown().await;
    assert!(!socket.exists());
}

#[tokio::test]
async fn the_socket_of_a_dead_server_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    drop(std::os::unix::net::UnixListener::bind(dir.path().join("api.sock")).unwrap());
    assert!(dir.path().join("api.sock").exists());
    let api = start_in(dir.path(), HOUR).await;
    client(&api).await.fetch_x509_svid().await.unwrap();
}

#[tokio::test]
async fn the_socket_of_a_living_server_and_other_files_are_left_alone() {
    let (api, dir) = start(HOUR).await;
    let config = |name: &str| Config {
        socket: dir.path().join(name),
        ca: Arc::new(authority("spike.ist")),
        svid_ttl: HOUR,
    };
    let refused = WorkloadApi::start(config("api.sock")).await;
    assert!(matches!(refused, Err(Error::InUse { .. })));
    client(&api).await.fetch_x509_svid().await.unwrap();

    fs::write(dir.path().join("notes"), "mine").unwrap();
    let refused = WorkloadApi::start(config("notes")).await;
    assert!(matches!(refused, Err(Error::NotASocket { .. })));
    assert_eq!(fs::read_to_string(dir.path().join("notes")).unwrap(), "mine");
}

#[tokio::test]
async fn a_server_does_not_remove_the_socket_of_its_successor() {
    let (first, dir) = start(HOUR).await;
    // The file was removed while the first server still ran.
    fs::remove_file(first.socket()).unwrap();
    let second = start_in(dir.path(), HOUR).await;
    drop(first);
    client(&second).await.fetch_x509_svid().await.unwrap();
}

#[tokio::test]
async fn a_lifetime_of_less_than_a_second_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config {
        socket: dir.path().join("api.sock"),
        ca: Arc::new(authority("spike.ist")),
        svid_ttl: Duration::from_millis(999),
    };
    let refused = WorkloadApi::start(config).await;
    assert!(matches!(refused, Err(Error::Lifetime(_))));
}
