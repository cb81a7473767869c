//! What the whole client tells `tracing`, at the most talkative level, down to the last crate.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Result;
use spike_tests::SUPERUSER;
use tracing::Level;
use tracing_subscriber::fmt::{MakeWriter, format::FmtSpan};

use crate::{scenario, workload::sdk_as};

const PLANTED: &str = "hunter2-planted";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Log {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn no_value_is_in_the_trace_of_a_client_and_the_id_of_each_request_is() -> Result<()> {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(Level::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    // While there is one dispatcher only, the threads of other tests, which have none, decide which lines there are.
    let _other = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    let guard = tracing::subscriber::set_default(subscriber);
    let cluster = scenario().start().await?;
    let (client, _identity) = sdk_as(&cluster, SUPERUSER).await?;
    client.put("a/b", [("pass", PLANTED)]).await?;
    client.get_current("a/b").await?;
    let encrypted = client.encrypt(PLANTED.as_bytes()).await?;
    client.decrypt(&encrypted).await?;
    drop(guard);
    let bytes = log.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let text = String::from_utf8(bytes)?;
    assert!(text.contains("spike_sdk") && text.contains("hyper"), "{text}");
    for hidden in [PLANTED, "aHVudGVyMi1wbGFudGVk"] {
        assert!(!text.contains(hidden), "{text}");
    }
    let mut ids =
        text.lines().filter_map(|line| line.split("request_id=\"").nth(1)?.split('"').next());
    let id = ids.next_back().unwrap_or_default();
    assert_eq!(cluster.audit_of(id)?.get("Action"), "create", "{text}");
    cluster.stop().await
}
