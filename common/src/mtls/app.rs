//! What a listener serves.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use axum::{
    body::Body,
    http::{Request, Response},
};

use super::Peer;

/// An answer that is being made.
pub type Answer = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

type Handler = dyn Fn(Peer, Request<Body>) -> Answer + Send + Sync;

/// Answers requests. None gets here without the verified peer that has sent it.
#[derive(Clone)]
pub struct App(Arc<Handler>);

impl App {
    /// Every request is answered by `answer`.
    pub fn new<F>(answer: impl Fn(Peer, Request<Body>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        Self(Arc::new(move |peer, request| Box::pin(answer(peer, request))))
    }

    /// Answers one request.
    pub fn answer(&self, peer: Peer, request: Request<Body>) -> Answer {
        (self.0)(peer, request)
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("App")
    }
}
