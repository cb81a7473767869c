//! One request from its arrival to its answer, as every daemon logs and counts it.

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::http::{HeaderMap, HeaderValue, Method, Uri, Version, header, request::Parts};
use spike_mtls::{Peer, clock};
use spike_wire::{AnyOperation, decode_path};
use time::OffsetDateTime;

use super::{refusal::HeadLimit, sender::Sender};
use crate::{
    audit::{Entry, PendingAuditLine, RequestId},
    serve::{MAX_FIELDS, MAX_HEAD},
    text::clip,
};

/// A request without an answer yet.
///
/// It always ends in one audit line and one count. If it is dropped before its end, they record that.
#[derive(Debug)]
pub struct Exchange {
    sender: Arc<Sender>,
    begun: Instant,
    arrived: OffsetDateTime,
    id: RequestId,
    head: Parts,
    /// The length of the head in bytes, as HTTP/1.1 would write it.
    head_len: usize,
    head_over: Option<HeadLimit>,
    /// The percent-decoded path, if it differs from the path.
    decoded: Decoded,
    /// The beginning of the query, after the rest of a large head was freed.
    query_start: Option<QueryStart>,
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

/// As much of a query as the audit log records.
#[derive(Debug)]
struct QueryStart {
    kept: String,
    /// How many further bytes it had.
    left_out: usize,
}

/// The names of a request in metrics and in the audit log.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    /// The route for metrics; `other` if no route matched.
    pub label: &'static str,
    /// The name of the handler, as upstream calls it; empty if there is none.
    pub component: &'static str,
    /// The kind of action, in one word; `fallback` if no route matched.
    pub action: &'static str,
    /// Whether it makes a lasting change.
    pub changes: bool,
}

impl Names {
    /// A request that no route matches.
    pub const OTHER: Self =
        Self { label: "other", component: "", action: "fallback", changes: false };

    /// The names of an operation.
    pub fn of(operation: impl AnyOperation) -> Self {
        let (component, action) = operation.audit();
        Self { label: operation.label(), component, action, changes: operation.changes() }
    }
}

/// How a request ended, for the audit log and the metrics.
#[derive(Debug)]
pub(super) struct Ending<'a> {
    /// The status of the answer.
    pub(super) status: u16,
    /// The path of a secret or the name of a policy, if there is one.
    pub(super) subject: Option<&'a str>,
    /// The failure, if any: a code and words, never a value.
    pub(super) error: Option<&'a str>,
    /// It was not carried out, because its peer sends too many.
    pub(super) is_slowed_down: bool,
}

/// Heads of ordinary clients have no more fields and bytes than these.
const USUAL_FIELDS: usize = 32;
const USUAL_HEAD: usize = 2 * 1024;

/// The status in the log of a request whose client has gone, as with other servers.
const GIVEN_UP: u16 = 499;

impl Exchange {
    /// Records a request at its arrival. Boxed, because it is large and moved several times.
    pub(super) fn begin(sender: Arc<Sender>, head: Parts) -> Box<Self> {
        let decoded = match decode_path(head.uri.path()) {
            Some(Cow::Borrowed(_)) => Decoded::AsSent,
            Some(Cow::Owned(other)) => Decoded::Other(other),
            None => Decoded::Bad,
        };
        let head_len = head_len(&head);
        let head_over = if head.headers.len() > MAX_FIELDS {
            Some(HeadLimit::Fields)
        } else {
            (head_len > MAX_HEAD).then_some(HeadLimit::Bytes)
        };
        Box::new(Self {
            sender,
            begun: Instant::now(),
            arrived: clock::now(),
            id: RequestId::generate(),
            head_len,
            head_over,
            head,
            decoded,
            query_start: None,
            names: Names::OTHER,
            ended: false,
        })
    }

    /// The id of the request, for its answer and its audit line.
    pub const fn id(&self) -> &RequestId {
        &self.id
    }

    /// Its sender.
    pub fn peer(&self) -> &Peer {
        &self.sender.peer
    }

    /// When it arrived.
    pub const fn arrived(&self) -> OffsetDateTime {
        self.arrived
    }

    /// Whether it is a POST, the only method that any route has.
    pub fn is_post(&self) -> bool {
        self.head.method == Method::POST
    }

    /// The requested operation; `None` if no operation has this method, path and action.
    pub fn operation<O: AnyOperation>(&self) -> Option<O> {
        let path = self.path().filter(|_| self.is_post())?;
        O::of_request(path, self.query())
    }

    /// The percent-decoded path; `None` if it cannot be decoded.
    pub fn path(&self) -> Option<&str> {
        match &self.decoded {
            Decoded::AsSent => Some(self.head.uri.path()),
            Decoded::Other(path) => Some(path),
            Decoded::Bad => None,
        }
    }

    /// The query, as received. Of a large head only its beginning is left when the handler runs.
    pub fn query(&self) -> Option<&str> {
        match &self.query_start {
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

    /// The limit that the head is over, if any.
    pub(super) const fn head_over(&self) -> Option<HeadLimit> {
        self.head_over
    }

    /// Frees a large head except for the parts still needed: it must not stay in memory while the body arrives.
    ///
    /// The rest is copied, because all parts of a head may share one buffer, which is freed only with the last of them.
    pub(super) fn drop_large_head(&mut self) {
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
        self.query_start = Some(QueryStart { kept: query.to_owned(), left_out });
        if matches!(self.decoded, Decoded::AsSent) {
            self.decoded = Decoded::Other(self.head.uri.path().to_owned());
        }
        self.head.headers = kept;
        self.head.uri = Uri::default();
        // Over HTTP/2 these may refer to the head too.
        self.head.extensions.clear();
    }

    /// Whether it came over HTTP/1.1.
    pub(super) fn is_http_11(&self) -> bool {
        self.head.version == Version::HTTP_11
    }

    /// Whether it came over HTTP/2.
    pub(super) fn is_http_2(&self) -> bool {
        self.head.version == Version::HTTP_2
    }

    /// Sets its names.
    pub(super) const fn set_names(&mut self, names: Names) {
        self.names = names;
    }

    /// Writes its audit line. Dropping the second value counts the request.
    pub(super) fn end(
        mut self: Box<Self>,
        ending: &Ending<'_>,
    ) -> (PendingAuditLine, PendingCount) {
        self.write(ending)
    }

    fn write(&mut self, ending: &Ending<'_>) -> (PendingAuditLine, PendingCount) {
        self.ended = true;
        let duration = self.begun.elapsed();
        let entry = Entry {
            component: self.names.component,
            trail_id: &self.id,
            arrived: self.arrived,
            peer: self.peer().id(),
            action: self.names.action,
            path: self.path().unwrap_or_default(),
            query: self.query().unwrap_or_default(),
            query_left_out: self.query_start.as_ref().map_or(0, |begun| begun.left_out),
            subject: ending.subject,
            status: ending.status,
            is_change: self.names.changes && ending.status < 400,
            error: ending.error,
            duration,
        };
        let (audit, now) = (self.sender.frame.audit(), self.arrived + duration);
        let writing = if ending.is_slowed_down {
            audit.write_slowed_down(&entry, now)
        } else {
            audit.write(&entry, now)
        };
        let counted = PendingCount {
            sender: Arc::clone(&self.sender),
            label: self.names.label,
            status: ending.status,
            begun: self.begun,
            duration,
        };
        (writing, counted)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.ended {
            let error = "the request was dropped before it had an answer";
            // The line is queued; nothing waits for it.
            let ending = Ending {
                status: GIVEN_UP,
                subject: None,
                error: Some(error),
                is_slowed_down: false,
            };
            drop(self.write(&ending));
        }
    }
}

/// A request that is counted when this is dropped.
#[derive(Debug)]
pub(super) struct PendingCount {
    sender: Arc<Sender>,
    label: &'static str,
    status: u16,
    begun: Instant,
    duration: Duration,
}

impl PendingCount {
    /// Changes the status that is counted to that of the answer that is sent.
    pub(super) const fn as_status(&mut self, status: u16) {
        self.status = status;
    }
}

impl Drop for PendingCount {
    fn drop(&mut self) {
        let Self { sender, label, status, begun, duration } = self;
        let Sender { frame, caller, .. } = &**sender;
        frame.metrics().count(label, *status, *caller, *duration);
        frame.note_ended(*begun + *duration, *status);
    }
}

fn head_len(head: &Parts) -> usize {
    let Parts { method, uri, headers, .. } = head;
    let target = uri.path_and_query().map_or(0, |target| target.as_str().len());
    let fields = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    method.as_str().len() + target + 14 + fields.sum::<usize>()
}
