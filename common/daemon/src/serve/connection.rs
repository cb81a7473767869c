//! The life of one connection: handshake, requests and end.

use std::{
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    http::{HeaderValue, Request, Response, Version, header},
};
use futures_util::future::{Either, Ready, ready};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
};
use hyper_util::rt::{TokioIo, TokioTimer};
use spike_mtls::{
    HandshakeFault, HandshakeStream, Peer, PeerError, budget::Over, clock, tls_error,
};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::{
    activity::{Activity, request::ActiveRequest},
    answer_body::AnswerBody,
    app::{Handler, HandlerFuture, Refused, RefusedWhat},
    limits::MAX_HEAD,
    metrics::Reason,
    refusals::Refusals,
    refused_stream::RefusedStream,
    roster::TrackedConnection,
    run_at_once::RunAtOnce,
    shared::Shared,
    signal::Stage,
    watched_stream::WatchedStream,
};

/// The first byte of every TLS record that can open a connection.
const TLS_HANDSHAKE: u8 = 0x16;
/// What Go's server answers a client without TLS (wire-api 3.3).
const PLAIN_HTTP_ANSWER: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
/// How long before the end of a peer's SVID its HTTP/1 answers ask it to reconnect, at most.
const SVID_END_NOTICE: Duration = Duration::from_mins(1);
/// Streams that one HTTP/2 connection may have open.
const MAX_STREAMS: u32 = 128;
/// How much a peer may send before it is read: for one HTTP/2 stream, and for a connection.
const WINDOWS: (u32, u32) = (128 * 1024, 256 * 1024);
/// How much of an answer HTTP/2 buffers for a stream whose peer does not read.
const SEND_BUFFER: usize = 64 * 1024;
/// The largest header list that HTTP/2 accepts. It counts 32 bytes for each header besides its text (RFC 9113, section
/// 6.5.2), so this is above [`MAX_HEAD`], which limits the text later.
const MAX_HEADER_LIST: u32 = 72 * 1024;

/// A connection after its handshake.
type Verified = (TlsStream<HandshakeStream<TcpStream>>, Peer);

pub(super) struct Connection {
    shared: Arc<Shared>,
    entry: Arc<TrackedConnection>,
    address: SocketAddr,
}

impl Connection {
    pub(super) const fn new(
        shared: Arc<Shared>,
        entry: Arc<TrackedConnection>,
        address: SocketAddr,
    ) -> Self {
        Self { shared, entry, address }
    }

    /// Serves the connection to its end. No peer can prevent that this returns.
    pub(super) async fn run(self, stream: TcpStream) {
        let limit = self.shared.limits.header_timeout;
        let handshake = tokio::select! {
            stage = self.entry.signal.past(Stage::Open) => {
                // When the listener ends, the peer is not at fault.
                if stage == Stage::Cut {
                    let refused = self.handshake_refused("there are too many handshakes", None);
                    self.shared.refuse(Reason::TooMany, &refused);
                }
                return;
            }
            handshake = tokio::time::timeout(limit, self.handshake(stream)) => handshake,
        };
        match handshake {
            Ok(Ok(verified)) => self.serve(verified).await,
            Ok(Err(Some(refused))) => self.end(refused).await,
            Ok(Err(None)) => {}
            Err(_) => {
                let refused = self.handshake_refused("the handshake took too long", None);
                self.shared.refuse(Reason::HandshakeTimeout, &refused);
            }
        }
    }

    /// The error is the stream of a peer that was refused, or nothing if it has left.
    async fn handshake(&self, stream: TcpStream) -> Result<Verified, Option<RefusedStream>> {
        let mut first = [0];
        match stream.peek(&mut first).await {
            // A probe that connects and leaves is not logged.
            Ok(0) | Err(_) => return Err(None),
            Ok(_) => self.entry.handshake_began(),
        }
        if first != [TLS_HANDSHAKE] {
            let refused = self.handshake_refused("the peer does not speak TLS", None);
            self.shared.refuse(Reason::PlainHttp, &refused);
            return Err(Some(RefusedStream::new(stream, PLAIN_HTTP_ANSWER)));
        }
        // Before the peer is verified, so that bundles that change meanwhile are noticed at its first request.
        let generation = self.shared.source.generation();
        let accepting = self.shared.acceptor.accept(HandshakeStream::new(stream));
        let evidence = (&self.shared.source, &self.shared.rule, generation);
        let (fault, stream) = match accepting.into_fallible().await {
            Ok(mut stream) => {
                let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
                match Peer::of(chain, evidence, |id| self.shared.app.class(id)) {
                    Ok(peer) => {
                        stream.get_mut().0.handshake_ended();
                        self.shared.metrics.handshakes.inc();
                        return Ok((stream, peer));
                    }
                    Err(error) => {
                        let fault = (HandshakeFault::of_peer(&error), error.to_string(), None);
                        (fault, stream.into_inner().0)
                    }
                }
            }
            // The TLS library has sent its alert.
            Err((error, stream)) => (refusal(error), stream),
        };
        let (fault, reason, id) = fault;
        let refused = self.handshake_refused(&reason, id.as_deref());
        self.shared.refuse(Reason::Handshake(fault), &refused);
        Err(Some(RefusedStream::new(stream.into_inner(), b"")))
    }

    /// Ends a connection that was refused. Until then it has its place among the handshakes, unless a new one takes it.
    async fn end(&self, refused: RefusedStream) {
        tokio::select! {
            _ = self.entry.signal.past(Stage::Open) => {}
            ended = refused.end() => if let Err(error) = ended {
                tracing::debug!(reason = %error, "cannot tell a peer that it was refused");
            }
        }
    }

    const fn handshake_refused<'a>(&self, reason: &'a str, id: Option<&'a str>) -> Refused<'a> {
        Refused { address: self.address, id, what: RefusedWhat::Handshake, reason }
    }

    async fn serve(self, (stream, peer): Verified) {
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let activity = Arc::new(Activity::new(http2));
        let admitted = self.shared.roster.admit(&self.entry, &peer, &activity, http2);
        if let Err(over) = admitted {
            return self.refuse_over_limit(&peer, over);
        }
        let left = Duration::try_from(peer.not_after() - clock::now()).unwrap_or_default();
        let notice = left.saturating_sub(SVID_END_NOTICE.min(left / 4));
        let notice_at = (!http2).then(|| Instant::now().checked_add(notice)).flatten();
        let (watched, held) = (Arc::clone(&activity), self.shared.held.clone());
        let io = WatchedStream::new(stream, watched, peer.clone(), &self.entry, held);
        let io = TokioIo::new(io);
        let mut refusals =
            Refusals::new(&self.shared, self.address, peer.clone(), Arc::clone(&activity));
        let service = PeerService {
            answers: self.shared.app.connect(peer),
            entry: Arc::clone(&self.entry),
            notice_at,
            activity,
        };
        // Boxed, so that a connection takes the memory of its own protocol only, and is not moved as a part of this future.
        let ended = if http2 {
            let connection = Box::pin(http2_builder().serve_connection(io, service));
            self.drive(connection, http2::Connection::graceful_shutdown, &mut refusals).await
        } else {
            let connection = Box::pin(http1_builder().serve_connection(io, service));
            self.drive(connection, http1::Connection::graceful_shutdown, &mut refusals).await
        };
        refusals.connection_ended(ended.as_ref());
    }

    fn refuse_over_limit(&self, peer: &Peer, over: Over) {
        let (reason, counted) = match over {
            Over::Own => ("this SPIFFE ID has too many busy connections", Reason::TooManyOfOneId),
            Over::All => ("there are too many connections", Reason::TooMany),
        };
        let what = RefusedWhat::Connection;
        let refused = Refused { address: self.address, id: Some(peer.id()), what, reason };
        self.shared.refuse(counted, &refused);
    }

    /// Serves requests until the peer or the roster ends the connection. Returns the connection's error.
    async fn drive<C: Future<Output = hyper::Result<()>>>(
        &self,
        mut connection: Pin<Box<C>>,
        shut_down: fn(Pin<&mut C>),
        refusals: &mut Refusals<'_>,
    ) -> Option<hyper::Error> {
        let mut stage = Stage::Open;
        loop {
            tokio::select! {
                biased;
                ended = poll_fn(|cx| match connection.as_mut().poll(cx) {
                    Poll::Pending if !refusals.may_continue() => Poll::Ready(None),
                    polled => polled.map(Result::err),
                }) => return ended,
                next = self.entry.signal.past(stage) => {
                    if next == Stage::Cut {
                        return None;
                    }
                    if stage < Stage::Ending && next >= Stage::Ending {
                        shut_down(connection.as_mut());
                    }
                    stage = next;
                }
            }
        }
    }
}

/// A peer that ends its sending side still gets its answer, as from Go's server.
pub(super) fn http1_builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_buf_size(MAX_HEAD)
        .max_header_size(MAX_HEAD)
        .half_close(true);
    builder
}

fn http2_builder() -> http2::Builder<RunAtOnce> {
    let mut builder = http2::Builder::new(RunAtOnce);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(WINDOWS.0)
        .initial_connection_window_size(WINDOWS.1)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(MAX_HEADER_LIST)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

/// Why a handshake failed, and the SPIFFE ID in the peer's certificate.
fn refusal(error: io::Error) -> (HandshakeFault, String, Option<String>) {
    let fault = HandshakeFault::of(&error);
    let error = tls_error::of_handshake(error);
    let refused = error.get_ref().and_then(|inner| inner.downcast_ref::<PeerError>());
    let claimed = refused.and_then(PeerError::claimed_id).map(str::to_owned);
    (fault, error.to_string(), claimed)
}

/// Handles the requests of one peer, and records when they begin and end.
struct PeerService {
    answers: Handler,
    entry: Arc<TrackedConnection>,
    /// When answers begin to ask the peer to reconnect, because its SVID ends soon. HTTP/2 has a frame for that.
    notice_at: Option<Instant>,
    activity: Arc<Activity>,
}

impl hyper::service::Service<Request<Incoming>> for PeerService {
    type Response = Response<AnswerBody>;
    type Error = h2::Error;
    type Future = Either<InFlight, Ready<Result<Response<AnswerBody>, h2::Error>>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        // The connection is read only for the windows of its answers. Its head without a request has its line from `Refusals`.
        if self.activity.http2 && self.entry.signal.stage() >= Stage::Unread {
            return Either::Right(ready(Err(h2::Reason::REFUSED_STREAM.into())));
        }
        let busy = ActiveRequest::new(Arc::clone(&self.activity));
        let is_http1 = request.version() < Version::HTTP_2;
        let answer = (self.answers)(request.map(Body::new));
        let entry = Arc::clone(&self.entry);
        let busy = Some(busy);
        Either::Left(InFlight { answer, entry, notice_at: self.notice_at, is_http1, busy })
    }
}

/// A request that is being answered.
struct InFlight {
    answer: HandlerFuture,
    entry: Arc<TrackedConnection>,
    notice_at: Option<Instant>,
    is_http1: bool,
    busy: Option<ActiveRequest>,
}

impl Future for InFlight {
    type Output = Result<Response<AnswerBody>, h2::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut answer = std::task::ready!(self.answer.as_mut().poll(cx));
        // A request sent while the connection ends would get no answer. So the peer is asked earlier to reconnect.
        // HTTP/2 has a frame for that.
        let now = Instant::now();
        let is_noticed = self.notice_at.is_some_and(|at| at <= now);
        let has_large_head = self.busy.as_ref().is_some_and(ActiveRequest::has_large_head);
        let ends = is_noticed || has_large_head || self.entry.signal.stage() >= Stage::Notice;
        if self.is_http1 && ends {
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        let Some(busy) = self.busy.take() else { return Poll::Pending };
        Poll::Ready(Ok(answer.map(|body| AnswerBody::new(body, busy, now))))
    }
}
