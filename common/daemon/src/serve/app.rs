//! What a listener serves, and where it reports refusals.

use std::{fmt, future::Future, net::SocketAddr, pin::Pin, sync::Arc};

use axum::{
    body::Body,
    http::{Request, Response},
};

use spike_mtls::{Peer, budget::Class};

/// The future of an answer.
pub type HandlerFuture = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// Handles the requests of one connection.
pub type Handler = Box<dyn Fn(Request<Body>) -> HandlerFuture + Send + Sync>;

/// A refused connection, or a malformed request that no handler received.
#[derive(Clone, Copy, Debug)]
pub struct Refused<'a> {
    /// The address of the peer.
    pub address: SocketAddr,
    /// The SPIFFE ID: the verified one, or the one in a refused certificate.
    pub id: Option<&'a str>,
    /// What was refused.
    pub what: RefusedWhat,
    /// Why, in words.
    pub reason: &'a str,
}

/// What a listener can refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedWhat {
    /// The TLS handshake.
    Handshake,
    /// A connection after its handshake, or before it because there were too many.
    Connection,
    /// A malformed request; the peer received this status if possible.
    Request {
        /// The status.
        status: u16,
        /// The class of the peer: one with a role of SPIKE is not slowed down.
        class: Class,
    },
    /// A connection in use that was cut for what its peer sends.
    Cut {
        /// The class of the peer.
        class: Class,
    },
}

type Refusals = Arc<dyn Fn(&Refused<'_>) -> bool + Send + Sync>;

/// Serves requests. Every request has a verified peer.
#[derive(Clone)]
pub struct App {
    connect: Arc<dyn Fn(Peer) -> Handler + Send + Sync>,
    refused: Option<Refusals>,
    class: Arc<dyn Fn(&str) -> Class + Send + Sync>,
}

impl App {
    /// Calls `connect` once for each connection, for the handler of that peer's requests. State that its requests share
    /// belongs in the handler, where connections on other processors do not touch it.
    pub fn new<C, F>(connect: impl Fn(Peer) -> C + Send + Sync + 'static) -> Self
    where
        C: Fn(Request<Body>) -> F + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let connect = move |peer| -> Handler {
            let answer = connect(peer);
            Box::new(move |request| Box::pin(answer(request)))
        };
        Self { connect: Arc::new(connect), refused: None, class: Arc::new(|_| Class::Ordinary) }
    }

    /// Calls `refused` for every connection and request that was refused before a handler received it. It runs on the
    /// serving threads and must not block. It returns whether the connection may continue; `false` if the peer was
    /// refused too often.
    #[must_use]
    pub fn on_refusal(
        mut self,
        refused: impl Fn(&Refused<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.refused = Some(Arc::new(refused));
        self
    }

    /// Sets the class of SPIFFE IDs. Without it, no ID may use the reserve for operators, Nexus and Bootstrap.
    #[must_use]
    pub fn with_class(mut self, class: impl Fn(&str) -> Class + Send + Sync + 'static) -> Self {
        self.class = Arc::new(class);
        self
    }

    /// The class of a SPIFFE ID.
    pub(super) fn class(&self, id: &str) -> Class {
        (self.class)(id)
    }

    /// The handler of a connection with `peer`.
    pub fn connect(&self, peer: Peer) -> Handler {
        (self.connect)(peer)
    }

    /// Reports a refusal, and returns whether the connection may continue.
    pub(super) fn refused(&self, refused: &Refused<'_>) -> bool {
        self.refused.as_ref().is_none_or(|tell| tell(refused))
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("App")
    }
}
