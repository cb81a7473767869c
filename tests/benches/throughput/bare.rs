//! A client in this process that does as little as it can: it sends the same bytes again, and compares only the beginning of the
//! answer.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use spike_tests::{
    Credential,
    raw::{Dialer, call_again},
    secrets::get,
};
use tokio::{task::JoinSet, time::Instant};
use tokio_rustls::TlsConnector;

use super::{Arguments, Connections, path};

/// How many calls there were, and in what time.
pub(super) async fn calls(
    address: SocketAddr,
    credential: &Credential,
    (connections, arguments): (Connections, &Arguments),
) -> Result<(u32, Duration)> {
    let target = Arc::new(Target::new(Dialer::new(address).showing(credential), arguments)?);
    let begun = Instant::now();
    let until = begun + Duration::from_secs_f64(arguments.seconds);
    let mut workers = JoinSet::new();
    for _ in 0..arguments.connections {
        let target = Arc::clone(&target);
        workers.spawn(async move {
            match connections {
                Connections::Kept => target.over_one_connection(until).await,
                Connections::New => target.over_many_connections(until).await,
            }
        });
    }
    let mut calls = 0_u32;
    while let Some(done) = workers.join_next().await {
        calls += done??;
    }
    Ok((calls, begun.elapsed()))
}

/// A server, and the requests to it.
struct Target {
    dialer: Dialer,
    connector: TlsConnector,
    secrets: u32,
    asked: AtomicU32,
}

impl Target {
    fn new(dialer: Dialer, arguments: &Arguments) -> Result<Self> {
        let connector = dialer.connector()?;
        Ok(Self { dialer, connector, secrets: arguments.secrets, asked: AtomicU32::new(0) })
    }

    /// A request for any of the secrets.
    fn request(&self) -> Vec<u8> {
        // Secrets that are read one after the other are far apart in the database.
        let asked = self.asked.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b1);
        let body = get(&path(asked % self.secrets), 0).encode();
        let length = body.len();
        let head = format!(
            "POST /v1/store/secrets?action=get HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"
        );
        [head.as_bytes(), &body].concat()
    }

    async fn over_one_connection(&self, until: Instant) -> Result<u32> {
        let mut stream = self.dialer.connect_with(&self.connector).await?.into_stream();
        let mut answer = Vec::new();
        let mut calls = 0;
        // The request for one secret is made once, so that the client does not make it again each time.
        let mut request = self.request();
        while Instant::now() < until {
            if self.secrets > 1 {
                request = self.request();
            }
            call_again(&mut stream, &request, &mut answer).await?;
            calls += 1;
        }
        Ok(calls)
    }

    async fn over_many_connections(&self, until: Instant) -> Result<u32> {
        let mut calls = 0;
        while Instant::now() < until {
            let mut stream = self.dialer.connect_with(&self.connector).await?.into_stream();
            call_again(&mut stream, &self.request(), &mut Vec::new()).await?;
            calls += 1;
        }
        Ok(calls)
    }
}
