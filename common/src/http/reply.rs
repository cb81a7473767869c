//! Answers: statuses, headers and bodies as upstream sends them (wire-api 3.3, 4.1).

use axum::{
    body::Body,
    http::{HeaderValue, Method, StatusCode, Version, header, request::Parts},
    response::{IntoResponse, Response},
};
use bytes::Bytes;

use crate::wire::clean_path;

const CACHE_CONTROL: &str = "no-store, no-cache, must-revalidate, private";

/// An answer: JSON almost always, with the headers that keep it out of every cache; bytes or text where the cipher's
/// stream mode has them.
#[derive(Debug)]
pub struct Reply {
    status: StatusCode,
    kind: Kind,
    body: Bytes,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Json,
    Octets,
    Text,
}

impl Reply {
    /// 200 with `body`.
    pub const fn ok(body: Bytes) -> Self {
        Self::new(StatusCode::OK, body)
    }

    /// `body` under any status.
    pub const fn new(status: StatusCode, body: Bytes) -> Self {
        Self { status, kind: Kind::Json, body }
    }

    /// 200 with raw bytes, as upstream sends them: without the headers of JSON answers.
    pub const fn octets(body: Bytes) -> Self {
        Self { status: StatusCode::OK, kind: Kind::Octets, body }
    }

    /// An error as Go's `http.Error` sends it: `text` and a newline.
    pub fn plain_error(status: StatusCode, text: &str) -> Self {
        Self { status, kind: Kind::Text, body: Bytes::from(format!("{text}\n")) }
    }

    /// The status.
    pub const fn status(&self) -> StatusCode {
        self.status
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
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
            Kind::Text => {
                set(header::CONTENT_TYPE, "text/plain; charset=utf-8");
                set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
            }
        }
        response
    }
}

/// What Go's server and its router answer by themselves, before any handler and any audit line (wire-api 3.3).
pub fn outside_the_handlers(parts: &Parts) -> Option<Response> {
    if parts.version == Version::HTTP_11 && !parts.headers.contains_key(header::HOST) {
        return Some(text(
            StatusCode::BAD_REQUEST,
            "400 Bad Request: missing required Host header",
        ));
    }
    if parts.method == Method::OPTIONS && parts.uri.path() == "*" {
        return Some(StatusCode::OK.into_response());
    }
    if parts.method == Method::CONNECT {
        return Some(text(StatusCode::NOT_FOUND, "404 page not found\n"));
    }
    redirect(parts)
}

/// A path with `//`, `/./` or `/../` is sent to its clean form, with the query kept.
fn redirect(parts: &Parts) -> Option<Response> {
    let mut location = clean_path(parts.uri.path())?;
    if let Some(query) = parts.uri.query() {
        location.push('?');
        location.push_str(query);
    }
    let location = HeaderValue::from_str(&location).ok()?;
    let mut response = StatusCode::TEMPORARY_REDIRECT.into_response();
    response.headers_mut().insert(header::LOCATION, location);
    Some(response)
}

fn text(status: StatusCode, body: &'static str) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response()
}

#[cfg(test)]
mod tests {
    use axum::http::{Request, request};

    use super::*;

    fn outside(request: request::Builder) -> Option<Response> {
        outside_the_handlers(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn an_unclean_path_is_redirected_with_its_query() {
        let request = Request::post("/v1//store/x?action=get&y").header("host", "h");
        let response = outside(request).unwrap();
        assert_eq!(response.status(), StatusCode::TEMPORARY_REDIRECT);
        assert_eq!(response.headers()[header::LOCATION], "/v1/store/x?action=get&y");
    }

    #[test]
    fn what_go_answers_by_itself_never_reaches_a_handler() {
        let status = |request| outside(request).map(|response| response.status());
        let http_11 = Request::post("/v1/store/shard").version(Version::HTTP_11);
        assert_eq!(status(http_11), Some(StatusCode::BAD_REQUEST));
        let options = Request::options("*").header("host", "h");
        assert_eq!(status(options), Some(StatusCode::OK));
        let connect = Request::builder().method("CONNECT").uri("h:1").header("host", "h");
        assert_eq!(status(connect), Some(StatusCode::NOT_FOUND));
        let post = Request::post("/v1/store/shard").header("host", "h");
        assert_eq!(status(post), None);
    }
}
