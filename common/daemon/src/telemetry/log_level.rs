//! `/log-level` of the telemetry listener: shows the level of the log, and changes it.
//!
//! Nobody is asked who they are here, so it is only for callers on this machine, at a listener that nobody else can reach; and not
//! for pages in a browser of this machine. What is logged at any level is no secret.

use std::net::{IpAddr, SocketAddr};

use axum::{
    Json,
    body::Bytes,
    extract::Extension,
    http::{HeaderMap, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::json;

use crate::log_level::LogLevel;

/// The target.
pub(super) const TARGET: &str = "/log-level";

/// The longest body that is read, in bytes.
const MAX_BODY: usize = 64;

/// Both ends of a connection of the listener.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    pub(super) listener: SocketAddr,
    pub(super) peer: SocketAddr,
}

impl Ends {
    fn are_on_this_machine(self) -> bool {
        let is_loopback = |ip: IpAddr| ip.to_canonical().is_loopback();
        is_loopback(self.listener.ip()) && is_loopback(self.peer.ip())
    }
}

/// The body of a change; `None` if it is too long, or broke off. No other request of the listener has one that counts.
pub(super) async fn body_of_change(head: &Parts, body: Incoming) -> Option<Bytes> {
    if head.uri.path() != TARGET || !is_change(&head.method) {
        return Some(Bytes::new());
    }
    Some(Limited::new(body, MAX_BODY).collect().await.ok()?.to_bytes())
}

fn is_change(method: &Method) -> bool {
    method == Method::PUT || method == Method::POST
}

/// GET shows the level, PUT and POST take another one.
pub(super) async fn log_level(
    Extension(level): Extension<LogLevel>,
    Extension(ends): Extension<Ends>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !ends.are_on_this_machine() {
        let reason = "only for callers on this machine, and only while the telemetry address is a loopback address\n";
        return (StatusCode::FORBIDDEN, reason).into_response();
    }
    if is_change(&method) {
        // A browser says which page sends it.
        if headers.contains_key(header::ORIGIN) {
            return (StatusCode::FORBIDDEN, "not for pages of a browser\n").into_response();
        }
        let name = std::str::from_utf8(&body).ok().and_then(LogLevel::parse);
        let Some(to) = name else {
            let rule = "expected error, warn, info, debug or trace\n";
            return (StatusCode::BAD_REQUEST, rule).into_response();
        };
        if let Err(error) = level.set(to, ends.peer) {
            return (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response();
        }
    }
    let (current, configured) = (level.current().as_str(), level.configured().as_str());
    Json(json!({ "level": current, "configured": configured })).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_must_be_on_this_machine() {
        for (listener, peer, expected) in [
            ("127.0.0.1:9553", "127.0.0.1:4", true),
            ("[::1]:9553", "[::1]:4", true),
            ("[::ffff:127.0.0.1]:9553", "[::ffff:127.0.0.1]:4", true),
            ("127.0.0.2:9553", "127.3.0.1:4", true),
            ("0.0.0.0:9553", "127.0.0.1:4", false),
            ("[::]:9553", "[::1]:4", false),
            ("10.0.0.1:9553", "127.0.0.1:4", false),
            ("127.0.0.1:9553", "10.0.0.1:4", false),
            ("127.0.0.1:9553", "[::ffff:10.0.0.1]:4", false),
        ] {
            let ends = Ends { listener: listener.parse().unwrap(), peer: peer.parse().unwrap() };
            assert_eq!(ends.are_on_this_machine(), expected, "{ends:?}");
        }
    }
    #[tokio::test]
    async fn who_is_not_on_this_machine_neither_sees_nor_changes_the_level() {
        let level = LogLevel::of_no_log();
        for (listener, peer) in [("0.0.0.0:9553", "127.0.0.1:4"), ("127.0.0.1:9553", "192.0.2.1:4")]
        {
            let ends = Ends { listener: listener.parse().unwrap(), peer: peer.parse().unwrap() };
            for method in [Method::GET, Method::PUT, Method::POST] {
                let answer = log_level(
                    Extension(level.clone()),
                    Extension(ends),
                    method.clone(),
                    HeaderMap::new(),
                    Bytes::from_static(b"debug"),
                );
                assert_eq!(answer.await.status(), StatusCode::FORBIDDEN, "{method} {ends:?}");
            }
        }
        assert_eq!(level.current(), level.configured());
    }
}
