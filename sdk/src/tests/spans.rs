//! What `tracing` is told about a call: a span with the request id, and never a value.

use std::{
    io,
    sync::{Arc, Mutex},
};

use tracing::Level;
use tracing_subscriber::fmt::{MakeWriter, format::FmtSpan};

use crate::{
    Policy,
    fake::{Failure, Fake},
};

const PLANTED: &str = "hunter2-planted";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
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

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// While there is one dispatcher only, `tracing` lets the thread that first comes to a place in the code decide for all whether
/// that place is of interest. The threads of other tests have no subscriber, so spans were missing here. With two it asks both.
fn another_dispatcher() -> tracing::Dispatch {
    tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default())
}

#[tokio::test(start_paused = true)]
async fn every_call_has_a_span_with_its_request_id_and_none_has_a_value() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(Level::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_writer(log.clone())
        .with_ansi(false)
        .finish();
    let _other = another_dispatcher();
    let _guard = tracing::subscriber::set_default(subscriber);

    let fake = Fake::new();
    let spike = fake.client();
    spike.put("a/b", [("pass", PLANTED), ("other", PLANTED)]).await.unwrap();
    fake.fail_next(2, Failure::Internal);
    let secret = spike.get_current("a/b").await.unwrap();
    drop(secret.deserialize::<u16>());
    drop(format!("{secret:?} {spike:?} {fake:?}"));
    let encrypted = spike.encrypt(PLANTED.as_bytes()).await.unwrap();
    spike.decrypt(&encrypted).await.unwrap();
    spike.watch("a/b", std::time::Duration::from_secs(1)).next().await.unwrap();
    spike.policies().put(&Policy::new("p", "^spiffe://a/b$", "^a$", ["read"])).await.unwrap();
    fake.fail(Failure::Unanswered { done: true });
    assert!(spike.put("a/b", [("pass", PLANTED)]).await.is_err());
    assert!(spike.put("a b", [("pass", PLANTED)]).await.is_err());

    let text = log.text();
    assert!(!text.contains(PLANTED), "{text}");
    for operation in ["secret_put", "secret_get", "secret_metadata", "cipher_encrypt", "policy_put"]
    {
        assert!(text.contains(&format!("operation=\"{operation}\"")), "{operation} in {text}");
    }
    assert!(text.contains("subject=\"a/b\"") && text.contains("request_id=\"fake-1\""), "{text}");
    assert!(text.contains("a call failed for now") && text.contains("tries=3"), "{text}");
}

#[tokio::test]
async fn a_problem_of_the_settings_is_logged_and_returned() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).finish();
    let _other = another_dispatcher();
    let _guard = tracing::subscriber::set_default(subscriber);
    let environment = crate::Environment::from_pairs([
        ("SPIKE_NEXUS_APIURL", "https://nexus"),
        ("SPIKE_SPIFFE_SOURCE_TIMEOUT", "1ms"),
        ("SPIFFE_ENDPOINT_SOCKET", "unix:///nonexistent/agent.sock"),
    ]);
    let connected = crate::Client::builder().environment(environment).connect().await;
    assert!(matches!(connected, Err(crate::Error::Identity(_))), "{connected:?}");
    let text = log.text();
    assert!(text.contains("WARN") && text.contains("did you mean SPIKE_NEXUS_API_URL?"), "{text}");
}
