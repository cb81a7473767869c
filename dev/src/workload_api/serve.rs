//! Accepts connections and identifies the caller of each, until it is stopped.

use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status};

use super::attest::Caller;
use super::generated::spiffe_workload_api_server::SpiffeWorkloadApiServer;
use super::service::Service;
use super::socket::SocketFile;
use super::state::State;

/// The pause after a connection cannot be accepted, for example because there are no file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The header that protects against forged requests through a proxy (SPIFFE Workload Endpoint, 4.1).
const SECURITY_HEADER: &str = "workload.spiffe.io";

/// A socket and its connections. Dropping it ends them all and removes the socket.
#[derive(Debug)]
pub(super) struct Session {
    socket: Option<SocketFile>,
    closing: CancellationToken,
    accepting: JoinHandle<()>,
}

impl Session {
    pub(super) fn start(listener: UnixListener, socket: SocketFile, state: Arc<State>) -> Self {
        let closing = CancellationToken::new();
        let accepting = tokio::spawn(accept(listener, state, closing.clone()));
        Self { socket: Some(socket), closing, accepting }
    }

    /// Ends it, and returns when all tasks have ended.
    pub(super) async fn stop(mut self) {
        drop(self.socket.take());
        self.closing.cancel();
        if let Err(error) = (&mut self.accepting).await {
            tracing::error!(%error, "the Workload API ended unexpectedly");
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.closing.cancel();
        self.accepting.abort();
    }
}

async fn accept(listener: UnixListener, state: Arc<State>, closing: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = closing.cancelled() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let service = Service::new(Arc::clone(&state), closing.clone());
                    connections.spawn(connection(stream, service));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
    drop(listener);
    connections.shutdown().await;
}

async fn connection(stream: UnixStream, service: Service) {
    let caller = Caller::of(&stream)
        .inspect_err(|error| tracing::info!(%error, "cannot tell who is calling"))
        .ok();
    let admit = move |mut request: Request<()>| -> Result<Request<()>, Status> {
        check_security_header(&request)?;
        if let Some(caller) = caller {
            request.extensions_mut().insert(caller);
        }
        Ok(request)
    };
    let service = SpiffeWorkloadApiServer::with_interceptor(service, admit);
    let served = auto::Builder::new(TokioExecutor::new())
        .http2_only()
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .await;
    if let Err(error) = served {
        tracing::debug!(error, "a connection broke");
    }
}

fn check_security_header(request: &Request<()>) -> Result<(), Status> {
    let mut values = request.metadata().get_all(SECURITY_HEADER).iter();
    match (values.next(), values.next()) {
        (Some(value), None) if value == "true" => Ok(()),
        _ => Err(Status::invalid_argument("security header missing from request")),
    }
}
