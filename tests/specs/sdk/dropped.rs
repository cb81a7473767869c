//! A call over a real connection that is dropped at any moment was done as a whole or not at all.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

use anyhow::{Result, ensure};
use spike_daemon::settings::Backend;
use spike_tests::SUPERUSER;

use crate::{scenario, workload::sdk_as};

/// More polls than a put takes.
const MOST_POLLS: usize = 60;

/// Polls a future so many times at most, and drops it. Returns whether it came to its end.
async fn polled(future: impl Future, times: usize) -> bool {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        future.as_mut().poll(context).map(|_| true)
    })
    .await
}

#[tokio::test]
async fn a_put_that_is_dropped_adds_a_whole_version_or_none_and_the_client_goes_on() -> Result<()> {
    let cluster = scenario().backend(Backend::Sqlite).start().await?;
    let (client, _identity) = sdk_as(&cluster, SUPERUSER).await?;
    let mut ended = 0;
    for polls in 0..MOST_POLLS {
        let path = format!("dropped/{polls}");
        let values = [("a", "value"), ("b", "value")];
        if polled(client.put(&path, values), polls).await {
            ended += 1;
            client.get(&path).await?;
            // Often enough after its end to be sure of the connection.
            if ended > 3 {
                break;
            }
        }
        if let Ok(secret) = client.get(&path).await {
            ensure!(secret.expose_all().eq(values), "{path} is not whole");
        }
        client.put("other", [("n", path.as_str())]).await?;
        ensure!(client.get("other").await?.expose("n") == Some(path.as_str()));
    }
    ensure!(ended > 0, "no put came to its end");
    cluster.stop().await
}
