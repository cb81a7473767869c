//! What a listener serves.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use axum::{
    body::Body,
    http::{Request, Response},
};

use super::Peer;

/// An answer that is being made.
pub type Answer = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// What answers the requests of one connection.
pub type Answers = Box<dyn Fn(Request<Body>) -> Answer + Send + Sync>;

/// Answers requests. None gets here without the verified peer that has sent it.
#[derive(Clone)]
pub struct App(Arc<dyn Fn(Peer) -> Answers + Send + Sync>);

impl App {
    /// Asks `connect`, once for each connection, for what answers the requests of that peer. Whatever they share can be
    /// put there, where connections on other processors do not touch it.
    pub fn new<C, F>(connect: impl Fn(Peer) -> C + Send + Sync + 'static) -> Self
    where
        C: Fn(Request<Body>) -> F + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        Self(Arc::new(move |peer| {
            let answer = connect(peer);
            Box::new(move |request| Box::pin(answer(request)))
        }))
    }

    /// What answers the requests of a connection to `peer`.
    pub fn connect(&self, peer: Peer) -> Answers {
        (self.0)(peer)
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("App")
    }
}
