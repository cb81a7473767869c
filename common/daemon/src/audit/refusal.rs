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
    /// What was refused: `handshake`, `connect`, `cut`, or `request` for a malformed one.
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
    pub(super) fn whose(&self) -> Whose<'_> {
        match self.spiffe_id {
            Some(id) if self.is_verified && self.action == "request" => Whose::Malformed(id),
            Some(id) if self.is_verified => Whose::Connections(id),
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

/// Whose lines are limited together. So nobody can use up the lines about somebody else, nor those about the end of its
/// connections with those about its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose<'a> {
    /// Peers without a verified identity.
    Unverified,
    /// Malformed requests of a verified SPIFFE ID.
    Malformed(&'a str),
    /// Connections of a verified SPIFFE ID that were refused or cut.
    Connections(&'a str),
    /// Requests of a SPIFFE ID that was told to slow down.
    SlowedDown(&'a str),
}

impl<'a> Whose<'a> {
    /// What is limited, and the SPIFFE ID; that of peers without one is empty.
    const fn parts(self) -> (Kind, &'a str) {
        match self {
            Self::Unverified => (Kind::Unverified, ""),
            Self::Malformed(id) => (Kind::Malformed, id),
            Self::Connections(id) => (Kind::Connections, id),
            Self::SlowedDown(id) => (Kind::SlowedDown, id),
        }
    }
}

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Unverified,
    Malformed,
    Connections,
    SlowedDown,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Unverified, Self::Malformed, Self::Connections, Self::SlowedDown];

    /// How many of one SPIFFE ID in one [`WINDOW`] get a line each.
    const fn lines(self) -> u64 {
        match self {
            Self::Unverified | Self::Malformed | Self::Connections => LINES_PER_WINDOW,
            Self::SlowedDown => SLOWED_LINES_PER_WINDOW,
        }
    }

    /// What was counted, in words, and the status of its line.
    const fn words(self) -> (&'static str, u16) {
        match self {
            Self::Unverified => ("refused handshakes", 0),
            Self::Malformed => ("malformed requests of this SPIFFE ID", 0),
            Self::Connections => ("connections of this SPIFFE ID were refused or cut", 0),
            Self::SlowedDown => ("requests of this SPIFFE ID were answered 429 or 503", 429),
        }
    }
}

/// So many without lines of their own.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Summary {
    kind: Kind,
    /// Empty for peers without a verified identity.
    id: Box<str>,
    count: u64,
}

impl Summary {
    /// Appends the line, with its newline.
    pub(super) fn write(&self, line: &mut Vec<u8>, now: OffsetDateTime) {
        let Self { kind, id, count } = self;
        let (what, status) = kind.words();
        let error = format!("{count} more {what}, without lines of their own");
        let fields =
            Fields { user_id: id, error: &error, status, ..Fields::failure("refused", now) };
        fields.write(line, now);
    }
}

/// Counts refusals, so that a flood of them does not fill the log.
#[derive(Debug, Default)]
pub(super) struct RefusalLimit(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    begun: Option<Instant>,
    /// By kind, in the order of [`Kind::ALL`], and SPIFFE ID.
    counts: [HashMap<Box<str>, u64>; Kind::ALL.len()],
}

impl RefusalLimit {
    /// Counts one. Returns whether it gets a line of its own, and what had none in the window before.
    pub(super) fn count(&self, whose: Whose<'_>, now: Instant) -> (bool, Vec<Summary>) {
        let (kind, id) = whose.parts();
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left_out = window.end_if_over(now);
        window.begun.get_or_insert(now);
        let count = window.count_of(kind, id);
        *count += 1;
        (*count <= kind.lines(), left_out)
    }

    /// What had no line in a window that is over. Each is reported once.
    pub(super) fn left_out(&self, now: Instant) -> Vec<Summary> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).end_if_over(now)
    }
}

impl Window {
    /// SPIFFE IDs that come when there are too many share one count, under an empty name.
    fn count_of(&mut self, kind: Kind, id: &str) -> &mut u64 {
        let [unverified, malformed, connections, slowed_down] = &mut self.counts;
        let counts = match kind {
            Kind::Unverified => unverified,
            Kind::Malformed => malformed,
            Kind::Connections => connections,
            Kind::SlowedDown => slowed_down,
        };
        let is_known = counts.contains_key(id) || counts.len() < MAX_IDS;
        counts.entry(if is_known { id } else { "" }.into()).or_default()
    }

    /// Ends the window if its time is over, and returns what had no line in it.
    fn end_if_over(&mut self, now: Instant) -> Vec<Summary> {
        if self.begun.is_none_or(|begun| now.saturating_duration_since(begun) < WINDOW) {
            return Vec::new();
        }
        let counts = Kind::ALL.into_iter().zip(std::mem::take(self).counts);
        counts
            .flat_map(|(kind, counts)| counts.into_iter().map(move |(id, count)| (kind, id, count)))
            .filter(|(kind, _, count)| *count > kind.lines())
            .map(|(kind, id, count)| Summary { kind, id, count: count - kind.lines() })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(kind: Kind, id: &str, count: u64) -> Summary {
        Summary { kind, id: id.into(), count }
    }

    #[test]
    fn a_flood_of_refusals_has_a_hundred_lines_a_second_and_then_a_count() {
        let limit = RefusalLimit::default();
        let begun = Instant::now();
        let written = (0..5000).filter(|_| limit.count(Whose::Unverified, begun).0).count();
        assert_eq!(written, 100);
        assert_eq!(limit.left_out(begun + WINDOW / 2), [], "the second is not over");
        assert_eq!(limit.left_out(begun + WINDOW), [summary(Kind::Unverified, "", 4900)]);
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
        let next = limit.count(Whose::Malformed("a"), begun + WINDOW);
        assert_eq!(next, (true, vec![summary(Kind::Unverified, "", 3)]));
    }

    #[test]
    fn noise_of_peers_without_an_identity_takes_no_line_from_those_who_have_one() {
        let limit = RefusalLimit::default();
        let begun = Instant::now();
        for _ in 0..5000 {
            limit.count(Whose::Unverified, begun);
            limit.count(Whose::Malformed("loud"), begun);
        }
        assert!(!limit.count(Whose::Malformed("loud"), begun).0);
        assert!(limit.count(Whose::Malformed("quiet"), begun).0);
        assert!(limit.count(Whose::Connections("loud"), begun).0, "the end of its connections");
        assert!(limit.count(Whose::SlowedDown("loud"), begun).0);
    }

    #[test]
    fn requests_over_the_limit_of_their_id_have_twenty_lines_a_second_and_a_count() {
        let limit = RefusalLimit::default();
        let begun = Instant::now();
        let written = (0..1270).filter(|_| limit.count(Whose::SlowedDown("a"), begun).0).count();
        assert_eq!(written, 20);
        let left_out = limit.left_out(begun + WINDOW);
        assert_eq!(left_out, [summary(Kind::SlowedDown, "a", 1250)]);
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
            limit.count(Whose::Malformed(&number.to_string()), begun);
        }
        assert_eq!(limit.0.lock().unwrap().counts[1].len(), MAX_IDS + 1);
        let rest = 5000 - MAX_IDS as u64 - LINES_PER_WINDOW;
        assert_eq!(limit.left_out(begun + WINDOW), [summary(Kind::Malformed, "", rest)]);
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
