//! Whole runs against a Nexus whose answers come from a function.

use spike_config::Environment;
use spike_domain::Role;
use spike_wire::{
    DataKind, ErrorCode, ExplainResponse, KeeperStatus, KeeperStatusKind, LintResponse, NearMiss,
    Operation, StatusResponse, StoreStatus,
};

use crate::Exit;
use crate::testing::{Answer, FakeNexus, Ran, error, run_alone, run_in};

fn status() -> StatusResponse {
    let keeper = |index| KeeperStatus {
        index,
        url: format!("https://localhost:{}", 8443 + 100 * (index - 1)),
        state: KeeperStatusKind::Good,
        since: "2026-07-25T20:02:04Z".to_owned(),
        looked: None,
        failures: 0,
        version: None,
        started: None,
        detail: None,
    };
    StatusResponse {
        version: "0.1.0".to_owned(),
        backend: "sqlite".to_owned(),
        root_key: Some("fingerprint".to_owned()),
        shares: 2,
        threshold: 1,
        margin: Some(1),
        keepers: vec![keeper(1), keeper(2)],
        last_export: Some("2026-07-25T20:02:04Z".to_owned()),
        store: Some(StoreStatus { bytes: 4096, ..StoreStatus::default() }),
        ..StatusResponse::default()
    }
}

fn answering(status: StatusResponse) -> FakeNexus {
    let miss = NearMiss {
        name: "acme".to_owned(),
        failed: vec!["the path pattern ^c does not match a/b".to_owned()],
        suggestions: vec!["set the path pattern to ^a/b$".to_owned()],
        ..NearMiss::default()
    };
    let denied =
        ExplainResponse { near_misses: vec![miss], policies: 1, ..ExplainResponse::default() };
    FakeNexus::start(move |operation, _| -> Answer {
        match operation {
            Operation::OperatorStatus => (200, status.encode()),
            Operation::PolicyLint => (200, LintResponse::default().encode()),
            Operation::PolicyExplain => (200, denied.encode()),
            _ => error(operation, ErrorCode::StateNotReady),
        }
    })
}

#[test]
fn a_system_that_is_well_is_told_as_that() {
    let ran = answering(status()).run(&["doctor"]);
    assert_eq!(ran.exit, Exit::Success, "{ran}");
    // What comes before has times and the path of this program.
    let (_, below) = ran.stdout.split_once("Keepers and Bootstrap").unwrap();
    insta::assert_snapshot!(below, @"
      [ ok ] root key: fingerprint
      [ ok ] Keeper 1: as SPIKE Nexus sees https://localhost:8443: good since
             2026-07-25T20:02:04Z
      [ ok ] Keeper 2: as SPIKE Nexus sees https://localhost:8543: good since
             2026-07-25T20:02:04Z
      [ ok ] margin: 2 of 2 Keepers hold a share of the key in use, 1 are needed

    Policies
      [ ok ] lint: no finding in 0 policies

    Storage
      [ ok ] backend: sqlite
      [ ok ] recovery shares: last taken out at 2026-07-25T20:02:04Z
      [ ok ] store: 4096 bytes, and 0 in the write-ahead log

    The answer: nothing is broken, as far as it was checked.
    ");
}

#[test]
fn what_is_broken_is_told_with_cause_next_step_and_page() {
    let away = StatusResponse {
        sealed: true,
        reason: Some("1 of 2 shares collected".to_owned()),
        data: Some(DataKind::Ours),
        threshold: 2,
        keepers: status()
            .keepers
            .into_iter()
            .map(|keeper| KeeperStatus { state: KeeperStatusKind::Unreachable, ..keeper })
            .collect(),
        store: None,
        ..status()
    };
    let ran = answering(away).run(&["doctor"]);
    assert_eq!(ran.exit, Exit::NotReady, "{ran}");
    let (_, below) = ran.stdout.split_once("Keepers and Bootstrap").unwrap();
    insta::assert_snapshot!(below, @"
      [FAIL] root key: sealed: 1 of 2 shares collected
             cause: 2 of 2 Keepers cannot be reached from SPIKE Nexus, 0 hold a
               share, and 2 are needed
             next:  start those Keepers, or mend the way to them: SPIKE Nexus then
               goes on by itself. If they have lost their shares, `spike operator
               restore` brings the key back
             page:  docs/runbooks/SpikeSealed.md
      [warn] Keeper 1: as SPIKE Nexus sees https://localhost:8443: unreachable since
             2026-07-25T20:02:04Z
             cause: SPIKE Nexus cannot reach it
             next:  start it, or correct SPIKE_NEXUS_KEEPER_PEERS of SPIKE Nexus
             page:  docs/runbooks/SpikeKeeperAway.md
      [warn] Keeper 2: as SPIKE Nexus sees https://localhost:8543: unreachable since
             2026-07-25T20:02:04Z
             cause: SPIKE Nexus cannot reach it
             next:  start it, or correct SPIKE_NEXUS_KEEPER_PEERS of SPIKE Nexus
             page:  docs/runbooks/SpikeKeeperAway.md

    Storage
      [ ok ] backend: sqlite

    The answer: 2 of 2 Keepers cannot be reached from SPIKE Nexus, 0 hold a share,
      and 2 are needed (Keepers and Bootstrap: root key)
      Next: start those Keepers, or mend the way to them: SPIKE Nexus then goes on
      by itself. If they have lost their shares, `spike operator restore` brings the
      key back
      Page: docs/runbooks/SpikeSealed.md
    ");
}

#[test]
fn the_data_has_the_same_fields_for_every_check() {
    let ran = answering(status()).run(&["doctor", "-f", "json"]);
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["exit"], 0);
    assert_eq!(report["layer"], serde_json::Value::Null);
    let checks = report["checks"].as_array().unwrap();
    let mut groups: Vec<_> = checks.iter().map(|check| check["group"].as_str().unwrap()).collect();
    groups.dedup();
    let expected = ["machine", "clock", "identity", "nexus", "keepers", "policies", "storage"];
    assert_eq!(groups, expected, "in the order of the layers");
    for check in checks {
        let fields: Vec<_> = check.as_object().unwrap().keys().map(String::as_str).collect();
        let expected = ["group", "name", "outcome", "evidence", "cause", "next", "page"];
        assert_eq!(fields.len(), expected.len());
        assert!(expected.iter().all(|field| fields.contains(field)), "{check}");
        assert_eq!(check["outcome"], "ok", "{check}");
    }
}

#[test]
fn no_line_is_wider_than_80_columns_on_a_terminal_and_piped() {
    let broken = StatusResponse {
        margin: Some(-1),
        troubles: vec!["memory is not locked: the limit RLIMIT_MEMLOCK is too small for this process, see the page on hardening".to_owned()],
        ..status()
    };
    let nexus = answering(broken);
    let piped = nexus.run(&["doctor"]);
    let wide: Vec<_> = piped.stdout.lines().filter(|line| line.chars().count() > 80).collect();
    // The path of this program has no spaces.
    assert!(wide.iter().all(|line| line.trim_start().starts_with('/')), "{wide:#?}");
    assert!(!piped.stdout.contains('\x1b'));
    let marks = |ran: &Ran| ran.stdout.matches(['[', ']']).count();
    assert_eq!(marks(&nexus.run_on_terminal(&["doctor"])), marks(&piped));
}

#[test]
fn a_question_about_policies_is_answered_and_decides_the_status() {
    let ran =
        answering(status()).run(&["doctor", "--as", "spiffe://example.org/app", "--path", "a/b"]);
    assert_eq!(ran.exit, Exit::Denied);
    let (_, answer) = ran.stdout.split_once("The answer: ").unwrap();
    assert!(answer.starts_with("no policy allows it. In the nearest one, acme"), "{answer}");
    assert!(
        answer.contains("Next: if it should be allowed: set the path pattern to ^a/b$"),
        "{answer}"
    );
}

#[test]
fn another_role_gets_what_it_may_and_is_told_what_it_is() {
    let nexus = answering(status());
    let question = ["doctor", "--as", "spiffe://example.org/app", "--path", "a/b"];
    let ran = nexus.run_as(Role::PilotRecover, &question, "");
    assert_eq!(ran.exit, Exit::Findings);
    assert!(ran.stdout.contains("[skip] access: skipped: only a superuser"), "{}", ran.stdout);
    assert!(ran.stdout.contains("[ ok ] root key: fingerprint"), "{}", ran.stdout);
    assert_eq!(nexus.asked(), [Operation::OperatorStatus]);
}

#[test]
fn with_everything_down_each_layer_says_why_it_was_skipped() {
    let environment = Environment::from_pairs([
        ("SPIFFE_ENDPOINT_SOCKET", "unix:///does/not/exist.sock"),
        ("SPIKE_NEXUS_API_URL", "https://127.0.0.1:1"),
    ]);
    let ran = run_in(&["doctor"], "", &environment, None);
    assert_eq!(ran.exit, Exit::Unreachable);
    let (_, answer) = ran.stdout.split_once("The answer: ").unwrap();
    assert!(answer.starts_with("there is no agent at that place"), "{answer}");
    for part in ["nobody listens at 127.0.0.1:1", "[skip] SVID", "[skip] root key", "[skip] clock"]
    {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
}

#[test]
fn a_setting_that_cannot_be_used_skips_what_needs_it_and_nothing_else() {
    let ran = run_alone(&["doctor"], "");
    assert_eq!(ran.exit, Exit::Usage);
    assert!(ran.stdout.contains("[FAIL] setting SPIFFE_ENDPOINT_SOCKET"), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("[skip] Workload API: skipped: SPIFFE_ENDPOINT_SOCKET"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("connection:"), "{}", ran.stdout);
}

#[test]
fn a_file_is_judged_for_its_program_without_anything_else() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("nexus.env");
    let text = "# Nexus\nSPIKE_NEXUS_TLS_PORT=8553\nSPIKE_NEXUS_KEEPER_PEERS='https://a,https://b'\nexport X=1\nSPIKE_NEXUS_BACKEND_STROE=lite\nSPIKE_NEXUS_BACKEND_STORE=lite\n";
    std::fs::write(&file, text).unwrap();
    let path = file.to_str().unwrap();
    let ran = run_alone(&["doctor", "--config", path, "--program", "nexus"], "");
    assert_eq!(ran.exit, Exit::Usage);
    for part in [
        "setting SPIKE_NEXUS_TLS_PORT",
        "setting SPIKE_NEXUS_KEEPER_PEERS",
        "did you mean",
        "line 4 of",
    ] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
    assert!(!ran.stdout.contains("Workload API"), "{}", ran.stdout);
    std::fs::write(&file, "SPIKE_KEEPER_TLS_PORT=:8443\n").unwrap();
    let ran = run_alone(&["doctor", "--config", path, "--program", "keeper"], "");
    assert_eq!(ran.exit, Exit::Success, "{ran}");
}

#[test]
fn a_question_that_makes_no_sense_is_found_before_anything_is_looked_at() {
    let ran = run_alone(&["doctor", "--as", "me", "--path", "a/b"], "");
    assert_eq!((ran.exit, ran.stdout.as_str()), (Exit::Usage, ""));
    assert_eq!(run_alone(&["doctor", "--path", "a/b"], "").exit, Exit::Usage);
    assert_eq!(run_alone(&["doctor", "--config", "x"], "").exit, Exit::Usage);
}

#[test]
fn an_archive_is_for_its_owner_has_no_secret_value_and_replaces_nothing() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let (archive, log) = (dir.path().join("a.tar"), dir.path().join("nexus.log"));
    let share = format!("spike:1:{}\n", "5eed".repeat(16));
    std::fs::write(&log, format!("a line\n{share}")).unwrap();
    let nexus = answering(status());
    let arguments = [
        "doctor",
        "--bundle",
        archive.to_str().unwrap(),
        "--log",
        log.to_str().unwrap(),
        "--telemetry",
        "127.0.0.1:1",
    ];
    let ran = nexus.run(&arguments);
    assert_eq!(ran.exit, Exit::Success, "{ran}");
    let listed = std::process::Command::new("tar").arg("-tf").arg(&archive).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert_eq!(listed.lines().count(), 9, "{listed}");
    for name in listed.lines() {
        assert!(ran.stderr.contains(&format!("  {name}, ")), "{name}: {}", ran.stderr);
    }
    assert!(ran.stderr.contains("1 line of") && ran.stderr.contains("left out"), "{}", ran.stderr);
    let bytes = std::fs::read(&archive).unwrap();
    assert!(!bytes.windows(8).any(|window| window == b"5eed5eed"), "a recovery share is in it");
    assert!(listed.contains("status.json") && listed.contains("logs/1-nexus.log"), "{listed}");
    assert_eq!(std::fs::metadata(&archive).unwrap().permissions().mode() & 0o777, 0o600);
    let ran = nexus.run(&arguments);
    assert_eq!(ran.exit, Exit::Usage);
    assert!(ran.stderr.contains("exists already"), "{}", ran.stderr);

    let bad = dir.path().join("b.tar");
    let pairs = [("SPIKE_HTTP_CLIENT_TIMEOUT", "hunter2"), ("SPIKE_TRUST_ROOT_PILOT", "hunter2 ,")];
    let endpoint = [("SPIFFE_ENDPOINT_SOCKET", "unix:///does/not/exist")];
    let environment = Environment::from_pairs(pairs.into_iter().chain(endpoint));
    let arguments = ["doctor", "--bundle", bad.to_str().unwrap(), "--telemetry", "127.0.0.1:1"];
    assert_eq!(run_in(&arguments, "", &environment, None).exit, Exit::Usage);
    let bytes = std::fs::read(&bad).unwrap();
    assert!(!bytes.windows(7).any(|window| window == b"hunter2"));
}
