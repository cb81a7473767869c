//! Every call, against the fake: what it returns, and how it fails.

use std::time::{Duration, SystemTime};

use futures_util::TryStreamExt;
use spike_wire::{Operation, Rule};
use tokio::time::Instant;

use super::every_call::{CALLS, DELETED, PATH, begin};
use crate::{
    Error, Policy, Retry,
    fake::{Failure, Fake},
};

#[tokio::test]
async fn versions_are_put_read_deleted_and_undeleted() {
    let fake = Fake::new();
    let spike = fake.client();
    spike.put(PATH, [("pass", "first"), ("user", "acme")]).await.unwrap();
    spike.put(PATH, [("pass", "second")]).await.unwrap();

    let current = spike.get_current(PATH).await.unwrap();
    assert_eq!(current.version(), Some(2));
    assert_eq!(current.expose_all().collect::<Vec<_>>(), [("pass", "second")]);
    assert_eq!(current.expose_owned("pass").as_deref().map(String::as_str), Some("second"));
    let first = spike.get_version(PATH, 1).await.unwrap();
    assert_eq!(first.names().collect::<Vec<_>>(), ["pass", "user"]);
    assert_eq!(spike.get(PATH).await.unwrap().version(), None);

    spike.delete(PATH, &[]).await.unwrap();
    assert_eq!(spike.get(PATH).await.unwrap().expose("pass"), Some("first"));
    spike.delete(PATH, &[1]).await.unwrap();
    assert!(matches!(spike.get_current(PATH).await, Err(Error::NotFound)));
    let metadata = spike.metadata(PATH).await.unwrap();
    assert_eq!((metadata.current_version(), metadata.max_versions()), (None, 10));
    let deleted = metadata.versions().iter().map(|one| (one.number, one.deleted.is_some()));
    assert_eq!(deleted.collect::<Vec<_>>(), [(1, true), (2, true)]);
    spike.undelete(PATH, &[2]).await.unwrap();
    assert_eq!(spike.get(PATH).await.unwrap().expose("pass"), Some("second"));
    assert!(matches!(spike.undelete(PATH, &[2]).await, Err(Error::NotFound)));
    assert!(matches!(spike.metadata("none").await, Err(Error::NotFound)));
}

#[tokio::test]
async fn a_fake_tells_the_path_of_every_call_that_has_one() {
    let fake = Fake::new();
    begin(&fake.client()).await.unwrap();
    for (_, call) in CALLS {
        call(&fake.client()).await.unwrap();
    }
    let has_path = |label: &str| {
        let asked = Operation::ALL.iter().find(|operation| operation.label() == label);
        matches!(asked.unwrap().rule(), Rule::OnThePath(_))
    };
    let calls = fake.calls();
    for call in calls.iter().filter(|call| has_path(call.operation)) {
        assert!([PATH, DELETED].contains(&call.subject.as_str()), "{call:?}");
    }
}

#[tokio::test]
async fn times_are_those_of_the_changes_and_not_of_a_clock() {
    let fake = Fake::new();
    fake.put(PATH, [("pass", "first")]);
    fake.put(PATH, [("pass", "second")]);
    let metadata = fake.client().metadata(PATH).await.unwrap();
    let second_of_2026 =
        |second: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600 + second);
    assert_eq!(metadata.created(), second_of_2026(1));
    assert_eq!(metadata.updated(), second_of_2026(2));
    assert_eq!(metadata.versions()[1].created, second_of_2026(2));
}

#[tokio::test]
async fn the_oldest_versions_are_erased_as_nexus_does() {
    let fake = Fake::new();
    for number in 1..=12 {
        assert_eq!(fake.put(PATH, [("n", "v")]), number);
    }
    let metadata = fake.client().metadata(PATH).await.unwrap();
    assert_eq!(metadata.versions().first().map(|version| version.number), Some(3));
    assert!(matches!(fake.client().get_version(PATH, 2).await, Err(Error::NotFound)));
}

#[tokio::test]
async fn what_nexus_refuses_the_fake_refuses() {
    let fake = Fake::new();
    let spike = fake.client();
    for path in ["", "a b", "spike/system/acl"] {
        assert!(
            matches!(spike.put(path, [("n", "v")]).await, Err(Error::Invalid { .. })),
            "{path}"
        );
    }
    let bad_name = spike.put(PATH, [("a.b", "v")]).await;
    assert!(matches!(bad_name, Err(Error::Invalid { .. })), "{bad_name:?}");
    let large = "x".repeat(5 * 1024 * 1024);
    let too_large = spike.put(PATH, [("n", large.as_str())]).await;
    assert!(matches!(too_large, Err(Error::TooLarge { .. })), "{too_large:?}");
    assert!(matches!(spike.metadata(PATH).await, Err(Error::NotFound)));
}

#[tokio::test]
async fn a_listing_comes_in_pages_or_as_a_whole() {
    let fake = Fake::new();
    let all: Vec<String> = (0..25).map(|number| format!("a/{number:02}")).collect();
    for path in &all {
        fake.put(path, [("n", "v")]);
    }
    fake.put("b/other", [("n", "v")]);
    let spike = fake.client();
    let pages: Vec<Vec<String>> = spike.pages("a/").of_size(10).try_collect().await.unwrap();
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 5]);
    assert_eq!(pages.concat(), all);
    assert_eq!(spike.list("a/").await.unwrap(), all);
    assert_eq!(spike.list("").await.unwrap().len(), 26);
    fake.deny("a/1");
    assert_eq!(spike.list("a/").await.unwrap().len(), 15);
    fake.deny("");
    let mut pages = spike.pages("a/");
    assert!(matches!(pages.next().await, Some(Err(Error::Denied { .. }))));
    assert!(pages.next().await.is_none());
}

#[tokio::test]
async fn what_was_encrypted_is_decrypted_and_what_was_changed_is_not() {
    let fake = Fake::new();
    let spike = fake.client();
    for text in [b"".as_slice(), b"a card number"] {
        let encrypted = spike.encrypt(text).await.unwrap();
        assert_eq!(encrypted[0], 1);
        assert_ne!(encrypted, spike.encrypt(text).await.unwrap());
        assert_eq!(spike.decrypt(&encrypted).await.unwrap().as_slice(), text);
        let mut changed = encrypted.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert!(matches!(spike.decrypt(&changed).await, Err(Error::Invalid { .. })));
    }
    for no_ciphertext in [b"".as_slice(), b"\x02twelve bytes", b"\x01short"] {
        assert!(matches!(spike.decrypt(no_ciphertext).await, Err(Error::Invalid { .. })));
    }
    fake.deny("spike/system/cipher");
    assert!(matches!(spike.encrypt(b"x").await, Err(Error::Denied { .. })));
}

#[tokio::test]
async fn policies_are_created_replaced_listed_and_deleted() {
    let fake = Fake::new();
    let spike = fake.client();
    let policies = spike.policies();
    let policy = Policy::new("app1", "^spiffe://spike.ist/app1$", "^a/.*$", ["read"]);
    policies.create(&policy).await.unwrap();
    assert!(matches!(policies.create(&policy).await, Err(Error::AlreadyExists)));
    policies.put(&policy).await.unwrap();
    let found = policies.get("app1").await.unwrap();
    assert_eq!(found.permissions, ["read"]);
    assert_eq!(policies.list().await.unwrap(), ["app1"]);
    policies.delete("app1").await.unwrap();
    assert!(matches!(policies.get("app1").await, Err(Error::NotFound)));
    assert!(matches!(policies.lint().await, Err(Error::Invalid { .. })));
}

type IsCase = fn(&Error) -> bool;

#[tokio::test(start_paused = true)]
async fn each_planted_failure_is_the_error_it_stands_for() {
    let fake = Fake::new();
    fake.put(PATH, [("n", "v")]);
    let once = fake.client().with_retry(Retry::none());
    let retry_after = Duration::from_secs(3);
    let cases: [(Failure, IsCase); 7] = [
        (Failure::Sealed, |error| matches!(error, Error::Sealed { .. })),
        (
            Failure::Busy { retry_after },
            |error| matches!(error, Error::Busy { retry_after: Some(after), .. } if after.as_secs() == 3),
        ),
        (Failure::Internal, |error| matches!(error, Error::Server { status: 500, .. })),
        (Failure::Unreachable, |error| matches!(error, Error::Unreachable { .. })),
        (Failure::Unanswered { done: false }, |error| matches!(error, Error::Unanswered { .. })),
        (Failure::WrongServer, |error| matches!(error, Error::WrongServer { id: Some(_), .. })),
        (Failure::IdentityRefused, |error| matches!(error, Error::IdentityRefused { .. })),
    ];
    for (failure, is_case) in cases {
        fake.fail(failure.clone());
        let error = once.get(PATH).await.unwrap_err();
        assert!(is_case(&error), "{failure:?} is {error:?}");
    }
    fake.recover();
    once.get(PATH).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn another_identity_at_the_other_end_is_told_at_once() {
    let fake = Fake::new();
    let begun = Instant::now();
    for failure in [Failure::WrongServer, Failure::IdentityRefused] {
        fake.fail(failure);
        assert!(fake.client().get(PATH).await.is_err());
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(fake.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_write_without_an_answer_was_done_or_not_and_is_not_repeated() {
    for done in [true, false] {
        let fake = Fake::new();
        fake.fail_next(1, Failure::Unanswered { done });
        let error = fake.client().put(PATH, [("n", "v")]).await.unwrap_err();
        assert!(error.may_have_been_done(), "{error}");
        assert_eq!(fake.calls().len(), 1);
        assert_eq!(fake.client().get(PATH).await.is_ok(), done);
    }
}
