//! Answers: statuses, headers and bodies as upstream sends them (wire-api 3.3, 4.1).

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use spike_wire::{AnyOperation, ErrorCode, clean_path, fallback_error_body};

use super::{Exchange, FrameError, allowance::Allowance, answer::AnswerBytes};
use crate::telemetry::Exposition;

/// The longest target of a redirect, in bytes.
const MAX_LOCATION: usize = 2048;

const CACHE_CONTROL: &str = "no-store, no-cache, must-revalidate, private";

/// An answer. It is nearly always JSON, with headers against caching; the cipher's stream mode answers bytes or text.
#[derive(Debug)]
pub struct Reply {
    status: StatusCode,
    kind: Kind,
    retry_after: Option<u32>,
    body: AnswerBytes,
}

#[derive(Debug, Clone)]
enum Kind {
    Json,
    Octets,
    /// Metrics in this text format.
    Metrics(Exposition),
    /// An error as Go's `http.Error` sends it.
    Text,
    /// An answer of Go's server itself.
    Plain,
    /// As [`Kind::Plain`], and the connection ends: it is not certain where the next request begins.
    PlainAtEnd,
    /// Only a status.
    Bare,
    Redirect(HeaderValue),
}

impl Reply {
    /// 200 with `body`.
    pub fn ok(body: impl Into<AnswerBytes>) -> Self {
        Self { status: StatusCode::OK, kind: Kind::Json, retry_after: None, body: body.into() }
    }

    /// `body` with any status.
    pub const fn new(status: StatusCode, body: Bytes) -> Self {
        Self::of(status, Kind::Json, body)
    }

    /// An error of `operation`, or of a request without one, perhaps with a sentence for people.
    pub fn error(
        operation: Option<impl AnyOperation>,
        (status, code): (StatusCode, ErrorCode),
        reason: Option<&str>,
    ) -> Self {
        let body = match operation {
            Some(operation) => operation.error(code, reason),
            None => fallback_error_body(code, reason),
        };
        Self::new(status, body)
    }

    const fn of(status: StatusCode, kind: Kind, body: Bytes) -> Self {
        Self { status, kind, retry_after: None, body: AnswerBytes::unkept(body) }
    }

    /// Adds the number of seconds after which to try again.
    #[must_use]
    pub const fn retry_after(mut self, seconds: Option<u32>) -> Self {
        self.retry_after = seconds;
        self
    }

    /// 200 with raw bytes, as upstream sends them: without the headers of JSON answers.
    pub fn octets(body: impl Into<AnswerBytes>) -> Self {
        Self { status: StatusCode::OK, kind: Kind::Octets, retry_after: None, body: body.into() }
    }

    /// 200 with metrics.
    pub(super) const fn metrics(format: Exposition, body: Bytes) -> Self {
        Self::of(StatusCode::OK, Kind::Metrics(format), body)
    }

    /// An error as Go's `http.Error` sends it: `text` and a newline.
    pub fn plain_error(status: StatusCode, text: &str) -> Self {
        Self::of(status, Kind::Text, Bytes::from(format!("{text}\n")))
    }

    /// The status.
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The words of a failure that no handler has made, for its audit line.
    pub(super) fn failure_outside(&self) -> Option<String> {
        let is_failure = self.status.is_client_error() || self.status.is_server_error();
        is_failure.then(|| String::from_utf8_lossy(&self.body.bytes).trim().to_owned())
    }

    /// Takes the memory of a large answer from the budget of its peer until it is sent.
    pub(super) fn charged(mut self, allowance: &Allowance) -> Result<Self, FrameError> {
        self.body = self.body.charged(allowance)?;
        Ok(self)
    }

    /// Only its status, and when to try again.
    pub(super) fn without_body(self) -> Self {
        Self::of(self.status, Kind::Bare, Bytes::new()).retry_after(self.retry_after)
    }

    /// The answer with its headers, and the body that `send` makes.
    pub(super) fn into_response(self, send: impl FnOnce(Bytes) -> Body) -> Response {
        let mut response = Response::new(send(self.body.bytes));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
        match self.kind {
            Kind::Json => {
                set(header::CONTENT_TYPE, "application/json");
                set(header::CACHE_CONTROL, CACHE_CONTROL);
                set(header::PRAGMA, "no-cache");
                set(header::EXPIRES, "0");
            }
            Kind::Octets => {
                set(header::CONTENT_TYPE, "application/octet-stream");
            }
            Kind::Metrics(format) => {
                set(header::CONTENT_TYPE, format.media_type());
                set(header::CACHE_CONTROL, CACHE_CONTROL);
            }
            Kind::Text => {
                set(header::CONTENT_TYPE, "text/plain; charset=utf-8");
                set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
            }
            Kind::Plain => {
                set(header::CONTENT_TYPE, "text/plain; charset=utf-8");
            }
            Kind::PlainAtEnd => {
                set(header::CONTENT_TYPE, "text/plain; charset=utf-8");
                set(header::CONNECTION, "close");
            }
            Kind::Bare => {}
            Kind::Redirect(location) => {
                headers.insert(header::LOCATION, location);
            }
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// What Go's server and its router answer before any handler (wire-api 3.3).
pub(super) fn outside_the_handlers(exchange: &Exchange) -> Option<Reply> {
    let head = exchange.head();
    if exchange.is_http_11() {
        let text = match head.headers.get_all(header::HOST).iter().count() {
            0 => Some("400 Bad Request: missing required Host header"),
            1 => None,
            _ => Some("400 Bad Request: too many Host headers"),
        };
        if let Some(text) = text {
            return Some(plain(StatusCode::BAD_REQUEST, text));
        }
        if !has_usual_transfer_encoding(&head.headers) {
            let text = Bytes::from_static(b"400 Bad Request: unsupported transfer encoding");
            return Some(Reply::of(StatusCode::BAD_REQUEST, Kind::PlainAtEnd, text));
        }
    } else if head.uri.path().is_empty() && head.method != Method::CONNECT {
        // HTTP/2 without `:path`, which only CONNECT may omit (RFC 9113, section 8.3.1). The library accepts it if
        // `:authority` is missing too.
        return Some(plain(StatusCode::BAD_REQUEST, "400 Bad Request: missing :path"));
    }
    if head.method == Method::OPTIONS && head.uri.path() == "*" {
        return Some(Reply::of(StatusCode::OK, Kind::Bare, Bytes::new()));
    }
    if head.method == Method::CONNECT {
        return Some(plain(StatusCode::NOT_FOUND, "404 page not found\n"));
    }
    // A path with `//`, `/./` or `/../` is redirected to its clean form; the query is kept.
    let mut location = clean_path(head.uri.path())?;
    if let Some(query) = head.uri.query() {
        location.push('?');
        location.push_str(query);
    }
    // No route is nearly as long, and an answer must not grow with the request.
    let location =
        HeaderValue::from_str(&location).ok().filter(|location| location.len() <= MAX_LOCATION)?;
    Some(Reply::of(StatusCode::TEMPORARY_REDIRECT, Kind::Redirect(location), Bytes::new()))
}

/// Whether the body is sent as it is or in chunks. Servers read other codings, and lists of them, differently: a proxy
/// in between could see other requests than the daemon does.
fn has_usual_transfer_encoding(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => coding.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    }
}

const fn plain(status: StatusCode, body: &'static str) -> Reply {
    Reply::of(status, Kind::Plain, Bytes::from_static(body.as_bytes()))
}
