//! One request from its arrival to its answer: what every daemon writes down and counts about it.

use std::{borrow::Cow, time::Instant};

use axum::{
    http::{HeaderValue, Method, request::Parts},
    response::{IntoResponse, Response},
};
use time::OffsetDateTime;

use super::{Reply, RequestMetrics};
use crate::{
    audit::{AuditError, AuditLog, Entry, RequestId},
    client::REQUEST_ID_HEADER,
    clock,
    mtls::Peer,
    wire::decode_path,
};

/// A request that has arrived and has not been answered.
#[derive(Debug)]
pub struct Exchange<'a> {
    begun: Instant,
    arrived: OffsetDateTime,
    id: RequestId,
    method: &'a Method,
    path: Option<Cow<'a, str>>,
    query: Option<&'a str>,
}

/// How a request ended, in the words of the audit log and of the metrics.
#[derive(Debug)]
pub struct Ending<'a> {
    /// The route for metrics; `other` where no route took the request.
    pub label: &'static str,
    /// The name of the handler, as upstream calls it; empty where no handler took the request.
    pub component: &'static str,
    /// What was asked for, in a word; `fallback` where no route took the request.
    pub action: &'static str,
    /// What it was about: the path of a secret or the name of a policy, where there is one.
    pub subject: Option<&'a str>,
    /// What went wrong, if anything: a code and words, never a value.
    pub error: Option<&'a str>,
}

impl<'a> Exchange<'a> {
    /// Takes note of a request at its arrival.
    pub fn begin(parts: &'a Parts) -> Self {
        Self {
            begun: Instant::now(),
            arrived: clock::now(),
            id: RequestId::generate(),
            method: &parts.method,
            path: decode_path(parts.uri.path()),
            query: parts.uri.query(),
        }
    }

    /// The name of the request, which its answer and its audit line carry.
    pub const fn id(&self) -> &RequestId {
        &self.id
    }

    /// Whether it is a POST, the only method that any route has.
    pub fn is_post(&self) -> bool {
        self.method == Method::POST
    }

    /// The path with its escapes undone; `None` where they cannot be.
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// The query, as it was sent.
    pub const fn query(&self) -> Option<&str> {
        self.query
    }

    /// Writes the audit line, counts the request, and makes `reply` the answer. Where the line cannot be written, what
    /// `unrecorded` says is the answer instead: a request fails that nobody could ever tell of.
    ///
    /// What comes back borrows no more than it needs, so that it takes little room while it waits.
    pub fn end<'e, F: FnOnce(AuditError) -> Reply>(
        &'e self,
        (audit, metrics): (&'e AuditLog, &'e RequestMetrics),
        peer: &Peer,
        ending: &Ending<'_>,
        reply: Reply,
        unrecorded: F,
    ) -> impl Future<Output = Response> + use<'a, 'e, F> {
        let duration = self.begun.elapsed();
        let entry = Entry {
            component: ending.component,
            trail_id: &self.id,
            arrived: self.arrived,
            peer: peer.id(),
            action: ending.action,
            path: self.path.as_deref().unwrap_or_default(),
            query: self.query.unwrap_or_default(),
            subject: ending.subject,
            status: reply.status().as_u16(),
            error: ending.error,
            duration,
        };
        let written = audit.write(&entry, self.arrived + duration);
        let label = ending.label;
        async move {
            let reply = match written.await {
                Ok(()) => reply,
                Err(error) => {
                    tracing::error!(reason = %error, "a request could not be written down and fails");
                    unrecorded(error)
                }
            };
            metrics.count(label, reply.status().as_u16(), duration);
            let mut response = reply.into_response();
            if let Ok(id) = HeaderValue::from_str(self.id.as_str()) {
                response.headers_mut().insert(REQUEST_ID_HEADER, id);
            }
            response
        }
    }
}
