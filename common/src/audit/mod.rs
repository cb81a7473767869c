//! The audit log: one JSON line per request on standard error, whatever the outcome.
//!
//! Keys are upstream's (wire-api 10.2), with its gaps filled: the peer's SPIFFE ID in `UserID`, the true outcome in
//! `State` and `Err`, the HTTP status, and a request id that the answer carries too. Never a value. A request whose line
//! cannot be written fails.

mod sink;

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    io::Write,
    time::Duration,
};

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

pub use self::sink::{AuditError, AuditLog, Refusal, Writing};

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
pub struct RequestId([u8; 16]);

impl RequestId {
    /// A new name of 16 hexadecimal digits. It need not be secret, only differ from every other: the standard library's
    /// hash keys are random per thread and change with every use, and asking them costs no system call.
    pub fn generate() -> Self {
        let mut digits = [b'0'; 16];
        let number = RandomState::new().build_hasher().finish();
        // 64 bits fill 16 digits.
        write!(digits.as_mut_slice(), "{number:016x}").ok();
        Self(digits)
    }

    /// The name as the value of a header.
    pub fn header(&self) -> http::HeaderValue {
        // Digits are always a value.
        http::HeaderValue::from_bytes(&self.0)
            .unwrap_or_else(|_| http::HeaderValue::from_static(""))
    }

    /// The name as it is written.
    pub fn as_str(&self) -> &str {
        // Digits are ASCII.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Entry<'_> {
    /// Writes the line, with its newline.
    ///
    /// It is put together by hand, as every request waits for it: names are written as they are, and only what a peer can
    /// choose is escaped.
    fn write(&self, line: &mut Vec<u8>, now: OffsetDateTime) {
        let mut line = Line(line);
        line.raw(r#"{"time":""#).time(now);
        line.raw(r#"","audit":{"Component":""#).raw(self.component);
        line.raw(r#"","TrailID":""#).raw(self.trail_id.as_str());
        line.raw(r#"","Timestamp":""#).time(self.arrived);
        line.raw(r#"","UserID":"#).escaped(self.peer);
        line.raw(r#","Action":""#).raw(self.action);
        line.raw(r#"","Path":"#).escaped(self.path);
        line.raw(r#","Resource":"#).escaped(self.query);
        let state = if self.status < 400 { "audit-success" } else { "audit-errored" };
        line.raw(r#","SessionID":"","State":""#).raw(state);
        line.raw(r#"","Err":"#).escaped(self.error.unwrap_or_default());
        line.raw(r#","Duration":"#).number(self.duration.as_nanos());
        line.raw(r#","Status":"#).number(self.status);
        if let Some(subject) = self.subject {
            line.raw(r#","Subject":"#).escaped(subject);
        }
        line.raw("}}\n");
    }
}

/// An audit line in the making. Writing to a `Vec` never fails.
struct Line<'a>(&'a mut Vec<u8>);

impl Line<'_> {
    /// JSON, or text that has nothing to escape.
    fn raw(&mut self, text: &str) -> &mut Self {
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    /// A string, with its quotation marks.
    fn escaped(&mut self, text: &str) {
        let is_special = |byte| matches!(byte, ..b' ' | b'"' | b'\\');
        if text.bytes().fold(false, |special, byte| special | is_special(byte)) {
            serde_json::to_writer(&mut *self.0, text).ok();
        } else {
            // Nearly every text is written as it is.
            self.raw("\"").raw(text).raw("\"");
        }
    }

    /// As RFC 3339 has it, in nanoseconds.
    fn time(&mut self, time: OffsetDateTime) {
        time.format_into(self.0, &Rfc3339).ok();
    }

    fn number(&mut self, number: impl std::fmt::Display) {
        write!(self.0, "{number}").ok();
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
        let mut line = Vec::new();
        entry.write(&mut line, OffsetDateTime::UNIX_EPOCH);
        assert_eq!(line.iter().position(|byte| *byte == b'\n'), Some(line.len() - 1));
        let line: serde_json::Value = serde_json::from_slice(&line).unwrap();
        let audit = &line["audit"];
        assert_eq!(audit["UserID"], "spiffe://spike.ist/workload/app1");
        assert_eq!(audit["State"], "audit-errored");
        assert_eq!(audit["TrailID"], id.as_str());
        assert_eq!(audit["Resource"], "action=get&x=\n\"");
        assert_eq!(audit["Duration"], 12_000);
        assert_eq!(audit["Timestamp"], "1970-01-01T00:00:00Z");
        assert_eq!(audit["Subject"], "tenants/acme/db");
        let names: Vec<&str> = audit.as_object().unwrap().keys().map(String::as_str).collect();
        let all = [
            "Action",
            "Component",
            "Duration",
            "Err",
            "Path",
            "Resource",
            "SessionID",
            "State",
            "Status",
            "Subject",
            "Timestamp",
            "TrailID",
            "UserID",
        ];
        assert_eq!(names, all);
    }

    #[test]
    fn request_ids_differ_also_between_threads() {
        let some =
            || (0..1000).map(|_| RequestId::generate().as_str().to_owned()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(some)).collect();
        let ids: Vec<String> =
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        let distinct: std::collections::HashSet<&String> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
        assert!(ids.iter().all(|id| id.len() == 16));
    }
}
