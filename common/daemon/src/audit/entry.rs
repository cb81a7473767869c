//! The audit line of a request.

use std::time::Duration;

use time::OffsetDateTime;

use super::{RequestId, line::Fields};

/// A request and its outcome.
#[derive(Debug)]
pub struct Entry<'a> {
    /// The name of the handler, as upstream calls it; empty if no handler received the request.
    pub component: &'static str,
    /// The request id.
    pub trail_id: &'a RequestId,
    /// When the request arrived.
    pub arrived: OffsetDateTime,
    /// The SPIFFE ID of the peer.
    pub peer: &'a str,
    /// The kind of action, in one word.
    pub action: &'static str,
    /// The decoded path of the URL.
    pub path: &'a str,
    /// The query, as received.
    pub query: &'a str,
    /// The number of further bytes of the query that are no longer in memory.
    pub query_left_out: usize,
    /// The path of a secret or the name of a policy, if there is one.
    pub subject: Option<&'a str>,
    /// The status of the answer.
    pub status: u16,
    /// Whether it made a lasting change.
    pub is_change: bool,
    /// The failure, if any: a code and words, never a value.
    pub error: Option<&'a str>,
    /// From arrival to answer.
    pub duration: Duration,
}

impl Entry<'_> {
    /// Appends the line, with its newline.
    pub(super) fn write(&self, line: &mut Vec<u8>, now: OffsetDateTime) {
        let fields = Fields {
            component: self.component,
            trail_id: self.trail_id.as_str(),
            timestamp: self.arrived,
            user_id: self.peer,
            action: self.action,
            path: self.path,
            query: self.query,
            query_left_out: self.query_left_out,
            succeeded: self.status < 400,
            error: self.error.unwrap_or_default(),
            duration: self.duration.as_nanos(),
            status: self.status,
            subject: self.subject,
            address: None,
        };
        fields.write(line, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line_of(entry: &Entry<'_>) -> String {
        let mut line = Vec::new();
        entry.write(&mut line, OffsetDateTime::UNIX_EPOCH);
        String::from_utf8(line).unwrap()
    }

    fn audit_of(line: &str) -> serde_json::Value {
        serde_json::from_str::<serde_json::Value>(line).unwrap()["audit"].clone()
    }

    fn entry(id: &RequestId) -> Entry<'_> {
        Entry {
            component: "routeGetSecret",
            trail_id: id,
            arrived: OffsetDateTime::UNIX_EPOCH,
            peer: "spiffe://spike.ist/workload/app1",
            action: "read",
            path: "/v1/store/secrets",
            query: "action=get&x=\n\"",
            query_left_out: 0,
            subject: Some("tenants/acme/db"),
            status: 401,
            is_change: false,
            error: Some("[access_unauthorized] unauthorized"),
            duration: Duration::from_micros(12),
        }
    }

    #[test]
    fn a_line_names_the_peer_the_outcome_and_the_request_and_is_one_line() {
        let id = RequestId::generate();
        let line = line_of(&entry(&id));
        assert_eq!(line.find('\n'), Some(line.len() - 1));
        let audit = audit_of(&line);
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
    fn a_path_of_four_megabytes_makes_a_short_line_that_says_what_was_left_out() {
        let id = RequestId::generate();
        let long = "x".repeat(4 << 20);
        let chosen = Entry {
            path: &long,
            query: &long,
            subject: Some(&long),
            error: Some(&long),
            ..entry(&id)
        };
        let line = line_of(&chosen);
        assert!(line.len() < 4096, "{}", line.len());
        let audit = audit_of(&line);
        let clipped = format!("{}…[+4193792 bytes]", "x".repeat(512));
        for field in ["Path", "Resource", "Subject", "Err"] {
            assert_eq!(audit[field], clipped.as_str(), "{field}");
        }
    }

    /// Two long identities with the same beginning had the same line.
    #[test]
    fn a_spiffe_id_stands_whole_in_its_line_however_long_it_is() {
        let id = RequestId::generate();
        let longest = format!("spiffe://spike.ist/{}", "x".repeat(2048 - 19));
        let line = line_of(&Entry { peer: &longest, ..entry(&id) });
        assert_eq!(audit_of(&line)["UserID"], longest.as_str());
        // One of a certificate that was not verified may have any length.
        let line = line_of(&Entry { peer: &"x".repeat(4 << 20), ..entry(&id) });
        assert!(line.len() < 4096, "{}", line.len());
    }

    #[test]
    fn a_query_whose_end_was_let_go_of_is_written_as_if_it_were_whole() {
        let id = RequestId::generate();
        let (whole, kept) = ("x".repeat(60_000), "x".repeat(512));
        let whole = line_of(&Entry { query: &whole, ..entry(&id) });
        let shed = Entry { query: &kept, query_left_out: 60_000 - 512, ..entry(&id) };
        assert_eq!(line_of(&shed), whole);
    }

    #[test]
    fn no_control_character_reaches_the_log_as_it_is() {
        let id = RequestId::generate();
        let hostile = "/a\u{1b}[2J\u{7f}\u{9b}31m\u{85}\u{2028}\u{202e}\u{2066}é\n";
        let line = line_of(&Entry { path: hostile, ..entry(&id) });
        let is_plain = |c: char| c == 'é' || (' '..='~').contains(&c);
        assert!(line.trim_end_matches('\n').chars().all(is_plain), "{line:?}");
        assert_eq!(audit_of(&line)["Path"], hostile);
    }
}
