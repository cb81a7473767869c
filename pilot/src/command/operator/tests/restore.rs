//! `spike operator restore`.

use std::collections::BTreeSet;
use std::sync::Mutex;

use spike_config::Environment;
use spike_wire::{EmptyResponse, RestoreRequest, RestoreResponse};

use super::*;
use crate::testing::{Ca, run_in};

/// A Nexus that needs two shares, and knows which value each must have. `0x66` is of another key.
fn restoring() -> FakeNexus {
    let collected = Mutex::new(BTreeSet::new());
    FakeNexus::start(move |operation, body| {
        let request = RestoreRequest::decode(body).unwrap();
        if request.shard.expose_secret()[0] == 0x66 {
            let code = ErrorCode::ApiBadRequest;
            return (400, operation.error_body_with_reason(code, "share 3 is of another key"));
        }
        let mut collected = collected.lock().unwrap();
        let repeated = !collected.insert(request.id);
        let count = u32::try_from(collected.len()).unwrap();
        let remaining = 2_u32.saturating_sub(count);
        let response = RestoreResponse {
            collected: count,
            remaining,
            restored: remaining == 0,
            already: false,
            repeated,
            unconfirmed: false,
        };
        (200, response.encode())
    })
}

fn restore(nexus: &FakeNexus, arguments: &[&str], stdin: &str) -> Ran {
    nexus.run_as(Role::PilotRestore, &[&["operator", "restore"], arguments].concat(), stdin)
}

#[test]
fn restore_has_upstreams_texts_from_the_first_share_to_the_last() {
    let nexus = restoring();
    insta::assert_snapshot!(restore(&nexus, &[], &share(1, "11")), @"
    [0]

     Shards collected:  1
     Shards remaining:  1
     Please run `spike operator restore` again to provide the remaining shards.

    --
    ");
    insta::assert_snapshot!(restore(&nexus, &[], &share(2, "22")), @"
    [0]

      SPIKE is now restored and ready to use.

    --
    ");
}

// The counts stayed as they were, and nothing said why.
#[test]
fn a_share_that_is_fed_twice_is_told_as_such_with_what_is_there_and_what_is_needed() {
    let nexus = restoring();
    restore(&nexus, &[], &share(1, "11"));
    insta::assert_snapshot!(restore(&nexus, &[], &share(1, "11")), @"
    [0]

     Shards collected:  1
     Shards remaining:  1
     Please run `spike operator restore` again to provide the remaining shards.

    --
    note: this share is in already, and counts once: 1 of 2 are there. Feed another one
    ");
}

#[test]
fn restore_takes_several_files_or_lines_and_tells_of_each() {
    let directory = tempfile::tempdir().unwrap();
    let mut arguments = Vec::new();
    for (index, byte) in [(1, "11"), (2, "22"), (3, "33")] {
        let file = directory.path().join(format!("{index}"));
        std::fs::write(&file, share(index, byte)).unwrap();
        arguments.extend(["--file".to_owned(), file.display().to_string()]);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let nexus = restoring();
    let ran = restore(&nexus, &arguments, "");
    let told = ran.to_string().replace(directory.path().to_str().unwrap(), "DIR");
    insta::assert_snapshot!(told, @"
    [0]
     DIR/1 (number 1): belongs to the root key
     DIR/2 (number 2): belongs to the root key
     DIR/3 (number 3): belongs to the root key

      SPIKE is now restored and ready to use.

    --
    ");

    let lines = format!("{}\n\n {} \n", share(1, "11"), share(2, "22"));
    assert!(restore(&restoring(), &[], &lines).stdout.contains("restored and ready"));
}

// It said of shares of a wrong key that they belong to the root key, where nothing was compared.
#[test]
fn of_a_key_that_nothing_confirmed_no_share_is_said_to_belong_to_the_root_key() {
    let nexus = FakeNexus::start(|_, body| {
        let request = RestoreRequest::decode(body).unwrap();
        let response = RestoreResponse {
            collected: 2,
            restored: !request.more,
            // The share that is fed again is of the key in use, and says nothing of that.
            unconfirmed: request.id == 1 && !request.more,
            ..RestoreResponse::default()
        };
        (200, response.encode())
    });
    let lines = format!("{}\n{}\n", share(1, "11"), share(2, "22"));
    insta::assert_snapshot!(restore(&nexus, &[], &lines), @"
    [0]
     standard input, line 1 (number 1): belongs to the key that is in use now
     standard input, line 2 (number 2): belongs to the key that is in use now

      SPIKE is now restored and ready to use.

    --
    warning: SPIKE Nexus had nothing to compare this key with: no data, and no share of a Keeper. Compare the root key that `spike operator status` shows with the one of before
    ");
}

// The files were judged one by one, and the first that was refused ended the command.
#[test]
fn a_share_of_another_key_does_not_keep_the_others_from_bringing_the_key_back() {
    let lines = format!("{}\n{}\n{}\n", share(1, "11"), share(3, "66"), share(2, "22"));
    insta::assert_snapshot!(restore(&restoring(), &[], &lines), @"
    [0]
     standard input, line 1 (number 1): belongs to the root key
     standard input, line 2 (number 3): refused: share 3 is of another key
     standard input, line 3 (number 2): belongs to the root key

      SPIKE is now restored and ready to use.

    --
    warning: not of the root key, and not used: standard input, line 2 (number 3)
    ");
}

#[test]
fn of_a_set_that_does_not_bring_the_key_back_each_share_is_told() {
    let lines = format!("{}\n{}\n", share(4, "11"), share(3, "66"));
    insta::assert_snapshot!(restore(&restoring(), &[], &lines), @"
    [1]
    --
    Error: SPIKE Nexus refused the request to feed back the recovery share from standard input, line 2 (number 3): share 3 is of another key (400 api_bad_request, request req-1)
    hint: standard input, line 1 (number 4): judged with the others, see the error
    note: upstream says of this: Failed to communicate with SPIKE Nexus
    ");
}

#[test]
fn a_share_is_told_as_kept_where_the_next_one_did_not_arrive_and_where_only_an_earlier_one_was_refused()
 {
    let answered = std::sync::atomic::AtomicU32::new(0);
    let nexus = FakeNexus::start(move |operation, _| {
        match answered.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => (
                200,
                RestoreResponse { collected: 1, remaining: 1, ..RestoreResponse::default() }
                    .encode(),
            ),
            _ => error(operation, ErrorCode::ApiInternalError),
        }
    });
    let three = format!("{}\n{}\n{}\n", share(1, "11"), share(2, "22"), share(4, "44"));
    let ran = restore(&nexus, &[], &three);
    assert!(ran.stderr.contains("(number 4): kept until enough shares are there"), "{ran}");

    let lines = format!("{}\n{}\n", share(3, "66"), share(1, "11"));
    let ran = restore(&restoring(), &[], &lines);
    assert_eq!(ran.exit, Exit::Failure);
    assert!(ran.stderr.contains("(number 1): kept until enough shares are there"), "{ran}");
}

#[test]
fn what_goes_wrong_once_the_key_is_back_is_no_failure_of_the_restore() {
    let answered = std::sync::atomic::AtomicU32::new(0);
    let nexus = FakeNexus::start(move |operation, _| {
        match answered.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => (
                200,
                RestoreResponse { collected: 1, remaining: 1, ..RestoreResponse::default() }
                    .encode(),
            ),
            1 => (
                200,
                RestoreResponse {
                    collected: 2,
                    remaining: 0,
                    restored: true,
                    already: false,
                    repeated: false,
                    unconfirmed: false,
                }
                .encode(),
            ),
            _ => error(operation, ErrorCode::ApiInternalError),
        }
    });
    let lines = format!("{}\n{}\n{}\n", share(1, "11"), share(2, "22"), share(3, "33"));
    let ran = restore(&nexus, &[], &lines);
    assert_eq!(ran.exit, Exit::Success, "{ran}");
    assert!(ran.stdout.contains("restored and ready"), "{ran}");
    // It said "judged with the others, see the error", and there was none.
    assert_eq!(ran.stderr, "");
    insta::assert_snapshot!(ran.stdout, @"
    standard input, line 2 (number 2): belongs to the root key
    standard input, line 3 (number 3): not known whether it belongs to the root key

     SPIKE is now restored and ready to use.
    ");
}

/// A Nexus that needs two shares, takes none above number 5, and judges those that it has once no more are to come; after
/// `answers` requests it answers no more.
fn judging(answers: u32) -> FakeNexus {
    let answered = std::sync::atomic::AtomicU32::new(0);
    let collected = Mutex::new(BTreeSet::new());
    FakeNexus::start(move |operation, body| {
        let before = answered.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        assert!(before < answers, "no answer");
        let request = RestoreRequest::decode(body).unwrap();
        if request.id > 5 {
            let code = ErrorCode::ApiBadRequest;
            return (400, operation.error_body_with_reason(code, "id: expected 1 to 5"));
        }
        let mut collected = collected.lock().unwrap();
        collected.insert(request.id);
        let count = u32::try_from(collected.len()).unwrap();
        let restored = !request.more && count >= 2;
        let response = RestoreResponse {
            collected: count,
            remaining: 2_u32.saturating_sub(count),
            restored,
            already: false,
            repeated: false,
            unconfirmed: false,
        };
        (200, response.encode())
    })
}

// The first was reported as judged with the others.
#[test]
fn a_share_is_told_as_kept_where_the_last_one_got_no_answer() {
    let lines = format!("{}\n{}\n", share(2, "22"), share(1, "11"));
    let ran = restore(&judging(1), &[], &lines);
    assert_eq!(ran.exit, Exit::Unreachable, "{ran}");
    assert!(ran.stderr.contains("line 1 (number 2): kept until enough shares are there"), "{ran}");
    assert!(!ran.stderr.contains("judged"), "{ran}");
}

// The third of three got no answer after the second had brought the key back: "judged with the others, see the error".
#[test]
fn where_the_last_share_gets_no_answer_once_the_key_is_back_no_error_is_told_of() {
    let answered = std::sync::atomic::AtomicU32::new(0);
    let nexus = FakeNexus::start(move |_, _| {
        let count = answered.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        assert!(count < 3, "no answer");
        let (remaining, restored) = (2 - count, count == 2);
        (
            200,
            RestoreResponse {
                collected: count,
                remaining,
                restored,
                already: false,
                repeated: false,
                unconfirmed: false,
            }
            .encode(),
        )
    });
    let lines = format!("{}\n{}\n{}\n", share(1, "11"), share(2, "22"), share(3, "33"));
    let ran = restore(&nexus, &[], &lines);
    assert_eq!((ran.exit, ran.stderr.as_str()), (Exit::Success, ""), "{ran}");
    assert!(!ran.stdout.contains("see the error"), "{ran}");
}

// The number of the last share was refused, and those that were kept before it were never tried.
#[test]
fn a_share_whose_number_is_too_high_does_not_keep_the_others_from_being_judged() {
    let lines = format!("{}\n{}\n{}\n", share(1, "11"), share(2, "22"), share(99, "33"));
    insta::assert_snapshot!(restore(&judging(u32::MAX), &[], &lines), @"
    [0]
     standard input, line 1 (number 1): belongs to the root key
     standard input, line 2 (number 2): belongs to the root key
     standard input, line 3 (number 99): refused: id: expected 1 to 5

      SPIKE is now restored and ready to use.

    --
    warning: not of the root key, and not used: standard input, line 3 (number 99)
    ");
}

// It said that the share may have arrived.
#[test]
fn a_nexus_that_is_not_there_has_got_no_share() {
    let environment = Environment::from_pairs([("SPIKE_NEXUS_API_URL", "https://127.0.0.1:1")]);
    let source = Ca::new().source(Role::PilotRestore);
    let ran = run_in(&["operator", "restore"], &share(1, "11"), &environment, Some(source));
    insta::assert_snapshot!(ran, @"
    [6]
    --
    Error: Failed to communicate with SPIKE Nexus at https://127.0.0.1:1: cannot connect to 127.0.0.1:1: Connection refused (os error 111)
    hint: check that SPIKE Nexus runs, and that SPIKE_NEXUS_API_URL names its host and port
    ");
}

#[test]
fn a_person_reads_no_words_about_the_connection_where_nexus_has_answered() {
    let ran = restoring().run_as_on_terminal(
        Role::PilotRestore,
        &["operator", "restore"],
        &share(3, "66"),
    );
    assert_eq!(ran.exit, Exit::Failure);
    assert!(!ran.stderr.contains("communicate"), "{ran}");
}

#[test]
fn a_share_that_nexus_refuses_is_named_with_its_reason() {
    let nexus = restoring();
    let ran = restore(&nexus, &[], &share(3, "66"));
    insta::assert_snapshot!(ran, @"
    [1]
    --
    Error: SPIKE Nexus refused the request to feed back the recovery share from standard input (number 3): share 3 is of another key (400 api_bad_request, request req-1)
    note: upstream says of this: Failed to communicate with SPIKE Nexus
    ");
}

#[test]
fn every_failure_of_a_restore_says_upstreams_words() {
    // cli-config-deploy 1.12: the recovery drill looks for them.
    for (status, exit) in [(401, Exit::Denied), (500, Exit::Failure), (503, Exit::NotReady)] {
        let nexus = FakeNexus::start(move |_, _| (status, EmptyResponse.encode()));
        let ran = restore(&nexus, &[], &share(1, "11"));
        assert_eq!(ran.exit, exit);
        assert!(ran.stderr.contains("Failed to communicate"), "{}", ran.stderr);
    }
}

#[test]
fn a_text_that_is_no_share_is_not_sent() {
    let nexus = restoring();
    for text in
        ["", "hello", "spike:1", "spike:0:11", &share(1, "zz"), &share(1, "00"), "other:1:00"]
    {
        let ran = restore(&nexus, &[], text);
        assert_eq!(ran.exit, Exit::Usage, "{text}");
    }
    assert_eq!(nexus.asked(), []);
}

/// It said that SPIKE was now restored.
#[test]
fn a_share_that_is_fed_to_a_live_nexus_was_not_needed() {
    let nexus = FakeNexus::start(|_, _| {
        let answer = RestoreResponse {
            collected: 2,
            remaining: 0,
            restored: true,
            already: true,
            repeated: false,
            unconfirmed: false,
        };
        (200, answer.encode())
    });
    let share = format!("spike:1:{}", "11".repeat(32));
    let ran = nexus.run_as(Role::PilotRestore, &["operator", "restore"], &share);
    assert_eq!(ran.exit, Exit::Success, "{ran}");
    assert!(ran.stdout.contains("Nothing to do: SPIKE Nexus has its root key"), "{ran}");
}

/// The key was back, and nothing said that no Keeper had a share of it: the next restart needed the recovery files again.
#[test]
fn a_restored_key_is_told_with_the_number_of_keepers_that_hold_a_share_of_it() {
    use spike_wire::{KeeperStatus, KeeperStatusKind, StatusResponse};
    let told = |state: KeeperStatusKind| {
        let nexus = FakeNexus::start(move |operation, _| {
            if operation == Operation::OperatorStatus {
                let keeper = KeeperStatus { state, ..KeeperStatus::default() };
                let keepers = vec![keeper; 3];
                let status =
                    StatusResponse { shares: 3, threshold: 2, keepers, ..Default::default() };
                return (200, status.encode());
            }
            (200, RestoreResponse { restored: true, ..RestoreResponse::default() }.encode())
        });
        let ran = restore(&nexus, &[], &share(1, "11"));
        assert!(ran.stdout.contains("restored and ready"), "{ran}");
        ran.stderr
    };
    let well = told(KeeperStatusKind::Good);
    assert!(well.contains("note: 3 of 3 Keepers hold a share of this key"), "{well}");
    let foreign = told(KeeperStatusKind::Foreign);
    for part in ["warning: 0 of 3 Keepers hold", "do not restart SPIKE Nexus", "another root key"] {
        assert!(foreign.contains(part), "{part}: {foreign}");
    }
}
