//! The client: connects, proves itself, verifies the server's SPIFFE ID, and limits every wait.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::capture_connection},
    rt::{TokioExecutor, TokioTimer},
};
use tokio_rustls::TlsConnector;

use super::{
    call_limits::{ClientTimeouts, TransportError, within},
    connector::{Connector, Generation},
    counted::{self, ReadCount},
    peer::{PeerCertificate, PeerRule},
    peer_error::PeerError,
    tls, tls_error,
};
use crate::svid::SvidSource;

/// The largest answer, in bytes; a larger one fails the call. The largest real ones are lists of names.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// The most connections of an older identity on which one request is refused before it gets a new connection.
const MOST_OLD_CONNECTIONS: usize = 32;

/// A client for one kind of server. Connections are reused; each verified its server when it was opened.
#[derive(Clone)]
pub struct MtlsClient {
    http: Client<Connector, Full<Bytes>>,
    connector: Connector,
    timeouts: ClientTimeouts,
    max_answer: usize,
}

impl std::fmt::Debug for MtlsClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MtlsClient").field("timeouts", &self.timeouts).finish_non_exhaustive()
    }
}

impl MtlsClient {
    /// A client that proves itself with the SVID of `source`, and accepts only servers that `rule` admits.
    ///
    /// # Errors
    /// Only if the TLS library cannot be configured at all.
    pub fn new(
        source: &SvidSource,
        rule: PeerRule,
        timeouts: ClientTimeouts,
    ) -> Result<Self, rustls::Error> {
        let tls = TlsConnector::from(Arc::new(tls::client_config(source, rule)?));
        let most_read = counted::most_for(MAX_ANSWER);
        let connector = Connector { tls, timeouts, source: source.clone(), most_read };
        let http = over(connector.clone());
        Ok(Self { http, connector, timeouts, max_answer: MAX_ANSWER })
    }

    /// Reads at most `bytes` of any answer, for servers with short answers.
    #[must_use]
    pub fn with_max_answer(self, bytes: usize) -> Self {
        let connector = Connector { most_read: counted::most_for(bytes), ..self.connector };
        Self { http: over(connector.clone()), connector, max_answer: bytes, ..self }
    }

    /// The time limits.
    pub const fn timeouts(&self) -> ClientTimeouts {
        self.timeouts
    }

    /// The certificate of the server, by a handshake and nothing more. The server may refuse this process right after it: with
    /// TLS 1.3, a client learns of that only from the answer to its request.
    ///
    /// # Errors
    /// [`TransportError`] if there is no connection, or the server is not one that this client accepts.
    pub async fn certificate(&self, url: &Uri) -> Result<PeerCertificate, TransportError> {
        let (stream, _generation) = self.connector.clone().shake_hands(url.clone()).await?;
        let (_, connection) = stream.get_ref();
        let leaf = connection.peer_certificates().and_then(<[_]>::first);
        leaf.ok_or(PeerError::Malformed)
            .and_then(PeerCertificate::of)
            .map_err(|error| TransportError::Broken(error.to_string()))
    }

    /// One POST. Returns status and whole body, whatever the status.
    ///
    /// # Errors
    /// [`TransportError`] if there was no answer.
    pub async fn post(
        &self,
        url: &Uri,
        content_type: &'static str,
        body: Bytes,
    ) -> Result<Response<Bytes>, TransportError> {
        within(self.timeouts.whole, "the whole call", async {
            // A server refuses what comes on a connection whose SVID has ended meanwhile. The newest one may be valid.
            for _ in 0..MOST_OLD_CONNECTIONS {
                let (answer, is_old) = self.call(url, content_type, body.clone()).await?;
                if !is_old || answer.status() != StatusCode::UNAUTHORIZED {
                    return Ok(answer);
                }
            }
            Ok(self.call(url, content_type, body.clone()).await?.0)
        })
        .await
    }

    /// One request, and whether it went over a connection of an earlier identity of this process. Such a connection is
    /// not used again.
    async fn call(
        &self,
        url: &Uri,
        content_type: &'static str,
        body: Bytes,
    ) -> Result<(Response<Bytes>, bool), TransportError> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(url)
            .header(header::CONTENT_TYPE, content_type)
            .body(Full::new(body))
            .map_err(|_unlikely| TransportError::Address(url.to_string()))?;
        let used = capture_connection(&mut request);
        let sent = async { self.http.request(request).await.map_err(|error| from_http(&error)) };
        // Connecting has limits of its own; the time for the head of the answer is added.
        let limit = self.head_limit();
        let (head, body): (_, Incoming) =
            within(limit, "the server's answer", sent).await?.into_parts();
        let _answer = head.extensions.get::<ReadCount>().cloned().map(ReadCount::until_dropped);
        let shown = head.extensions.get::<Generation>().map(|Generation(number)| *number);
        let is_old = shown.is_some_and(|shown| shown != self.connector.source.generation());
        if is_old && let Some(connection) = used.connection_metadata().as_ref() {
            connection.poison();
        }
        match Limited::new(body, self.max_answer).collect().await {
            Ok(body) => Ok((Response::from_parts(head, body.to_bytes()), is_old)),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                Err(TransportError::TooLarge { limit: self.max_answer })
            }
            Err(error) => {
                let broken = || TransportError::Broken(tls_error::of_cause(last(error.as_ref())));
                Err(own(error.as_ref()).unwrap_or_else(broken))
            }
        }
    }

    fn head_limit(&self) -> Duration {
        let ClientTimeouts { dial, handshake, response_header, .. } = self.timeouts;
        if dial.is_zero() || handshake.is_zero() || response_header.is_zero() {
            Duration::ZERO
        } else {
            dial + handshake + response_header
        }
    }
}

/// A client that opens its connections so.
fn over(connector: Connector) -> Client<Connector, Full<Bytes>> {
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(connector.timeouts.idle)
        .pool_max_idle_per_host(connector.timeouts.idle_per_host)
        .build(connector)
}

/// The connector's own error is wrapped; any other concerns the connection.
fn from_http(error: &hyper_util::client::legacy::Error) -> TransportError {
    if let Some(own) = own(error) {
        return own;
    }
    let last = last(error);
    let text = tls_error::of_cause(last);
    if tls_error::is_refusal(last) {
        TransportError::Unaccepted(text)
    } else {
        TransportError::Broken(text)
    }
}

/// The error of ours that this one wraps, if there is one.
fn own(error: &(dyn std::error::Error + 'static)) -> Option<TransportError> {
    causes(error).find_map(|cause| {
        // An I/O error with an inner error does not list it among its causes.
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let own = inner.map_or_else(|| cause.downcast_ref(), |inner| inner.downcast_ref());
        own.cloned()
    })
}

/// The cause that has no further one.
fn last<'e>(first: &'e (dyn std::error::Error + 'static)) -> &'e (dyn std::error::Error + 'static) {
    causes(first).last().unwrap_or(first)
}

fn causes<'e>(
    error: &'e (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'e (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}
