//! Answers that do not come, and a share that keeps the others from being judged.

use super::*;

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
            ..RestoreResponse::default()
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
            RestoreResponse { collected: count, remaining, restored, ..RestoreResponse::default() }
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
