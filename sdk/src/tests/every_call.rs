//! Every call of the SDK, once. It is dropped at each of its awaits by `dropped`, and compared with Nexus by
//! `tests/specs/sdk/api.rs`, which has this file too.

use std::{fmt::Debug, future::Future, pin::Pin, time::Duration};

use super::{Client, Error, Policy};

/// A secret that has been put, and one whose versions are deleted, after [`begin`].
pub(super) const PATH: &str = "tenants/acme/db";
pub(super) const DELETED: &str = "deleted";

pub(super) type Call = fn(&Client) -> Answer<'_>;
/// What the call returns, as text.
pub(super) type Answer<'c> = Pin<Box<dyn Future<Output = Result<String, Error>> + Send + 'c>>;

/// Every call, by its name.
pub(super) const CALLS: &[(&str, Call)] = &[
    ("get", |spike| shown(spike.get(PATH))),
    ("get_version", |spike| shown(spike.get_version(PATH, 1))),
    ("get_current", |spike| shown(spike.get_current(PATH))),
    ("put", |spike| shown(spike.put(PATH, [("a", "new"), ("b", "new")]))),
    ("delete", |spike| shown(spike.delete(PATH, &[1, 2]))),
    ("undelete", |spike| shown(spike.undelete(DELETED, &[1, 2]))),
    ("metadata", |spike| {
        shown(async { spike.metadata(PATH).await.map(|told| told.current_version()) })
    }),
    ("list", |spike| shown(spike.list(""))),
    ("pages", |spike| {
        shown(async {
            let (mut pages, mut all) = (spike.pages("").of_size(1), Vec::new());
            while let Some(page) = pages.next().await {
                all.push(page?);
            }
            Ok(all)
        })
    }),
    ("watch", |spike| {
        shown(async {
            // A watch waits for the first version.
            spike.get(PATH).await?;
            spike.watch(PATH, Duration::from_secs(1)).next().await
        })
    }),
    ("encrypt", |spike| {
        shown(async { spike.encrypt(b"text").await.map(|encrypted| encrypted.len()) })
    }),
    ("decrypt", |spike| {
        shown(async {
            let encrypted = spike.encrypt(b"text").await?;
            spike.decrypt(&encrypted).await
        })
    }),
    ("create", |spike| shown(async { spike.policies().create(&policy("app1")).await })),
    ("put policy", |spike| shown(async { spike.policies().put(&policy("app1")).await })),
    ("get policy", |spike| {
        shown(async { spike.policies().get("kept").await.map(|policy| policy.path_pattern) })
    }),
    ("delete policy", |spike| shown(async { spike.policies().delete("kept").await })),
    // The fake refuses these three.
    ("explain", |spike| {
        shown(async {
            drop(spike.policies().explain("spiffe://a/b", PATH, "read").await);
            Ok(())
        })
    }),
    ("who can", |spike| {
        shown(async {
            drop(spike.policies().who_can(PATH, "read").await);
            Ok(())
        })
    }),
    ("lint", |spike| {
        shown(async {
            drop(spike.policies().lint().await);
            Ok(())
        })
    }),
    ("list policies", |spike| shown(async { spike.policies().list().await })),
];

fn shown<'c, T: Debug>(call: impl Future<Output = Result<T, Error>> + Send + 'c) -> Answer<'c> {
    Box::pin(async { call.await.map(|answer| format!("{answer:?}")) })
}

fn policy(name: &str) -> Policy {
    Policy::new(name, "^spiffe://spike.ist/app1$", "^a/.*$", ["read"])
}

/// Puts two secrets, deletes versions of one, and puts a policy.
pub(super) async fn begin(spike: &Client) -> Result<(), Error> {
    for path in [PATH, DELETED] {
        for value in ["first", "second", "third"] {
            spike.put(path, [("a", value), ("b", value)]).await?;
        }
    }
    spike.delete(DELETED, &[1, 2]).await?;
    spike.policies().put(&policy("kept")).await
}
