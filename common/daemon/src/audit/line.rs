//! The JSON form of an audit line, written by hand because every request waits for it.

use std::io::Write;

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use spike_mtls::MAX_SPIFFE_ID;

use crate::text::{MAX_TEXT, clip_to, escape_controls};

/// Every field of a line, with upstream's names.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    pub(super) component: &'static str,
    pub(super) trail_id: &'a str,
    /// When the request arrived.
    pub(super) timestamp: OffsetDateTime,
    pub(super) user_id: &'a str,
    pub(super) action: &'static str,
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    /// The number of further bytes of the query that are no longer in memory.
    pub(super) query_left_out: usize,
    pub(super) succeeded: bool,
    pub(super) error: &'a str,
    /// In nanoseconds.
    pub(super) duration: u128,
    pub(super) status: u16,
    pub(super) subject: Option<&'a str>,
    pub(super) address: Option<&'a str>,
}

impl Fields<'_> {
    /// A failure at `now` that belongs to no request.
    pub(super) const fn failure(action: &'static str, now: OffsetDateTime) -> Self {
        Self {
            component: "",
            trail_id: "",
            timestamp: now,
            user_id: "",
            action,
            path: "",
            query: "",
            query_left_out: 0,
            succeeded: false,
            error: "",
            duration: 0,
            status: 0,
            subject: None,
            address: None,
        }
    }

    /// Appends the line, with its newline. Text that a peer can choose is clipped and escaped, everything else is
    /// written unchanged.
    pub(super) fn write(&self, line: &mut Vec<u8>, now: OffsetDateTime) {
        let mut line = Line(line);
        line.raw(r#"{"time":""#).time(now);
        line.raw(r#"","audit":{"Component":""#).raw(self.component);
        line.raw(r#"","TrailID":""#).raw(self.trail_id);
        line.raw(r#"","Timestamp":""#).time(self.timestamp);
        // Whole: a line that names two identities by what they have in common names neither.
        line.raw(r#"","UserID":"#).untrusted_start(MAX_SPIFFE_ID, self.user_id, 0);
        line.raw(r#","Action":""#).raw(self.action);
        line.raw(r#"","Path":"#).untrusted(self.path);
        line.raw(r#","Resource":"#).untrusted_start(MAX_TEXT, self.query, self.query_left_out);
        let state = if self.succeeded { "audit-success" } else { "audit-errored" };
        line.raw(r#","SessionID":"","State":""#).raw(state);
        line.raw(r#"","Err":"#).untrusted(self.error);
        line.raw(r#","Duration":"#).number(self.duration);
        line.raw(r#","Status":"#).number(self.status);
        if let Some(subject) = self.subject {
            line.raw(r#","Subject":"#).untrusted(subject);
        }
        if let Some(address) = self.address {
            line.raw(r#","Address":"#).untrusted(address);
        }
        line.raw("}}\n");
    }
}

/// Writes an audit line. Writing to a `Vec` never fails.
struct Line<'a>(&'a mut Vec<u8>);

impl Line<'_> {
    /// JSON, or text that needs no escape.
    fn raw(&mut self, text: &str) -> &mut Self {
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    /// A string that a peer may have chosen, with its quotation marks.
    fn untrusted(&mut self, text: &str) {
        self.untrusted_start(MAX_TEXT, text, 0);
    }

    /// As [`Self::untrusted`], clipped to `most` bytes, for a text of which `longer` further bytes are not in memory.
    fn untrusted_start(&mut self, most: usize, text: &str, longer: usize) {
        let is_special = |byte| matches!(byte, ..b' ' | b'"' | b'\\' | 0x7f..);
        let (kept, clipped) = clip_to(most, text);
        let left_out = clipped + longer;
        self.raw("\"");
        if kept.bytes().fold(false, |special, byte| special | is_special(byte)) {
            let json = serde_json::to_string(kept).unwrap_or_default();
            let inner = json.strip_prefix('"').and_then(|json| json.strip_suffix('"'));
            self.raw(&escape_controls(inner.unwrap_or_default()));
        } else {
            // Nearly every text needs no escape.
            self.raw(kept);
        }
        if left_out > 0 {
            self.raw("…[+").number(left_out);
            self.raw(" bytes]");
        }
        self.raw("\"");
    }

    /// RFC 3339, in nanoseconds.
    fn time(&mut self, time: OffsetDateTime) {
        time.format_into(self.0, &Rfc3339).ok();
    }

    fn number(&mut self, number: impl std::fmt::Display) {
        write!(self.0, "{number}").ok();
    }
}
