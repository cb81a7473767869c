//! Requests of a verified peer over HTTP/1.1, parsed by the HTTP library with our settings, and handled by the frame of
//! every daemon.

use std::{cell::Cell, convert::Infallible, fs::File, rc::Rc, sync::Arc, time::Duration};

use axum::body::{Body, Bytes};
use hyper::{Request, Response, StatusCode, body::Incoming, header, service::service_fn};
use hyper_util::rt::TokioIo;
use spike_daemon::{
    audit::AuditLog,
    http::{
        self, BodyLimits, Exchange, Frame, FrameError, Names, Outcome, Reply, RequestBody,
        RequestLimits, RequestMetrics, Service,
    },
    limit::Rate,
    serve::App,
};
use spike_domain::Role;
use spike_mtls::{Peer, budget::Bounds};
use spike_wire::{KeeperOperation, Operation, clean_path};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::{Builder, Runtime},
};

/// More bytes than all answers to one input.
const BUFFER: usize = 1 << 20;

/// The limit of our listeners on a head.
const MAX_HEAD: usize = 64 * 1024;

thread_local! {
    static RUNTIME: Runtime =
        Builder::new_current_thread().enable_time().build().expect("a runtime");
    static APP: App = http::app(&Arc::new(Daemon::new()));
}

/// See the module. Accepts an input with a whole head of a request.
pub fn check(data: &[u8]) -> bool {
    let taken = Rc::new(Cell::new(0));
    let answers = RUNTIME.with(|runtime| runtime.block_on(serve(data, &taken)));
    let text = String::from_utf8_lossy(&answers);
    let heads = text.split("\r\n").filter(|line| line.starts_with("HTTP/1.")).count();
    assert!(text.is_empty() || text.starts_with("HTTP/1."), "{text:?}");
    assert!(heads <= taken.get() + 1, "{heads} answers to {} requests: {text:?}", taken.get());
    taken.get() > 0
}

async fn serve(data: &[u8], taken: &Rc<Cell<usize>>) -> Vec<u8> {
    let (mut client, server) = tokio::io::duplex(BUFFER);
    client.write_all(data).await.expect("there is room");
    client.shutdown().await.expect("the other end is there");
    let taken = Rc::clone(taken);
    let answers = APP.with(|app| app.connect(Peer::unverified("spiffe://spike.ist/app")));
    let service = service_fn(move |request: Request<Incoming>| {
        taken.set(taken.get() + 1);
        let answer = answers(request.map(Body::new));
        async move {
            let response = answer.await;
            check_redirect(&response);
            Ok::<_, Infallible>(response)
        }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.header_read_timeout(None).max_buf_size(MAX_HEAD).half_close(true);
    // The answer names the fault of the input.
    drop(builder.serve_connection(TokioIo::new(server), service).await);
    let mut answers = Vec::new();
    client.read_to_end(&mut answers).await.expect("the other end was dropped");
    answers
}

fn check_redirect(response: &Response<Body>) {
    let Some(location) = response.headers().get(header::LOCATION) else { return };
    let location = std::str::from_utf8(location.as_bytes()).expect("a path is text");
    let path = location.split('?').next().expect("split yields a part");
    assert_eq!(clean_path(path), None, "a redirect to a redirect");
    assert!(path.starts_with('/') && !path.starts_with("//"), "{path:?}: another host");
}

/// A daemon without operations, which checks what every daemon does with a head.
struct Daemon(Arc<Frame>);

impl Daemon {
    fn new() -> Self {
        let sink = File::options().write(true).open("/dev/null").expect("a sink");
        let limits = RequestLimits {
            body: BodyLimits { bytes: BUFFER, time: Duration::from_secs(1) },
            in_flight: Bounds::NONE,
            memory: Bounds::NONE,
            denials: Rate { per_second: 0, burst: 0 },
        };
        let audit = AuditLog::to_file(sink).expect("a thread");
        Self(Frame::new(audit, RequestMetrics::new(["any"]), limits))
    }
}

impl Service for Daemon {
    type Operation = ();
    type Error = FrameError;

    fn frame(&self) -> &Arc<Frame> {
        &self.0
    }

    fn role(&self, _: &str) -> Option<Role> {
        None
    }

    fn operation(&self, exchange: &Exchange) -> Option<()> {
        exchange.path().map(|_| ())
    }

    fn names((): ()) -> Names {
        Names { label: "any", component: "any", action: "look", changes: false }
    }

    async fn carry_out(
        self: &Arc<Self>,
        exchange: &Exchange,
        _: Option<()>,
        _: &mut RequestBody,
    ) -> Outcome<FrameError> {
        assert_eq!(exchange.id().as_str().len(), 16);
        if let Some(path) = exchange.path() {
            let nexus = Operation::from_request(path, exchange.query());
            let keeper = KeeperOperation::from_request(path, exchange.query());
            assert!(nexus.is_none_or(|operation| operation.path() == path));
            assert!(keeper.is_none_or(|operation| operation.path() == path));
        }
        Outcome::from(Ok(Reply::new(StatusCode::NO_CONTENT, Bytes::new())))
    }

    fn error_reply(_: Option<()>, error: &FrameError) -> Reply {
        assert!(!matches!(error, FrameError::Panicked), "what was to hold does not");
        Reply::new(error.wire().0, Bytes::new())
    }

    fn log_failure(&self, _: &Exchange, _: Option<()>, error: &FrameError) -> String {
        error.to_string()
    }

    fn is_denial(_: &FrameError) -> bool {
        false
    }

    fn is_unavailable(_: &FrameError) -> bool {
        false
    }

    fn frame_error(error: &FrameError) -> Option<&FrameError> {
        Some(error)
    }
}
