//! The client: dials, proves itself, checks the server by its SPIFFE ID, and keeps every wait within a limit.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{
        Client,
        connect::{Connected, Connection},
    },
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{dial, peer::PeerRule, peer_error::PeerError, tls, words};
use crate::svid::SvidSource;

/// The largest answer that is read, in bytes. Over it the call fails; the largest real ones are lists of names.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// How long each part of a call may take: the `SPIKE_HTTP_CLIENT_*` settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientTimeouts {
    /// The whole call. Zero means no limit, as in Go.
    pub whole: Duration,
    /// The TCP connection. Zero means no limit.
    pub dial: Duration,
    /// The TLS handshake. Zero means no limit.
    pub handshake: Duration,
    /// From the request sent to the head of the answer. Zero means no limit.
    pub response_header: Duration,
    /// How long an unused connection is kept.
    pub idle: Duration,
    /// How many unused connections are kept per server.
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

/// Why a call got no answer. That the server answered with an error is not one of these.
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
    /// There is a server, but it is not the right one, or it does not speak TLS as it should.
    #[error("the TLS handshake with {host} failed: {source}")]
    Handshake {
        /// Host and port that were dialled.
        host: String,
        /// What was wrong with the server's certificate, or with the protocol.
        source: Arc<io::Error>,
    },
    /// A limit ran out.
    #[error("{what} took longer than {limit:?}")]
    Timeout {
        /// What was waited for.
        what: &'static str,
        /// The limit that ran out.
        limit: Duration,
    },
    /// The connection broke after the handshake. A server that does not accept our SVID looks like this in TLS 1.3.
    #[error("the server ended the connection without an answer (does it accept this SVID?): {0}")]
    Broken(String),
    /// The server said that it does not accept our SVID.
    #[error("the server ended the connection without an answer: {0}")]
    Unaccepted(String),
    /// The request could not be made: a bad address.
    #[error("{0:?} is not an https address with a host")]
    Address(String),
    /// The answer is larger than is believable.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// The most that is read of an answer.
        limit: usize,
    },
}

impl TransportError {
    /// What was wrong with the certificate of the server, where that was what ended the handshake.
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

/// A client for one kind of server. Connections are kept and reused; each checked its server when it was opened.
#[derive(Clone)]
pub struct MtlsClient {
    http: Client<Connector, Full<Bytes>>,
    timeouts: ClientTimeouts,
    max_answer: usize,
}

impl std::fmt::Debug for MtlsClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MtlsClient").field("timeouts", &self.timeouts).finish_non_exhaustive()
    }
}

impl MtlsClient {
    /// A client that shows the SVID of `source` and talks only to servers that `rule` names.
    ///
    /// # Errors
    /// Only where the TLS library cannot be configured at all.
    pub fn new(
        source: &SvidSource,
        rule: PeerRule,
        timeouts: ClientTimeouts,
    ) -> Result<Self, rustls::Error> {
        let tls = TlsConnector::from(Arc::new(tls::client_config(source, rule)?));
        let http = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(timeouts.idle)
            .pool_max_idle_per_host(timeouts.idle_per_host)
            .build(Connector { tls, timeouts });
        Ok(Self { http, timeouts, max_answer: MAX_ANSWER })
    }

    /// Reads no more than `bytes` of any answer, for servers whose answers are all short.
    #[must_use]
    pub const fn with_max_answer(mut self, bytes: usize) -> Self {
        self.max_answer = bytes;
        self
    }

    /// The limits in force.
    pub const fn timeouts(&self) -> ClientTimeouts {
        self.timeouts
    }

    /// One POST: status and whole body, whatever the status.
    ///
    /// # Errors
    /// [`TransportError`] where there was no answer.
    pub async fn post(
        &self,
        url: &Uri,
        content_type: &'static str,
        body: Bytes,
    ) -> Result<Response<Bytes>, TransportError> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(url)
            .header(header::CONTENT_TYPE, content_type)
            .body(Full::new(body));
        match request {
            Ok(request) => within(self.timeouts.whole, "the whole call", self.call(request)).await,
            Err(_) => Err(TransportError::Address(url.to_string())),
        }
    }

    async fn call(&self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, TransportError> {
        let sent = async { self.http.request(request).await.map_err(|error| from_http(&error)) };
        // Dialling has limits of its own; the head of the answer is waited for on top of them.
        let limit = self.head_limit();
        let (head, body): (_, Incoming) =
            within(limit, "the server's answer", sent).await?.into_parts();
        match Limited::new(body, self.max_answer).collect().await {
            Ok(body) => Ok(Response::from_parts(head, body.to_bytes())),
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

/// The connector's own error comes back wrapped; whatever else went wrong is about the connection.
fn from_http(error: &hyper_util::client::legacy::Error) -> TransportError {
    let mut cause: &(dyn std::error::Error + 'static) = error;
    loop {
        if let Some(ours) = cause.downcast_ref::<TransportError>() {
            return ours.clone();
        }
        match cause.source() {
            Some(deeper) => cause = deeper,
            None if words::is_refusal(cause) => {
                return TransportError::Unaccepted(words::of_cause(cause));
            }
            None => return TransportError::Broken(words::of_cause(cause)),
        }
    }
}

#[derive(Clone)]
struct Connector {
    tls: TlsConnector,
    timeouts: ClientTimeouts,
}

impl Connector {
    async fn connect(self, uri: Uri) -> Result<TokioIo<Dialled>, TransportError> {
        let (Some("https"), Some(host)) = (uri.scheme_str(), uri.host()) else {
            return Err(TransportError::Address(uri.to_string()));
        };
        let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = uri.port_u16().unwrap_or(443);
        let at = format!("{host}:{port}");
        let dialled = within(self.timeouts.dial, "the TCP connection", async {
            dial::dial(&name, port).await.map_err(|error| TransportError::Connect {
                host: at.clone(),
                source: Arc::new(error),
            })
        });
        let stream = dialled.await?;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(reason = %error, "cannot set TCP_NODELAY");
        }
        // The name is never compared with the certificate; a name that TLS cannot carry is simply not sent.
        let server_name = ServerName::try_from(name)
            .unwrap_or_else(|_| ServerName::IpAddress(std::net::Ipv4Addr::UNSPECIFIED.into()));
        let shaken = within(self.timeouts.handshake, "the TLS handshake", async {
            self.tls.connect(server_name, stream).await.map_err(|error| TransportError::Handshake {
                host: at.clone(),
                source: Arc::new(words::of_handshake(error)),
            })
        });
        Ok(TokioIo::new(Dialled(shaken.await?)))
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

/// A connection whose server has been checked.
struct Dialled(TlsStream<TcpStream>);

impl Connection for Dialled {
    fn connected(&self) -> Connected {
        Connected::new()
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
