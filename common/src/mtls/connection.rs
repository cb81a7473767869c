//! The life of one connection: handshake, requests, and the many ways in which it may end.

use std::{
    convert::Infallible,
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::Body,
    http::{HeaderValue, Request, Response, StatusCode, header},
};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::{
    activity::{Activity, Busy, Watched, millis, now},
    app::{Answer, Answers},
    peer::Peer,
    quiet::Quiet,
    server::{MAX_HEAD, Reason, Shared},
    words,
};
use crate::{clock, wire::NotReady};

/// The first byte of every TLS record that can open a connection.
const TLS_HANDSHAKE: u8 = 0x16;
/// What Go's server says to a client that forgot TLS (wire-api 3.3).
const PLAIN_HTTP_ANSWER: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
/// How often a connection is held against its time limits.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);
/// Streams that one HTTP/2 connection may have open.
const MAX_STREAMS: u32 = 128;
/// How long before the end of a connection its answers ask the peer to open another, at the most.
const NOTICE: Duration = Duration::from_mins(1);
/// How long, and for how many bytes, a peer that did not speak TLS is listened to after its answer.
const LINGER: (Duration, u64) = (Duration::from_secs(1), 64 * 1024);

pub(super) struct Connection {
    shared: Arc<Shared>,
}

impl Connection {
    pub(super) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Serves the connection to its end. Whatever the peer does, this returns.
    pub(super) async fn run(self, stream: TcpStream) {
        let limit = self.shared.limits.header_timeout;
        let handshake = tokio::select! {
            () = self.shared.stop.cancelled() => return,
            handshake = tokio::time::timeout(limit, self.handshake(stream)) => handshake,
        };
        match handshake {
            Ok(Some((stream, peer))) => self.serve(stream, peer).await,
            Ok(None) => {}
            Err(_) => self.shared.metrics.refuse(Reason::HandshakeTimeout),
        }
    }

    async fn handshake(&self, stream: TcpStream) -> Option<(TlsStream<TcpStream>, Peer)> {
        let mut first = [0];
        match stream.peek(&mut first).await {
            // A probe that connects and leaves is harmless and quiet.
            Ok(0) | Err(_) => return None,
            Ok(_) if first != [TLS_HANDSHAKE] => {
                self.shared.metrics.refuse(Reason::PlainHttp);
                if let Err(error) = answer_plain_http(stream).await {
                    tracing::debug!(reason = %error, "cannot answer a plain HTTP request");
                }
                return None;
            }
            Ok(_) => {}
        }
        let stream = match self.shared.acceptor.accept(stream).await {
            Ok(stream) => stream,
            Err(error) => {
                self.shared.metrics.refuse(Reason::HandshakeFailed);
                let reason = words::of_handshake(error);
                tracing::info!(%reason, "TLS handshake failed");
                return None;
            }
        };
        let leaf = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let peer = leaf.and_then(|leaf| Peer::of(leaf).ok())?;
        self.shared.metrics.handshakes.inc();
        Some((stream, peer))
    }

    async fn serve(self, stream: TlsStream<TcpStream>, peer: Peer) {
        let counted = self.shared.count(peer.shared_id());
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let activity = Arc::new(Activity::new(http2));
        let remaining = remaining(&peer);
        let ends = Instant::now() + remaining;
        let last_call = remaining.saturating_sub(NOTICE.min(remaining / 4));
        let last_call = (!http2).then(|| now() + millis(last_call));
        let answers = if counted.is_some() {
            self.shared.app.connect(peer)
        } else {
            self.shared.metrics.refuse(Reason::TooManyOfOneId);
            tracing::warn!(peer = peer.id(), "refused a connection: this SPIFFE ID has too many");
            Box::new(|_| Box::pin(async { too_many() }) as Answer)
        };
        let service = PeerService { answers, last_call, activity: Arc::clone(&activity) };
        let io = TokioIo::new(Watched { stream, activity: Arc::clone(&activity) });
        if http2 {
            let connection = http2_builder().serve_connection(io, service);
            self.drive(connection, http2::Connection::graceful_shutdown, ends, &activity).await;
        } else {
            let connection = http1_builder().serve_connection(io, service);
            self.drive(connection, http1::Connection::graceful_shutdown, ends, &activity).await;
        }
    }

    /// Serves requests until the peer ends the connection, or one of its limits does.
    async fn drive<C: Future>(
        &self,
        connection: C,
        shut_down: fn(Pin<&mut C>),
        ends: Instant,
        activity: &Activity,
    ) {
        tokio::pin!(connection);
        let mut ending = false;
        let next = |ending| Quiet::new(event(self.shared.stop.clone(), ends, ending));
        let mut waiting = next(ending);
        loop {
            tokio::select! {
                biased;
                // However it ended, the peer is gone, and what was wrong is the peer's to know.
                _ = connection.as_mut() => return,
                event = &mut waiting => {
                    match event {
                        Event::End => {
                            ending = true;
                            shut_down(connection.as_mut());
                        }
                        Event::Watch => {
                            let limits = &self.shared.limits;
                            if activity.overdue(limits.header_timeout, limits.idle_timeout) {
                                return;
                            }
                        }
                    }
                    waiting = next(ending);
                }
            }
        }
    }
}

/// What happens to a connection besides its requests.
enum Event {
    /// The listener stops, or the peer's SVID ends.
    End,
    /// It is time to hold the connection against its limits.
    Watch,
}

/// Waits for the next event. To be polled through [`Quiet`]: asked at every byte of the connection, it would take the lock
/// of the token that all connections share, thousands of times a second.
async fn event(stop: CancellationToken, ends: Instant, ending: bool) -> Event {
    tokio::select! {
        () = stop.cancelled(), if !ending => Event::End,
        () = tokio::time::sleep_until(ends), if !ending => Event::End,
        () = tokio::time::sleep(WATCH_INTERVAL) => Event::Watch,
    }
}

/// A peer that says that it will send no more still gets its answer, as from Go's server.
fn http1_builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_buf_size(MAX_HEAD)
        .half_close(true);
    builder
}

fn http2_builder() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

/// How long the peer's SVID still lasts. A connection must not outlive what it was granted for.
fn remaining(peer: &Peer) -> Duration {
    Duration::try_from(peer.not_after() - clock::now()).unwrap_or(Duration::ZERO)
}

fn too_many() -> Response<Body> {
    let mut response = Response::new(Body::from(NotReady::Crowded.body()));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// Says what is wrong, and reads on for a moment: closing with unread bytes would take the answer back.
async fn answer_plain_http(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(PLAIN_HTTP_ANSWER).await?;
    stream.shutdown().await?;
    let (time, bytes) = LINGER;
    let mut unread = stream.take(bytes);
    let mut nowhere = tokio::io::sink();
    // Whether the peer ends first or the time does, it has had its answer.
    match tokio::time::timeout(time, tokio::io::copy(&mut unread, &mut nowhere)).await {
        Ok(Err(error)) => Err(error),
        Ok(Ok(_)) | Err(_) => Ok(()),
    }
}

/// Answers the requests of one peer, and notes when they begin and end.
struct PeerService {
    answers: Answers,
    /// From when on answers close the connection, in the time of [`now`]. It ends with the peer's SVID, and a request
    /// that was on its way at that moment would get no answer: so the peer is asked before, while it listens. HTTP/2 has a
    /// frame for it.
    last_call: Option<u64>,
    activity: Arc<Activity>,
}

impl hyper::service::Service<Request<Incoming>> for PeerService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = InFlight;

    fn call(&self, request: Request<Incoming>) -> InFlight {
        let busy = Busy::new(Arc::clone(&self.activity));
        let answer = (self.answers)(request.map(Body::new));
        InFlight { answer, last_call: self.last_call, busy }
    }
}

/// A request that is being answered.
struct InFlight {
    answer: Answer,
    last_call: Option<u64>,
    busy: Busy,
}

impl Future for InFlight {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut answer = std::task::ready!(self.answer.as_mut().poll(cx));
        let now = self.busy.end();
        if self.last_call.is_some_and(|from| from <= now) {
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Poll::Ready(Ok(answer))
    }
}
