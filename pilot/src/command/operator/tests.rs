use std::os::unix::fs::PermissionsExt as _;

use spike_wire::{ErrorCode, NotReady, Operation, StatusResponse};

use super::*;
use crate::Exit;
use crate::testing::{FakeNexus, Ran, error};

mod restore;

fn answer(shares: &[(i64, u8)]) -> RecoverResponse {
    RecoverResponse {
        shards: shares.iter().map(|&(index, byte)| (index, Shard::new(&[byte; 32]))).collect(),
    }
}

fn recovering(shares: &[(i64, u8)]) -> FakeNexus {
    let body = answer(shares).encode();
    FakeNexus::start(move |_, _| (200, body.clone()))
}

fn share(index: u8, byte: &str) -> String {
    format!("spike:{index}:{}", byte.repeat(32))
}

fn recover(nexus: &FakeNexus, arguments: &[&str]) -> Ran {
    nexus.run_as(Role::PilotRecover, &[&["operator", "recover"], arguments].concat(), "")
}

#[test]
fn recover_writes_a_file_for_each_share_and_says_where() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("recovery");
    let ran = recover(
        &recovering(&[(1, 0x11), (2, 0x22), (10, 0xab)]),
        &["--out", out.to_str().unwrap()],
    );
    let shown = ran.to_string().replace(directory.path().to_str().unwrap(), "DIR");
    insta::assert_snapshot!(shown, @"
    [0]

      SPIKE Recovery shards saved to the recovery directory:
      DIR/recovery

      Please make sure that:
        1. You encrypt these shards and keep them safe, in different places.
        2. You securely erase the shards from the recovery directory
           after you have encrypted them and moved them to a safe place.

      If you lose these shards, you will not be able to recover
      SPIKE Nexus in the unlikely event of a total system crash.

    --
    ");
    for (index, byte) in [(1, "11"), (2, "22"), (10, "ab")] {
        let file = out.join(format!("spike.recovery.{index}.txt"));
        let expected = format!("spike:{index}:{}", byte.repeat(32));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), expected);
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(std::fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn recover_to_standard_output_prints_the_shares_and_nothing_else() {
    let ran = recover(&recovering(&[(1, 0x11), (2, 0x22)]), &["--stdout"]);
    let (one, two) = ("11".repeat(32), "22".repeat(32));
    assert_eq!(ran.stdout, format!("spike:1:{one}\nspike:2:{two}\n"));
    assert_eq!(ran.stderr, "");
}

#[test]
fn shares_that_could_not_be_fed_back_are_not_saved() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().to_str().unwrap();
    let old = directory.path().join("spike.recovery.1.txt");
    std::fs::write(&old, "old").unwrap();
    for (shares, message) in [
        (&[][..], "no shards found"),
        (&[(1, 0x11), (2, 0)], "empty shard found: number 2"),
        (&[(1, 0xff)], "unusable shard 1"),
        (&[(0, 0x11)], "unusable shard 0"),
        (&[(70_000, 0x11)], "unusable shard 70000"),
    ] {
        let ran = recover(&recovering(shares), &["--out", out]);
        assert_eq!((ran.exit, ran.stdout.as_str()), (Exit::Failure, ""), "{message}");
        assert!(ran.stderr.contains(message), "{}", ran.stderr);
        assert_eq!(std::fs::read_to_string(&old).unwrap(), "old");
    }
}

// It said "saved", and the files of the key before were gone.
#[test]
fn recover_does_not_replace_the_files_of_an_earlier_key() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().to_str().unwrap();
    let read = |index: u8| {
        std::fs::read_to_string(directory.path().join(format!("spike.recovery.{index}.txt")))
    };
    assert_eq!(recover(&recovering(&[(1, 0x11), (2, 0x22)]), &["--out", out]).exit, Exit::Success);
    let ran = recover(&recovering(&[(1, 0x33), (2, 0x44), (3, 0x55)]), &["--out", out]);
    insta::assert_snapshot!(ran.to_string().replace(out, "DIR"), @"
    [1]
    --
    Error: the directory DIR holds other shares than SPIKE Nexus has sent now: spike.recovery.1.txt, spike.recovery.2.txt; no recovery file was written
    hint: they may belong to an earlier root key and be the only way to its data: move them to a safe place, or choose another directory with --out DIR
    ");
    assert_eq!((read(1).unwrap(), read(2).unwrap()), (share(1, "11"), share(2, "22")));
    assert!(read(3).is_err());

    // Fewer shares than before: those that are left over may be of another key.
    let ran = recover(&recovering(&[(1, 0x11)]), &["--out", out]);
    assert!(ran.stdout.contains("saved to the recovery directory"), "{ran}");
    let told = "warning: the directory also holds spike.recovery.2.txt, which";
    assert!(ran.stderr.contains(told), "{ran}");
    assert_eq!(read(2).unwrap(), share(2, "22"));
}

#[test]
fn recover_that_fails_leaves_no_directory_and_one_that_others_can_write_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let new = directory.path().join("new");
    let nexus = FakeNexus::start(|operation, _| error(operation, ErrorCode::ApiInternalError));
    let ran = recover(&nexus, &["--out", new.to_str().unwrap()]);
    assert_eq!(ran.exit, Exit::Failure);
    assert!(!new.exists());

    let open = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(directory.path(), open).unwrap();
    let ran = recover(&recovering(&[(1, 0x11)]), &["--out", directory.path().to_str().unwrap()]);
    assert_eq!(ran.exit, Exit::Success);
    assert!(ran.stderr.contains("can be written by other users (mode 0777), who can"), "{ran}");
}

#[test]
fn a_directory_that_cannot_be_written_is_found_before_the_shares_leave_nexus() {
    let nexus = recovering(&[(1, 0x11)]);
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("file"), "").unwrap();
    let inside = |name: &str| home.path().join(name).display().to_string();
    // They were made, with all their missing parents, or told as "File exists".
    for (out, part) in [
        (inside("a/b"), "does not exist"),
        (inside("file"), "is not a directory"),
        (inside("bad\ndir"), "has a control character"),
        ("/etc/recovery".to_owned(), "belongs to the system"),
        ("/dev/null".to_owned(), "belongs to the system"),
    ] {
        let ran = recover(&nexus, &["--out", &out]);
        assert_eq!(ran.exit, Exit::Usage, "{out}: {ran}");
        assert!(ran.stderr.contains(part), "{out}: {ran}");
    }
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1);
    assert_eq!(nexus.asked(), []);
}

// It was status 1, as a fault is.
#[test]
fn recover_while_sealed_is_told_as_that_and_is_status_5() {
    for why in [NotReady::Sealed, NotReady::Store] {
        let nexus = FakeNexus::start(move |operation, _| {
            if operation == Operation::OperatorStatus {
                let reason = Some("not ready: 1 of 2 shares collected".to_owned());
                return (
                    200,
                    StatusResponse { sealed: true, reason, ..Default::default() }.encode(),
                );
            }
            let code = ErrorCode::ApiInternalError;
            (500, operation.error_body_with_reason(code, why.as_str()))
        });
        let ran = recover(&nexus, &["--stdout"]);
        assert_eq!(ran.exit, Exit::NotReady, "{ran}");
        let told = "Error: SPIKE Nexus is not ready: sealed: 1 of 2 shares collected (500";
        assert!(ran.stderr.starts_with(told), "{ran}");
        assert_eq!(ran.stderr.contains("no share is missing"), why == NotReady::Store, "{ran}");
    }
    // Upstream's gives no reason, and means more than one thing by it.
    let nexus = FakeNexus::start(|operation, _| error(operation, ErrorCode::ApiInternalError));
    assert_eq!(recover(&nexus, &["--stdout"]).exit, Exit::Failure);
}

#[test]
fn recover_on_the_memory_backend_is_explained() {
    let nexus = FakeNexus::start(|operation, _| error(operation, ErrorCode::ApiBadRequest));
    insta::assert_snapshot!(recover(&nexus, &["--stdout"]), @"
    [1]
    --
    Error: SPIKE Nexus refused the request to take out the recovery shares: invalid request (400 api_bad_request, request req-1)
    hint: on the memory backend there is no key to recover or restore
    ");
}
