//! The client: connects, proves itself, verifies the server's SPIFFE ID, and limits every wait.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{
        Client,
        connect::{Connected, Connection, capture_connection},
    },
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    dial,
    peer::{PeerCertificate, PeerRule},
    peer_error::PeerError,
    tls, tls_error,
};
use crate::svid::SvidSource;

/// The largest answer, in bytes; a larger one fails the call. The largest real ones are lists of names.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// The most connections of an older identity on which one request is refused before it gets a new connection.
const MOST_OLD_CONNECTIONS: usize = 32;

/// Time limits of each part of a call: the `SPIKE_HTTP_CLIENT_*` settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientTimeouts {
    /// The whole call. Zero means no limit, as in Go.
    pub whole: Duration,
    /// The TCP connection. Zero means no limit.
    pub dial: Duration,
    /// The TLS handshake. Zero means no limit.
    pub handshake: Duration,
    /// From the request to the head of the answer. Zero means no limit.
    pub response_header: Duration,
    /// How long an unused connection is kept.
    pub idle: Duration,
    /// The most unused connections to one server.
    pub idle_per_host: usize,
}

impl Default for ClientTimeouts {
    fn default() -> Self {
        Self {
            whole: Duration::from_mins(1),
            dial: Duration::from_secs(30),
            handshake: Duration::from_secs(10),
            response_header: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            idle_per_host: 10,
        }
    }
}

/// Why a call got no answer. An error that the server answered is not one of these.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TransportError {
    /// No connection: wrong address, nothing listening, a firewall.
    #[error("cannot connect to {host}: {source}")]
    Connect {
        /// Host and port that were dialled.
        host: String,
        /// What the operating system said.
        source: Arc<io::Error>,
    },
    /// The server has another identity, or does not speak TLS correctly.
    #[error("the TLS handshake with {host} failed: {source}")]
    Handshake {
        /// Host and port that were dialled.
        host: String,
        /// What was wrong with the server's certificate, or with the protocol.
        source: Arc<io::Error>,
    },
    /// A time limit was reached.
    #[error("{what} took longer than {limit:?}")]
    Timeout {
        /// The part of the call.
        what: &'static str,
        /// The time limit.
        limit: Duration,
    },
    /// The connection broke after the handshake. With TLS 1.3 this is also how a server refuses this SVID.
    #[error("the server ended the connection without an answer (does it accept this SVID?): {0}")]
    Broken(String),
    /// The server said that it does not accept this SVID.
    #[error("the server ended the connection without an answer: {0}")]
    Unaccepted(String),
    /// The address is invalid.
    #[error("{0:?} is not an https address with a host")]
    Address(String),
    /// The answer is too large.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// The largest answer that is read.
        limit: usize,
    },
}

const CONNECTING: &str = "the TCP connection";
const HANDSHAKE: &str = "the TLS handshake";

impl TransportError {
    /// Whether the call ended before there was a connection to send the request on.
    pub fn is_before_the_request(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Handshake { .. } | Self::Address(_) => true,
            Self::Timeout { what, .. } => [CONNECTING, HANDSHAKE].contains(what),
            Self::Broken(_) | Self::Unaccepted(_) | Self::TooLarge { .. } => false,
        }
    }

    /// Why the server's certificate was refused, if that ended the handshake.
    pub fn peer_error(&self) -> Option<&PeerError> {
        match self {
            Self::Handshake { source, .. } => source.get_ref()?.downcast_ref(),
            Self::Connect { .. }
            | Self::Timeout { .. }
            | Self::Broken(_)
            | Self::Unaccepted(_)
            | Self::Address(_)
            | Self::TooLarge { .. } => None,
        }
    }
}

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
        let connector = Connector { tls, timeouts, source: source.clone() };
        let http = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(timeouts.idle)
            .pool_max_idle_per_host(timeouts.idle_per_host)
            .build(connector.clone());
        Ok(Self { http, connector, timeouts, max_answer: MAX_ANSWER })
    }

    /// Reads at most `bytes` of any answer, for servers with short answers.
    #[must_use]
    pub const fn with_max_answer(mut self, bytes: usize) -> Self {
        self.max_answer = bytes;
        self
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
            Err(error) => Err(TransportError::Broken(error.to_string())),
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

/// Runs `work` within `limit`; zero means no limit.
async fn within<T>(
    limit: Duration,
    what: &'static str,
    work: impl Future<Output = Result<T, TransportError>>,
) -> Result<T, TransportError> {
    if limit.is_zero() {
        return work.await;
    }
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done,
        Err(_) => Err(TransportError::Timeout { what, limit }),
    }
}

/// The connector's own error is wrapped; any other concerns the connection.
fn from_http(error: &hyper_util::client::legacy::Error) -> TransportError {
    let mut cause: &(dyn std::error::Error + 'static) = error;
    loop {
        if let Some(ours) = cause.downcast_ref::<TransportError>() {
            return ours.clone();
        }
        match cause.source() {
            Some(deeper) => cause = deeper,
            None if tls_error::is_refusal(cause) => {
                return TransportError::Unaccepted(tls_error::of_cause(cause));
            }
            None => return TransportError::Broken(tls_error::of_cause(cause)),
        }
    }
}

/// The number of the identity with which a connection was opened: see [`SvidSource::generation`].
#[derive(Clone, Copy)]
struct Generation(u64);

#[derive(Clone)]
struct Connector {
    tls: TlsConnector,
    timeouts: ClientTimeouts,
    source: SvidSource,
}

impl Connector {
    async fn connect(self, uri: Uri) -> Result<TokioIo<Dialled>, TransportError> {
        let (stream, generation) = self.shake_hands(uri).await?;
        Ok(TokioIo::new(Dialled(stream, generation)))
    }

    async fn shake_hands(
        self,
        uri: Uri,
    ) -> Result<(TlsStream<TcpStream>, Generation), TransportError> {
        let (Some("https"), Some(host)) = (uri.scheme_str(), uri.host()) else {
            return Err(TransportError::Address(uri.to_string()));
        };
        let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = uri.port_u16().unwrap_or(443);
        let at = format!("{host}:{port}");
        let dialled = within(self.timeouts.dial, CONNECTING, async {
            dial::dial(&name, port).await.map_err(|error| TransportError::Connect {
                host: at.clone(),
                source: Arc::new(error),
            })
        });
        let stream = dialled.await?;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(reason = %error, "cannot set TCP_NODELAY");
        }
        // The name is not compared with the certificate; a name that TLS cannot carry is not sent.
        let server_name = ServerName::try_from(name)
            .unwrap_or_else(|_| ServerName::IpAddress(std::net::Ipv4Addr::UNSPECIFIED.into()));
        // Before the handshake: it shows this identity or a newer one.
        let generation = Generation(self.source.generation());
        let shaken = within(self.timeouts.handshake, HANDSHAKE, async {
            self.tls.connect(server_name, stream).await.map_err(|error| TransportError::Handshake {
                host: at.clone(),
                source: Arc::new(tls_error::of_handshake(error)),
            })
        });
        Ok((shaken.await?, generation))
    }
}

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<Dialled>;
    type Error = TransportError;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<Dialled>, TransportError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

/// A connection with a verified server.
struct Dialled(TlsStream<TcpStream>, Generation);

impl Connection for Dialled {
    fn connected(&self) -> Connected {
        Connected::new().extra(self.1)
    }
}

impl AsyncRead for Dialled {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Dialled {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
