//! Whatever a verified peer sends over HTTP/1.1, read by the HTTP library as a listener of ours sets it up, and taken
//! apart by what is the same for every daemon.

use std::{cell::Cell, convert::Infallible, rc::Rc};

use axum::body::Body;
use hyper::{Request, Response, StatusCode, body::Incoming, header, service::service_fn};
use hyper_util::rt::TokioIo;
use spike_common::{
    http::{Exchange, outside_the_handlers},
    wire::{KeeperOperation, Operation, clean_path},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::{Builder, Runtime},
};

/// More than all answers to one input take.
const ROOM: usize = 1 << 20;

/// The bound of our listeners on a head.
const MAX_HEAD: usize = 64 * 1024;

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().build().expect("a runtime");
}

/// See the module. Accepted is what holds a whole head of a request.
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
    let (mut client, server) = tokio::io::duplex(ROOM);
    client.write_all(data).await.expect("there is room");
    client.shutdown().await.expect("the other end is there");
    let taken = Rc::clone(taken);
    let service = service_fn(move |request: Request<Incoming>| {
        taken.set(taken.get() + 1);
        let response = answer(request);
        async move { Ok::<_, Infallible>(response) }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.header_read_timeout(None).max_buf_size(MAX_HEAD).half_close(true);
    // What was wrong with the input is in the answer.
    drop(builder.serve_connection(TokioIo::new(server), service).await);
    let mut answers = Vec::new();
    client.read_to_end(&mut answers).await.expect("the other end was dropped");
    answers
}

/// What every daemon makes of a head.
fn answer(request: Request<Incoming>) -> Response<Body> {
    let (parts, _body) = request.into_parts();
    if let Some(response) = outside_the_handlers(&parts) {
        if let Some(location) = response.headers().get(header::LOCATION) {
            let location = location.to_str().expect("a header of text");
            let path = location.split('?').next().expect("split yields a part");
            assert_eq!(clean_path(path), None, "a redirect to a redirect");
            assert!(path.starts_with('/') && !path.starts_with("//"), "{path:?}: another host");
        }
        return response;
    }
    let exchange = Exchange::begin(&parts);
    assert_eq!(exchange.id().as_str().len(), 16);
    if let Some(path) = exchange.path() {
        let nexus = Operation::from_request(path, exchange.query());
        let keeper = KeeperOperation::from_request(path, exchange.query());
        assert!(nexus.is_none_or(|operation| operation.path() == path));
        assert!(keeper.is_none_or(|operation| operation.path() == path));
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
