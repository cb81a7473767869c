//! Audit lines of what was refused before it was a request, and of what a peer over its limit sends: limited in number.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use time::OffsetDateTime;

use super::line::Fields;

/// The number of refusals in one [`WINDOW`] that get a line each; the others are only counted. For each SPIFFE ID, and for
/// all peers without one together.
const LINES_PER_WINDOW: u64 = 100;
/// The same for requests of a SPIFFE ID that are answered 429.
const SLOWED_LINES_PER_WINDOW: u64 = 20;
/// The most SPIFFE IDs that are counted apart.
const MAX_IDS: usize = 1024;
const WINDOW: Duration = Duration::from_secs(1);

/// A refused handshake or connection.
#[derive(Debug)]
pub struct Refusal<'a> {
    /// What was refused: `handshake`, `connect`, or `request` for a malformed one.
    pub action: &'static str,
    /// The address of the peer.
    pub address: SocketAddr,
    /// The SPIFFE ID in the certificate, if it has one.
    pub spiffe_id: Option<&'a str>,
    /// Whether the certificate was verified.
    pub is_verified: bool,
    /// The status of the answer; 0 if there was no way to answer.
    pub status: u16,
    /// Why it was refused.
    pub reason: &'a str,
}

impl Refusal<'_> {
    pub(super) const fn whose(&self) -> Whose<'_> {
        match self.spiffe_id {
            Some(id) if self.is_verified => Whose::Refused(id),
            Some(_) | None => Whose::Unverified,
        }
    }

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

/// Whose lines are limited together. So nobody can use up the lines about somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose<'a> {
    /// Peers without a verified identity.
    Unverified,
    /// What was refused of a verified SPIFFE ID before it was a request.
    Refused(&'a str),
    /// Requests of a SPIFFE ID that was told to slow down.
    SlowedDown(&'a str),
}

impl Whose<'_> {
    /// How many of one [`WINDOW`] get a line each.
    const fn lines(self) -> u64 {
        match self {
            Self::Unverified | Self::Refused(_) => LINES_PER_WINDOW,
            Self::SlowedDown(_) => SLOWED_LINES_PER_WINDOW,
        }
    }
}

/// So many without lines of their own.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Summary {
    /// `None`: peers without a verified identity.
    id: Option<Box<str>>,
    is_slowed_down: bool,
    count: u64,
}

impl Summary {
    /// Appends the line, with its newline.
    pub(super) fn write(&self, line: &mut Vec<u8>, now: OffsetDateTime) {
        let Self { id, is_slowed_down, count } = self;
        let (what, status) = match (id, is_slowed_down) {
            (None, _) => ("refused handshakes", 0),
            (Some(_), false) => ("refused connections or malformed requests of this SPIFFE ID", 0),
            (Some(_), true) => ("requests of this SPIFFE ID were answered 429", 429),
        };
        let error = format!("{count} more {what}, without lines of their own");
        let user_id = id.as_deref().unwrap_or_default();
        let fields = Fields { user_id, error: &error, status, ..Fields::failure("refused", now) };
        fields.write(line, now);
    }
}

/// Counts refusals, so that a flood of them does not fill the log.
#[derive(Debug, Default)]
pub(super) struct RefusalLimit(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    begun: Option<Instant>,
    unverified: u64,
    refused: HashMap<Box<str>, u64>,
    slowed_down: HashMap<Box<str>, u64>,
}

impl RefusalLimit {
    /// Counts one. Returns whether it gets a line of its own, and what had none in the window before.
    pub(super) fn count(&self, whose: Whose<'_>, now: Instant) -> (bool, Vec<Summary>) {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left_out = window.end_if_over(now);
        window.begun.get_or_insert(now);
        let count = match whose {
            Whose::Unverified => &mut window.unverified,
            Whose::Refused(id) => of_id(&mut window.refused, id),
            Whose::SlowedDown(id) => of_id(&mut window.slowed_down, id),
        };
        *count += 1;
        (*count <= whose.lines(), left_out)
    }

    /// What had no line in a window that is over. Each is reported once.
    pub(super) fn left_out(&self, now: Instant) -> Vec<Summary> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).end_if_over(now)
    }
}

/// The count of `id`. SPIFFE IDs that come when there are too many share one count, under an empty name.
fn of_id<'a>(counts: &'a mut HashMap<Box<str>, u64>, id: &str) -> &'a mut u64 {
    let is_known = counts.contains_key(id) || counts.len() < MAX_IDS;
    counts.entry(if is_known { id } else { "" }.into()).or_default()
}

impl Window {
    /// Ends the window if its time is over, and returns what had no line in it.
    fn end_if_over(&mut self, now: Instant) -> Vec<Summary> {
        if self.begun.is_none_or(|begun| now.saturating_duration_since(begun) < WINDOW) {
            return Vec::new();
        }
        let Self { unverified, refused, slowed_down, .. } = std::mem::take(self);
        let unverified = (None, false, unverified, LINES_PER_WINDOW);
        let refused =
            refused.into_iter().map(|(id, count)| (Some(id), false, count, LINES_PER_WINDOW));
        let slowed_down = slowed_down
            .into_iter()
            .map(|(id, count)| (Some(id), true, count, SLOWED_LINES_PER_WINDOW));
        std::iter::once(unverified)
            .chain(refused)
            .chain(slowed_down)
            .filter(|(.., count, lines)| count > lines)
            .map(|(id, is_slowed_down, count, lines)| Summary {
                id,
                is_slowed_down,
                count: count - lines,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(id: Option<&str>, is_slowed_down: bool, count: u64) -> Summary {
        Summary { id: id.map(Into::into), is_slowed_down, count }
    }

    #[test]
    fn a_flood_of_refusals_has_a_hundred_lines_a_second_and_then_a_count() {
        let limit = RefusalLimit::default();
        let begun = Instant::now();
        let written = (0..5000).filter(|_| limit.count(Whose::Unverified, begun).0).count();
        assert_eq!(written, 100);
        assert_eq!(limit.left_out(begun + WINDOW / 2), [], "the second is not over");
        assert_eq!(limit.left_out(begun + WINDOW), [summary(None, false, 4900)]);
        assert_eq!(limit.left_out(begun + WINDOW), [], "each is counted once");
        assert_eq!(limit.count(Whose::Unverified, begun + WINDOW), (true, vec![]), "a new second");
    }

    #[test]
    fn the_first_refusal_of_the_next_second_brings_the_count_of_the_one_before() {
        let limit = RefusalLimit::default();
        let begun = Instant::now();
        for _ in 0..103 {
            limit.count(Whose::Unverified, begun);
        }
        let next = limit.count(Whose::Refused("a"), begun + WINDOW);
        assert_eq!(next, (true, vec![summary(None, false, 3)]));
    }

    #[test]
    fn noise_of_peers_without_an_identity_takes_no_line_from_those_who_have_one() {
        let limit = RefusalLimit::default();
        let begun = Instant::now();
        for _ in 0..5000 {
            limit.count(Whose::Unverified, begun);
            limit.count(Whose::Refused("loud"), begun);
        }
        assert!(!limit.count(Whose::Refused("loud"), begun).0);
        assert!(limit.count(Whose::Refused("quiet"), begun).0);
        assert!(limit.count(Whose::SlowedDown("loud"), begun).0);
    }

    #[test]
    fn requests_over_the_limit_of_their_id_have_twenty_lines_a_second_and_a_count() {
        let limit = RefusalLimit::default();
        let begun = Instant::now();
        let written = (0..1270).filter(|_| limit.count(Whose::SlowedDown("a"), begun).0).count();
        assert_eq!(written, 20);
        let left_out = limit.left_out(begun + WINDOW);
        assert_eq!(left_out, [summary(Some("a"), true, 1250)]);
        let mut line = Vec::new();
        left_out[0].write(&mut line, OffsetDateTime::UNIX_EPOCH);
        let line: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(
            (&line["audit"]["UserID"], &line["audit"]["Status"]),
            (&"a".into(), &429.into())
        );
        assert!(line["audit"]["Err"].as_str().unwrap().starts_with("1250 more requests"));
    }

    #[test]
    fn many_ids_take_a_bounded_number_of_counts() {
        let limit = RefusalLimit::default();
        let begun = Instant::now();
        for number in 0..5000 {
            limit.count(Whose::Refused(&number.to_string()), begun);
        }
        assert_eq!(limit.0.lock().unwrap().refused.len(), MAX_IDS + 1);
        let rest = 5000 - MAX_IDS as u64 - LINES_PER_WINDOW;
        assert_eq!(limit.left_out(begun + WINDOW), [summary(Some(""), false, rest)]);
    }

    #[test]
    fn the_line_has_the_address_the_claimed_id_and_the_reason() {
        let refusal = Refusal {
            action: "handshake",
            address: "192.0.2.7:4711".parse().unwrap(),
            spiffe_id: Some("spiffe://evil.example/spike/nexus"),
            is_verified: false,
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
