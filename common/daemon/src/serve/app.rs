//! What a listener serves, and whom it tells of what it refused.

use std::{fmt, future::Future, net::SocketAddr, pin::Pin, sync::Arc};

use axum::{
    body::Body,
    http::{Request, Response},
};

use spike_mtls::{Peer, budget::Class};

/// An answer that is being made.
pub type Answer = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// What answers the requests of one connection.
pub type Answers = Box<dyn Fn(Request<Body>) -> Answer + Send + Sync>;

/// A connection that was refused, or a request on it that could not be understood: nobody was asked to answer it.
#[derive(Clone, Copy, Debug)]
pub struct Refused<'a> {
    /// The address of the peer.
    pub address: SocketAddr,
    /// The SPIFFE ID: the verified one, or the one that a refused certificate claims.
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
    /// A connection after its handshake, or before it for want of room.
    Connection,
    /// A request that is not HTTP as it should be; the peer was answered with this status where there was a way.
    Request {
        /// The status.
        status: u16,
        /// What the peer may use: whoever has a role of SPIKE is not slowed down.
        class: Class,
    },
}

type Refusals = Arc<dyn Fn(&Refused<'_>) -> bool + Send + Sync>;

/// Answers requests. None gets here without the verified peer that has sent it.
#[derive(Clone)]
pub struct App {
    connect: Arc<dyn Fn(Peer) -> Answers + Send + Sync>,
    refused: Option<Refusals>,
    class: Arc<dyn Fn(&str) -> Class + Send + Sync>,
}

impl App {
    /// Asks `connect`, once for each connection, for what answers the requests of that peer. Whatever they share can be
    /// put there, where connections on other processors do not touch it.
    pub fn new<C, F>(connect: impl Fn(Peer) -> C + Send + Sync + 'static) -> Self
    where
        C: Fn(Request<Body>) -> F + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let connect = move |peer| -> Answers {
            let answer = connect(peer);
            Box::new(move |request| Box::pin(answer(request)))
        };
        Self { connect: Arc::new(connect), refused: None, class: Arc::new(|_| Class::Ordinary) }
    }

    /// Tells `refused` of every connection and request that was refused before anybody was asked to answer it. It is called
    /// on the threads that serve and must not block. What it returns says whether the connection may go on; `false` where the
    /// peer was refused too often.
    #[must_use]
    pub fn telling(
        mut self,
        refused: impl Fn(&Refused<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.refused = Some(Arc::new(refused));
        self
    }

    /// Tells by `class` which SPIFFE IDs may use what is kept back for operators, Nexus and Bootstrap. Nobody may otherwise.
    #[must_use]
    pub fn reserving(mut self, class: impl Fn(&str) -> Class + Send + Sync + 'static) -> Self {
        self.class = Arc::new(class);
        self
    }

    /// What the SPIFFE ID may use.
    pub(super) fn class(&self, id: &str) -> Class {
        (self.class)(id)
    }

    /// What answers the requests of a connection to `peer`.
    pub fn connect(&self, peer: Peer) -> Answers {
        (self.connect)(peer)
    }

    /// Tells of a refusal, and whether the connection may go on.
    pub(super) fn refused(&self, refused: &Refused<'_>) -> bool {
        self.refused.as_ref().is_none_or(|tell| tell(refused))
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("App")
    }
}
