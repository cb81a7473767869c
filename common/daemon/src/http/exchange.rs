//! One request from its arrival to its answer: what every daemon writes down and counts about it.

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::http::{HeaderMap, HeaderValue, Method, Uri, Version, header, request::Parts};
use spike_mtls::{Peer, clock};
use spike_wire::{AnyOperation, decode_path};
use time::OffsetDateTime;

use super::frame::Frame;
use crate::{
    audit::{Entry, RequestId, PendingAuditLine},
    serve::MAX_HEAD,
    text::clip,
};

/// A request that has arrived and has not been answered.
///
/// It always ends in one audit line and one count: where it is given up before its end, those say so.
#[derive(Debug)]
pub struct Exchange {
    frame: Arc<Frame>,
    peer: Peer,
    begun: Instant,
    arrived: OffsetDateTime,
    id: RequestId,
    head: Parts,
    /// The length of the head in bytes, as HTTP/1.1 writes it, whatever it came by.
    head_len: usize,
    /// The path with its escapes undone, where that differs from the path.
    decoded: Decoded,
    /// The beginning of the query, once the rest of a large head was let go of.
    begun_query: Option<BegunQuery>,
    names: Names,
    ended: bool,
}

#[derive(Debug)]
enum Decoded {
    AsSent,
    Other(String),
    /// It cannot be decoded.
    Bad,
}

/// As much of a query as the audit log writes down.
#[derive(Debug)]
struct BegunQuery {
    kept: String,
    /// How many bytes of it are gone.
    left_out: usize,
}

/// What a request is called in metrics and in the audit log.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    /// The route for metrics; `other` where no route took the request.
    pub label: &'static str,
    /// The name of the handler, as upstream calls it; empty where no handler took the request.
    pub component: &'static str,
    /// What was asked for, in a word; `fallback` where no route took the request.
    pub action: &'static str,
    /// Whether it changes anything that lasts.
    pub changes: bool,
}

impl Names {
    /// A request that no route takes.
    pub const OTHER: Self =
        Self { label: "other", component: "", action: "fallback", changes: false };

    /// Those of an operation.
    pub fn of(operation: impl AnyOperation) -> Self {
        let (component, action) = operation.audit();
        Self { label: operation.label(), component, action, changes: operation.changes() }
    }
}

/// How a request ended, in the words of the audit log and of the metrics.
#[derive(Debug)]
pub(super) struct Ending<'a> {
    /// The status of the answer.
    pub(super) status: u16,
    /// What it was about: the path of a secret or the name of a policy, where there is one.
    pub(super) subject: Option<&'a str>,
    /// What went wrong, if anything: a code and words, never a value.
    pub(super) error: Option<&'a str>,
}

/// How many fields the head of a request may have, as HTTP/1.1 has it too. Each takes far more memory than its text.
const MAX_FIELDS: usize = 100;

/// What the heads of ordinary clients do not exceed: in fields, and in bytes.
const USUAL_FIELDS: usize = 32;
const USUAL_HEAD: usize = 2 * 1024;

/// A request that nobody waits for any more has this status in the log, as with other servers.
const GIVEN_UP: u16 = 499;

impl Exchange {
    /// Takes note of a request at its arrival. Boxed: it is handed on several times, and is large.
    pub(super) fn begin(frame: Arc<Frame>, peer: Peer, head: Parts) -> Box<Self> {
        let decoded = match decode_path(head.uri.path()) {
            Some(Cow::Borrowed(_)) => Decoded::AsSent,
            Some(Cow::Owned(other)) => Decoded::Other(other),
            None => Decoded::Bad,
        };
        Box::new(Self {
            frame,
            peer,
            begun: Instant::now(),
            arrived: clock::now(),
            id: RequestId::generate(),
            head_len: head_len(&head),
            head,
            decoded,
            begun_query: None,
            names: Names::OTHER,
            ended: false,
        })
    }

    /// The name of the request, which its answer and its audit line carry.
    pub const fn id(&self) -> &RequestId {
        &self.id
    }

    /// Who sent it.
    pub const fn peer(&self) -> &Peer {
        &self.peer
    }

    /// When it arrived.
    pub const fn arrived(&self) -> OffsetDateTime {
        self.arrived
    }

    /// Whether it is a POST, the only method that any route has.
    pub fn is_post(&self) -> bool {
        self.head.method == Method::POST
    }

    /// The operation that it asks for; `None` where there is none of that method, path and action.
    pub fn operation<O: AnyOperation>(&self) -> Option<O> {
        let path = self.path().filter(|_| self.is_post())?;
        O::of_request(path, self.query())
    }

    /// The path with its escapes undone; `None` where they cannot be.
    pub fn path(&self) -> Option<&str> {
        match &self.decoded {
            Decoded::AsSent => Some(self.head.uri.path()),
            Decoded::Other(path) => Some(path),
            Decoded::Bad => None,
        }
    }

    /// The query, as it was sent. Of a large head, only the beginning of it is there once the handler runs.
    pub fn query(&self) -> Option<&str> {
        match &self.begun_query {
            Some(begun) => Some(&begun.kept),
            None => self.head.uri.query(),
        }
    }

    /// The headers.
    pub const fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// The whole head.
    pub(super) const fn head(&self) -> &Parts {
        &self.head
    }

    /// Whether the head is larger than a head may be.
    pub(super) fn is_head_too_large(&self) -> bool {
        self.head.headers.len() > MAX_FIELDS || self.head_len > MAX_HEAD
    }

    /// Lets go of a large head, but for what is still looked at: it must not be held for as long as the body takes.
    ///
    /// What is kept is copied. Every part of a head may share one memory with all the others, which is free only when none
    /// of them is left.
    pub(super) fn shed(&mut self) {
        let headers = &self.head.headers;
        if headers.len() <= USUAL_FIELDS && self.head_len <= USUAL_HEAD {
            return;
        }
        let mut kept = HeaderMap::new();
        for name in [header::HOST, header::CONTENT_TYPE] {
            let copy = headers.get(&name).map(|value| HeaderValue::from_bytes(value.as_bytes()));
            if let Some(Ok(value)) = copy {
                kept.insert(name, value);
            }
        }
        let (query, left_out) = clip(self.head.uri.query().unwrap_or_default());
        self.begun_query = Some(BegunQuery { kept: query.to_owned(), left_out });
        if matches!(self.decoded, Decoded::AsSent) {
            self.decoded = Decoded::Other(self.head.uri.path().to_owned());
        }
        self.head.headers = kept;
        self.head.uri = Uri::default();
        // Over HTTP/2 these may hold a part of the head too.
        self.head.extensions.clear();
    }

    /// Whether it came by HTTP/1.1.
    pub(super) fn is_http_11(&self) -> bool {
        self.head.version == Version::HTTP_11
    }

    /// Says what it is called from now on.
    pub(super) const fn called(&mut self, names: Names) {
        self.names = names;
    }

    /// Hands its line to the audit log. The count is made when what comes back is dropped.
    pub(super) fn end(mut self: Box<Self>, ending: &Ending<'_>) -> (PendingAuditLine, Counted) {
        self.write(ending)
    }

    fn write(&mut self, ending: &Ending<'_>) -> (PendingAuditLine, Counted) {
        self.ended = true;
        let duration = self.begun.elapsed();
        let entry = Entry {
            component: self.names.component,
            trail_id: &self.id,
            arrived: self.arrived,
            peer: self.peer.id(),
            action: self.names.action,
            path: self.path().unwrap_or_default(),
            query: self.query().unwrap_or_default(),
            query_left_out: self.begun_query.as_ref().map_or(0, |begun| begun.left_out),
            subject: ending.subject,
            status: ending.status,
            is_change: self.names.changes && ending.status < 400,
            error: ending.error,
            duration,
        };
        let writing = self.frame.audit().write(&entry, self.arrived + duration);
        let frame = Arc::clone(&self.frame);
        let counted = Counted { frame, label: self.names.label, status: ending.status, duration };
        (writing, counted)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.ended {
            let error = "the request was given up before it had an answer";
            // The line is with the log; nobody waits for it.
            drop(self.write(&Ending { status: GIVEN_UP, subject: None, error: Some(error) }));
        }
    }
}

/// A request that is counted when this is dropped.
#[derive(Debug)]
pub(super) struct Counted {
    frame: Arc<Frame>,
    label: &'static str,
    status: u16,
    duration: Duration,
}

impl Counted {
    /// Counts it under another status: that of the answer which really goes out.
    pub(super) const fn as_status(&mut self, status: u16) {
        self.status = status;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.frame.metrics().count(self.label, self.status, self.duration);
    }
}

fn head_len(head: &Parts) -> usize {
    let Parts { method, uri, headers, .. } = head;
    let target = uri.path_and_query().map_or(0, |target| target.as_str().len());
    let fields = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    method.as_str().len() + target + 14 + fields.sum::<usize>()
}
