//! Every future may be dropped at each of its awaits. A write is then done as a whole or not at all, and the client goes on.

use std::{future::Future, pin::Pin, task::Poll, time::Duration};

use super::{
    every_call::{CALLS, Call, PATH, begin},
    poll_once,
};
use crate::{
    Client, Environment, Error, Settings, SvidSource,
    fake::{Failure, Fake},
};

/// More polls than any call takes.
const MOST_POLLS: usize = 100;

type Boxed<'c> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'c>>;

/// Two secrets, one with deleted versions, and a policy.
async fn fake() -> Fake {
    let fake = Fake::new();
    begin(&fake.client()).await.unwrap();
    fake
}

/// Everything there is, without times.
async fn contents(fake: &Fake) -> String {
    let spike = fake.client();
    let mut told = vec![format!("{:?}", spike.policies().list().await.unwrap())];
    for path in spike.list("").await.unwrap() {
        for version in spike.metadata(&path).await.unwrap().versions() {
            let is_deleted = version.deleted.is_some();
            let values = match spike.get_version(&path, version.number).await {
                Ok(secret) => format!("{:?}", secret.expose_all().collect::<Vec<_>>()),
                Err(_) => String::new(),
            };
            told.push(format!("{path} {} {is_deleted} {values}", version.number));
        }
    }
    told.join("\n")
}

/// Drops the call after each number of polls. Returns how many polls it takes to its end.
async fn drop_at_each_await(name: &str, call: Call, failures: usize) -> usize {
    let before = contents(&fake().await).await;
    let after = {
        let fake = fake().await;
        call(&fake.client()).await.unwrap();
        contents(&fake).await
    };
    for polls in 0..MOST_POLLS {
        let fake = fake().await;
        fake.fail_next(failures, Failure::Sealed);
        let spike = fake.client();
        let mut under_way = call(&spike);
        let mut is_done = false;
        for _ in 0..polls {
            if let Poll::Ready(result) = poll_once(&mut under_way).await {
                result.unwrap();
                is_done = true;
                break;
            }
            // Past any pause between two tries.
            tokio::time::advance(Duration::from_millis(500)).await;
        }
        drop(under_way);
        fake.recover();
        let left = contents(&fake).await;
        assert!(left == before || left == after, "{name} dropped after {polls} polls:\n{left}");
        // The client is as good as before.
        spike.get(PATH).await.unwrap();
        if is_done {
            assert_eq!(left, after, "{name}");
            return polls;
        }
    }
    panic!("{name} takes more than {MOST_POLLS} polls");
}

#[tokio::test(start_paused = true)]
async fn whatever_await_a_call_is_dropped_at_it_is_done_or_not_done() {
    for &(name, call) in CALLS {
        let polls = drop_at_each_await(name, call, 0).await;
        assert!(polls > 2, "{name} was dropped at {polls} awaits only");
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_holds_between_two_tries() {
    for &(name, call) in CALLS {
        let polls = drop_at_each_await(name, call, 2).await;
        assert!(polls > 6, "{name} was dropped at {polls} awaits only");
    }
}

/// Every way to connect, to an agent that is not there.
fn connecting(settings: &Settings) -> Vec<Boxed<'_>> {
    let nowhere = settings.identity.endpoint.as_str();
    let builder = Client::builder().environment(Environment::default()).workload_api(nowhere);
    let limit = Duration::from_secs(5);
    vec![
        Box::pin(async { builder.connect().await.map(drop) }),
        Box::pin(async { Client::connect_with(settings).await.map(drop) }),
        Box::pin(async move { SvidSource::connect(nowhere, limit).await.map(drop) }),
        Box::pin(async { SvidSource::from_environment().await.map(drop) }),
    ]
}

#[tokio::test(start_paused = true)]
async fn connecting_may_be_dropped_at_any_time() {
    let nowhere = [("SPIFFE_ENDPOINT_SOCKET", "unix:///nonexistent/agent.sock")];
    let (settings, _) = Settings::load(&Environment::from_pairs(nowhere)).unwrap();
    for polls in 0..20 {
        for mut connecting in connecting(&settings) {
            for _ in 0..polls {
                if poll_once(&mut connecting).await.is_ready() {
                    break;
                }
                tokio::time::advance(Duration::from_millis(200)).await;
            }
        }
    }
    // Nothing of it keeps another from connecting.
    fake().await.client().get(PATH).await.unwrap();
}
