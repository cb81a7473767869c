use spike_domain::TrustRoots;
use time::Duration;

use super::super::check::Outcome;
use super::*;

fn cause(check: &Check) -> &str {
    check.cause.as_deref().unwrap_or_default()
}

fn next(check: &Check) -> &str {
    check.next.as_deref().unwrap_or_default()
}

fn at(path: &Path) -> EndpointSocket {
    EndpointSocket::of_unix_path(path).parse().unwrap()
}

#[tokio::test]
async fn each_state_of_a_socket_has_its_own_cause() {
    let dir = tempfile::tempdir().unwrap();
    let missing = agent(&at(&dir.path().join("no/agent.sock"))).await;
    assert!(cause(&missing).contains("no does not exist"), "{missing:?}");
    let missing = agent(&at(&dir.path().join("agent.sock"))).await;
    assert!(cause(&missing).contains("nothing is at"), "{missing:?}");

    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let plain = agent(&at(&file)).await;
    assert!(cause(&plain).ends_with("file is not a socket"), "{plain:?}");

    let socket = dir.path().join("left.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    assert_eq!(agent(&at(&socket)).await.outcome, Outcome::Ok);
    drop(listener);
    let left = agent(&at(&socket)).await;
    assert!(cause(&left).contains("does not run any more"), "{left:?}");
    assert_eq!(left.outcome, Outcome::Failed(Exit::Unreachable));
}

#[test]
fn a_socket_that_this_user_may_not_open_is_told_with_the_user() {
    let denied = judge_agent(
        &"unix:///run/agent.sock".parse().unwrap(),
        Err(ErrorKind::PermissionDenied.into()),
    );
    assert!(cause(&denied).contains(&format!("uid {}", uid())), "{denied:?}");
}

#[test]
fn a_denial_lists_the_selectors_and_a_silent_agent_does_not() {
    let error = Some((OffsetDateTime::UNIX_EPOCH, "no identity".to_owned()));
    let refused = SvidStatus { refused: true, last_error: error, ..SvidStatus::default() };
    let check = judge_missing(&refused, &["unix:uid:7".to_owned()], None);
    assert!(check.evidence.ends_with("no identity\nunix:uid:7"), "{check:?}");
    assert!(cause(&check).contains("no registration entry"), "{check:?}");
    let silent = judge_missing(&SvidStatus::default(), &[], None);
    assert!(cause(&silent).contains("does not answer"), "{silent:?}");
}

#[tokio::test]
async fn the_selectors_are_those_of_this_process() {
    let found = selectors().await;
    let own = fs::read_link("/proc/self/exe").unwrap();
    assert!(found.contains(&format!("unix:path:{}", own.display())), "{found:?}");
    assert!(found.contains(&format!("unix:uid:{}", uid())), "{found:?}");
    // FIPS 180-4, the message "abc".
    assert!(hash(b"abc").starts_with("ba7816bf8f01cfea"));
}

#[test]
fn times_tell_an_early_a_late_and_an_expired_svid_apart() {
    let now = OffsetDateTime::UNIX_EPOCH + Duration::days(1000);
    let hour = Duration::HOUR;
    assert_eq!(judge_times((now - hour, now + hour), false, now).outcome, Outcome::Ok);
    assert_eq!(judge_times((now - hour, now + hour), true, now).outcome, Outcome::Warning);
    let early = judge_times((now + hour, now + hour * 2), false, now);
    assert!(cause(&early).contains("not valid yet"), "{early:?}");
    let expired = judge_times((now - hour * 2, now - hour), true, now);
    assert!(cause(&expired).contains("has expired"), "{expired:?}");
}

#[test]
fn a_role_is_told_with_what_is_wrong_about_it() {
    let roots = TrustRootsByRole::default();
    let judged = |id: &str| judge_role(id, &roots);
    let role = |name: &str| format!("spiffe://spike.ist/spike/pilot/role/{name}");
    assert_eq!(judged(&role("superuser/me")).outcome, Outcome::Ok);
    assert!(cause(&judged(&role("recover"))).contains("has the role recover"));
    assert_eq!(judged(&role("restore")).outcome, Outcome::Warning);
    let workload = judged("spiffe://spike.ist/workload/app");
    assert_eq!(workload.outcome, Outcome::Failed(Exit::Denied));
    assert!(cause(&workload).contains("none of the roles"), "{workload:?}");
    // It was told to get itself an operator's ID.
    assert!(next(&workload).starts_with("ask an operator"), "{workload:?}");
    let pod = judged("spiffe://spike.ist/ns/spike/sa/pilot");
    assert!(cause(&pod).contains("ClusterSPIFFEID"), "{pod:?}");
    let other = judged("spiffe://example.org/spike/pilot/role/superuser");
    assert!(cause(&other).contains("SPIKE_TRUST_ROOT_PILOT does not name it"), "{other:?}");
    assert!(next(&other).contains("can be superuser then"), "{other:?}");
    let below = TrustRootsByRole { pilot: TrustRoots::parse("example.org/a").unwrap(), ..roots };
    let beside = judge_role("spiffe://example.org/spike/pilot/role/superuser", &below);
    assert!(cause(&beside).contains("none of the roles"), "{beside:?}");
}

/// It was told to make its own trust domain that of superusers.
#[test]
fn a_foreign_workload_is_not_sent_to_the_trust_root_of_operators() {
    let judged = judge_role("spiffe://partner.org/app", &TrustRootsByRole::default());
    assert!(next(&judged).contains("no trust root, but a policy"), "{judged:?}");
    assert!(!next(&judged).contains("set SPIKE_TRUST_ROOT_PILOT"), "{judged:?}");
}

#[test]
fn several_svids_are_a_warning() {
    assert_eq!(several("spiffe://a/b", 1).outcome, Outcome::Ok);
    assert_eq!(several("spiffe://a/b", 2).outcome, Outcome::Warning);
}

/// The agent's log had the cause, and the answer was to compare selectors that the agent never saw.
#[tokio::test]
async fn an_agent_of_another_user_that_cannot_read_the_executable_is_told_as_that() {
    assert!(is_blind(100, 1000) && !is_blind(0, 1000) && !is_blind(1000, 1000));
    let refused = SvidStatus { refused: true, ..SvidStatus::default() };
    let check = judge_missing(&refused, &[], Some(100));
    assert!(cause(&check).contains("The agent runs as user 100"), "{check:?}");
    assert!(check.next.unwrap().contains("CAP_SYS_PTRACE"));

    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("agent.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    assert_eq!(user_of_agent(&at(&socket)).await, Some(uid()));
}
