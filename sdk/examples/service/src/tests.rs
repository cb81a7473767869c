//! The service against a fake: everything that is hard to bring about with a real Nexus, in no time.

use std::{sync::mpsc, time::Duration};

use spike_sdk::{
    Retry,
    fake::{Failure, Fake},
};
use tokio::time::sleep;

use crate::{Event, Rules, Tally, run};

const PATH: &str = "tenants/acme/db";
const SECOND: Duration = Duration::from_secs(1);
/// Long enough for each pause of the watch after errors.
const LONG: Duration = Duration::from_mins(5);

fn rules() -> Rules {
    Rules { path: PATH.to_owned(), every: SECOND, work: SECOND / 10, keep: Duration::from_hours(1) }
}

/// Runs the service while `story` goes on. Returns its events and its work.
async fn during(fake: &Fake, story: impl Future<Output = ()>) -> (Vec<Event>, Tally) {
    let (to, events) = mpsc::channel();
    let spike = fake.client().with_retry(Retry::default().with_max_tries(3));
    let tally = run(&spike, &rules(), |event| to.send(event.clone()).unwrap(), story).await;
    drop(to);
    (events.iter().collect(), tally)
}

fn fake() -> Fake {
    let fake = Fake::new();
    fake.put(PATH, [("user", "acme"), ("pass", "first")]);
    fake
}

#[tokio::test(start_paused = true)]
async fn it_takes_each_version_into_use() {
    let fake = fake();
    let (events, tally) = during(&fake, async {
        sleep(LONG).await;
        fake.put(PATH, [("user", "acme"), ("pass", "second"), ("port", "6432")]);
        sleep(LONG).await;
    })
    .await;
    assert_eq!(events, [Event::Ready(1), Event::Rotated(2)]);
    assert!(tally.served > 1000 && tally.refused == 0, "{tally:?}");
}

#[tokio::test(start_paused = true)]
async fn it_starts_before_its_secret_and_before_nexus() {
    let fake = Fake::new();
    fake.fail(Failure::Unreachable);
    let (events, tally) = during(&fake, async {
        sleep(LONG).await;
        fake.recover();
        sleep(LONG).await;
        fake.put(PATH, [("user", "acme"), ("pass", "first")]);
        sleep(LONG).await;
    })
    .await;
    assert!(matches!(events[0], Event::Trouble(_)), "{events:?}");
    assert_eq!(events[1..], [Event::Recovered, Event::Ready(1)]);
    assert_eq!(tally.refused, 0);
}

#[tokio::test(start_paused = true)]
async fn a_restart_of_nexus_is_not_noticed_by_those_it_serves() {
    let fake = fake();
    let (events, tally) = during(&fake, async {
        sleep(LONG).await;
        for failure in [Failure::Unanswered { done: false }, Failure::Unreachable, Failure::Sealed]
        {
            fake.fail(failure);
            sleep(SECOND).await;
        }
        fake.put(PATH, [("user", "acme"), ("pass", "second")]);
        fake.recover();
        sleep(LONG).await;
    })
    .await;
    assert_eq!(events.first(), Some(&Event::Ready(1)));
    assert_eq!(events.last(), Some(&Event::Rotated(2)));
    assert_eq!(tally.refused, 0, "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn a_withdrawn_right_ends_its_use_of_the_password_after_a_while() {
    let fake = fake();
    let (events, tally) = during(&fake, async {
        sleep(LONG).await;
        fake.deny("tenants/");
        sleep(rules().keep / 2).await;
        fake.allow("tenants/");
        sleep(LONG).await;
        fake.put(PATH, [("user", "acme"), ("pass", "second")]);
        sleep(LONG).await;
        fake.deny("tenants/");
        sleep(rules().keep + LONG).await;
        fake.allow("tenants/");
        fake.put(PATH, [("user", "acme"), ("pass", "third")]);
        sleep(LONG).await;
    })
    .await;
    let told: Vec<String> = events.iter().map(ToString::to_string).collect();
    let denied = "trouble: denied: no policy allows this (request ";
    assert!(told[1].starts_with(denied) && told[4].starts_with(denied), "{told:#?}");
    assert_eq!(
        [&told[2], &told[3], &told[5], &told[6], &told[7]],
        [
            "recovered",
            "rotated to version 2",
            "let go of the password",
            "recovered",
            "rotated to version 3"
        ]
    );
    assert!(tally.refused > 0 && tally.served > tally.refused, "{tally:?}");
}

#[tokio::test(start_paused = true)]
async fn a_version_of_another_form_leaves_the_one_before_in_use() {
    let fake = fake();
    let (events, tally) = during(&fake, async {
        sleep(LONG).await;
        fake.put(PATH, [("user", "acme"), ("pass", "second"), ("port", "hunter2")]);
        sleep(LONG).await;
        fake.put(PATH, [("user", "acme"), ("pass", "third")]);
        sleep(LONG).await;
    })
    .await;
    let unusable = Event::Unusable("the value of port does not fit: expected u16".to_owned());
    assert_eq!(events, [Event::Ready(1), unusable, Event::Rotated(3)]);
    assert_eq!(tally.refused, 0);
}
