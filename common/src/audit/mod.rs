//! The audit log: one JSON line per request on standard error, whatever the outcome.
//!
//! Keys are upstream's (wire-api 10.2), with its gaps filled: the peer's SPIFFE ID in `UserID`, the true outcome in
//! `State` and `Err`, the HTTP status, and a request id that the answer carries too. Never a value. A request whose line
//! cannot be written fails.

mod sink;

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};

use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

pub use self::sink::{AuditError, AuditLog, Writing};

/// What one request was and how it ended.
#[derive(Debug)]
pub struct Entry<'a> {
    /// The name of the handler, as upstream calls it; empty for a request that no handler took.
    pub component: &'static str,
    /// The request id.
    pub trail_id: &'a RequestId,
    /// When the request arrived.
    pub arrived: OffsetDateTime,
    /// The SPIFFE ID of the peer.
    pub peer: &'a str,
    /// What was asked for, in a word.
    pub action: &'static str,
    /// The decoded path of the URL.
    pub path: &'a str,
    /// The query, as it was sent.
    pub query: &'a str,
    /// What it was about: the path of a secret or the name of a policy, where there is one.
    pub subject: Option<&'a str>,
    /// The status of the answer.
    pub status: u16,
    /// What went wrong, if anything: a code and words, never a value.
    pub error: Option<&'a str>,
    /// From arrival to answer.
    pub duration: Duration,
}

/// The name of a request, in the audit line and in the answer's `X-Request-Id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    /// A new name of 16 hexadecimal digits. It need not be secret, only differ from every other: the standard library's
    /// hash keys are random per thread and change with every use, and asking them costs no system call.
    pub fn generate() -> Self {
        Self(format!("{:016x}", RandomState::new().build_hasher().finish()))
    }

    /// The name as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[derive(Serialize)]
struct Line<'a> {
    time: &'a str,
    audit: Body<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Body<'a> {
    component: &'a str,
    #[serde(rename = "TrailID")]
    trail_id: &'a str,
    timestamp: &'a str,
    #[serde(rename = "UserID")]
    user_id: &'a str,
    action: &'a str,
    path: &'a str,
    resource: &'a str,
    #[serde(rename = "SessionID")]
    session_id: &'a str,
    state: &'a str,
    err: &'a str,
    duration: u64,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
}

impl Entry<'_> {
    /// The line, with its newline.
    fn line(&self, now: OffsetDateTime) -> Vec<u8> {
        let written = now.format(&Rfc3339).unwrap_or_default();
        let arrived = self.arrived.format(&Rfc3339).unwrap_or_default();
        let line = Line {
            time: &written,
            audit: Body {
                component: self.component,
                trail_id: self.trail_id.as_str(),
                timestamp: &arrived,
                user_id: self.peer,
                action: self.action,
                path: self.path,
                resource: self.query,
                session_id: "",
                state: if self.status < 400 { "audit-success" } else { "audit-errored" },
                err: self.error.unwrap_or_default(),
                duration: u64::try_from(self.duration.as_nanos()).unwrap_or(u64::MAX),
                status: self.status,
                subject: self.subject,
            },
        };
        let mut bytes = Vec::with_capacity(512);
        // Strings and numbers always serialize, and a Vec always takes them.
        if serde_json::to_writer(&mut bytes, &line).is_err() {
            bytes.clear();
        }
        bytes.push(b'\n');
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_the_peer_the_outcome_and_the_request_and_is_one_line() {
        let id = RequestId::generate();
        let entry = Entry {
            component: "routeGetSecret",
            trail_id: &id,
            arrived: OffsetDateTime::UNIX_EPOCH,
            peer: "spiffe://spike.ist/workload/app1",
            action: "read",
            path: "/v1/store/secrets",
            query: "action=get&x=\n\"",
            subject: Some("tenants/acme/db"),
            status: 401,
            error: Some("[access_unauthorized] unauthorized"),
            duration: Duration::from_micros(12),
        };
        let line = entry.line(OffsetDateTime::UNIX_EPOCH);
        assert_eq!(line.iter().position(|byte| *byte == b'\n'), Some(line.len() - 1));
        let line: serde_json::Value = serde_json::from_slice(&line).unwrap();
        let audit = &line["audit"];
        assert_eq!(audit["UserID"], "spiffe://spike.ist/workload/app1");
        assert_eq!(audit["State"], "audit-errored");
        assert_eq!(audit["TrailID"], id.as_str());
        assert_eq!(audit["Resource"], "action=get&x=\n\"");
        assert_eq!(audit["Duration"], 12_000);
        assert_eq!(audit["Timestamp"], "1970-01-01T00:00:00Z");
    }

    #[test]
    fn request_ids_differ_also_between_threads() {
        let some = || (0..1000).map(|_| RequestId::generate().0).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(some)).collect();
        let ids: Vec<String> =
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        let distinct: std::collections::HashSet<&String> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
        assert!(ids.iter().all(|id| id.len() == 16));
    }
}
