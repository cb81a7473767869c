//! Every future may be dropped at each of its awaits. A write is then done as a whole or not at all, and the client goes on.

use std::{
    future::Future,
    pin::Pin,
    task::Poll,
    time::{Duration, SystemTime},
};

use crate::{
    Client, Error, Policy, SvidSource, Watch,
    fake::{Failure, Fake},
    tests::poll_once,
};

const PATH: &str = "tenants/acme/db";
/// More polls than any call takes.
const MOST_POLLS: usize = 100;

type Boxed<'c> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'c>>;
type Call = fn(&Client) -> Boxed<'_>;

fn policy() -> Policy {
    Policy::new("app1", "^spiffe://spike.ist/app1$", "^a/.*$", ["read"])
}

/// Every call, by its name.
const CALLS: [(&str, Call); 17] = [
    ("get", |spike| Box::pin(async { spike.get(PATH).await.map(drop) })),
    ("get_version", |spike| Box::pin(async { spike.get_version(PATH, 1).await.map(drop) })),
    ("get_current", |spike| Box::pin(async { spike.get_current(PATH).await.map(drop) })),
    ("put", |spike| Box::pin(spike.put(PATH, [("a", "new"), ("b", "new")]))),
    ("delete", |spike| Box::pin(spike.delete(PATH, &[1, 2]))),
    ("undelete", |spike| Box::pin(spike.undelete("deleted", &[1, 2]))),
    ("metadata", |spike| Box::pin(async { spike.metadata(PATH).await.map(drop) })),
    ("list", |spike| Box::pin(async { spike.list("").await.map(drop) })),
    ("pages", |spike| {
        Box::pin(async {
            let mut pages = spike.pages("").of_size(1);
            while let Some(page) = pages.next().await {
                page?;
            }
            Ok(())
        })
    }),
    ("watch", |spike| {
        Box::pin(async {
            let mut watch: Watch = spike.watch(PATH, Duration::from_secs(1));
            watch.next().await.map(drop)
        })
    }),
    ("encrypt", |spike| Box::pin(async { spike.encrypt(b"text").await.map(drop) })),
    ("decrypt", |spike| {
        Box::pin(async {
            let encrypted = spike.encrypt(b"text").await?;
            spike.decrypt(&encrypted).await.map(drop)
        })
    }),
    ("create", |spike| Box::pin(async { spike.policies().create(&policy()).await })),
    ("put policy", |spike| Box::pin(async { spike.policies().put(&policy()).await })),
    ("get policy", |spike| Box::pin(async { spike.policies().get("kept").await.map(drop) })),
    ("delete policy", |spike| Box::pin(async { spike.policies().delete("kept").await })),
    ("list policies", |spike| Box::pin(async { spike.policies().list().await.map(drop) })),
];

/// Two secrets, one with deleted versions, and a policy.
async fn fake() -> Fake {
    let fake = Fake::new();
    for path in [PATH, "deleted"] {
        for value in ["first", "second", "third"] {
            fake.put(path, [("a", value), ("b", value)]);
        }
    }
    fake.delete("deleted", &[1, 2]);
    let kept = Policy::new("kept", "^spiffe://spike.ist/app1$", "^a/.*$", ["read"]);
    fake.client().policies().put(&kept).await.unwrap();
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
    for (name, call) in CALLS {
        let polls = drop_at_each_await(name, call, 0).await;
        assert!(polls > 2, "{name} was dropped at {polls} awaits only");
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_holds_between_two_tries() {
    for (name, call) in CALLS {
        let polls = drop_at_each_await(name, call, 2).await;
        assert!(polls > 6, "{name} was dropped at {polls} awaits only");
    }
}

#[tokio::test(start_paused = true)]
async fn connecting_may_be_dropped_at_any_time() {
    let nowhere = "unix:///nonexistent/agent.sock";
    for polls in 0..20 {
        let builder =
            Client::builder().environment(crate::Environment::default()).workload_api(nowhere);
        let mut connecting = Box::pin(async { builder.connect().await.map(drop) });
        let limit = Duration::from_secs(5);
        let mut following = Box::pin(async { SvidSource::connect(nowhere, limit).await.map(drop) });
        for _ in 0..polls {
            let connected = poll_once(&mut connecting).await;
            let followed = poll_once(&mut following).await;
            if connected.is_ready() || followed.is_ready() {
                break;
            }
            tokio::time::advance(Duration::from_millis(200)).await;
        }
    }
    // No time of the system was needed for that.
    assert!(SystemTime::UNIX_EPOCH < fake().await.client().metadata(PATH).await.unwrap().created());
}
