//! Audit lines of connections that were refused before a request, limited in number.

use std::{
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use time::OffsetDateTime;

use super::line::Fields;

/// The number of refusals in one [`WINDOW`] that get a line each; the others are only counted.
const LINES_PER_WINDOW: u64 = 100;
const WINDOW: Duration = Duration::from_secs(1);

/// A refused handshake or connection.
#[derive(Debug)]
pub struct Refusal<'a> {
    /// What was refused: `handshake`, `connect`, or `request` for a malformed one.
    pub action: &'static str,
    /// The address of the peer.
    pub address: SocketAddr,
    /// The SPIFFE ID in the certificate, if it has one. It is not verified.
    pub spiffe_id: Option<&'a str>,
    /// The status of the answer; 0 if there was no way to answer.
    pub status: u16,
    /// Why it was refused.
    pub reason: &'a str,
}

impl Refusal<'_> {
    /// Appends the line, with its newline.
    pub(super) fn write(&self, line: &mut Vec<u8>, now: OffsetDateTime) {
        let address = self.address.to_string();
        let fields = Fields {
            user_id: self.spiffe_id.unwrap_or_default(),
            error: self.reason,
            status: self.status,
            address: Some(&address),
            ..Fields::failure(self.action, now)
        };
        fields.write(line, now);
    }
}

/// Appends the line that reports `count` refusals without lines of their own.
pub(super) fn write_summary(count: u64, line: &mut Vec<u8>, now: OffsetDateTime) {
    let error =
        format!("{count} more refused handshakes or connections, without lines of their own");
    Fields { error: &error, ..Fields::failure("refused", now) }.write(line, now);
}

/// Counts refusals, so that a flood of them does not fill the log.
#[derive(Debug, Default)]
pub(super) struct RefusalLimit(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    begun: Option<Instant>,
    refusals: u64,
}

impl RefusalLimit {
    /// Counts one refusal. Returns whether it gets a line of its own, and how many refusals of the window before had
    /// none.
    pub(super) fn count(&self, now: Instant) -> (bool, u64) {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left_out = window.end_if_over(now);
        window.begun.get_or_insert(now);
        window.refusals += 1;
        (window.refusals <= LINES_PER_WINDOW, left_out)
    }

    /// The number of refusals without a line in a window that is over. Each is reported once.
    pub(super) fn left_out(&self, now: Instant) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).end_if_over(now)
    }
}

impl Window {
    /// Ends the window if its time is over, and returns how many refusals in it had no line.
    fn end_if_over(&mut self, now: Instant) -> u64 {
        if self.begun.is_none_or(|begun| now.saturating_duration_since(begun) < WINDOW) {
            return 0;
        }
        let left_out = self.refusals.saturating_sub(LINES_PER_WINDOW);
        *self = Self::default();
        left_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_has_a_hundred_lines_a_second_and_then_a_count() {
        let limit = RefusalLimit::default();
        let begun = Instant::now();
        let written = (0..5000).filter(|_| limit.count(begun).0).count();
        assert_eq!(written, 100);
        assert_eq!(limit.left_out(begun + WINDOW / 2), 0, "the second is not over");
        assert_eq!(limit.left_out(begun + WINDOW), 4900);
        assert_eq!(limit.left_out(begun + WINDOW), 0, "each is counted once");
        assert_eq!(limit.count(begun + WINDOW), (true, 0), "a new second");
    }

    #[test]
    fn the_first_refusal_of_the_next_second_brings_the_count_of_the_one_before() {
        let limit = RefusalLimit::default();
        let begun = Instant::now();
        for _ in 0..103 {
            limit.count(begun);
        }
        assert_eq!(limit.count(begun + WINDOW), (true, 3));
    }

    #[test]
    fn the_line_has_the_address_the_claimed_id_and_the_reason() {
        let refusal = Refusal {
            action: "handshake",
            address: "192.0.2.7:4711".parse().unwrap(),
            spiffe_id: Some("spiffe://evil.example/spike/nexus"),
            status: 0,
            reason: "no bundle for trust domain evil.example",
        };
        let mut line = Vec::new();
        refusal.write(&mut line, OffsetDateTime::UNIX_EPOCH);
        let line: serde_json::Value = serde_json::from_slice(&line).unwrap();
        let audit = &line["audit"];
        assert_eq!(audit["Action"], "handshake");
        assert_eq!(audit["UserID"], "spiffe://evil.example/spike/nexus");
        assert_eq!(audit["Address"], "192.0.2.7:4711");
        assert_eq!(audit["Err"], "no bundle for trust domain evil.example");
        assert_eq!(audit["State"], "audit-errored");
    }
}
