//! Limits of a listener (wire-api 2.4).

use std::{fmt, time::Duration};

use crate::{
    http::{BodyLimits, RequestLimits},
    limit::Rate,
    serve::Limits,
};
use spike_config::{
    Outcome, Reader,
    table::{self, Variable},
};
use spike_mtls::budget::Bounds;

/// With fewer requests, none is reserved.
const LEAST_REQUESTS: u64 = 8;

/// With fewer connections, more than a sixteenth is reserved, or none.
const LEAST_CONNECTIONS: usize = 16;

/// Bounds on the callers of a listener.
#[derive(Clone, Copy, Debug)]
pub struct HttpServerSettings {
    /// Bounds on connections.
    pub limits: Limits,
    /// Bounds on requests.
    pub requests: RequestLimits,
    /// How long requests in flight may take to finish after SIGTERM.
    pub drain_timeout: Duration,
}

impl HttpServerSettings {
    /// Reads the group, of a daemon in which so many connections may be in their handshakes.
    pub fn read(reader: &mut Reader<'_>, handshakes: usize) -> Self {
        let body = BodyLimits {
            bytes: reader.count(&table::SPIKE_HTTP_SERVER_MAX_BODY_SIZE),
            time: reader.duration(&table::SPIKE_HTTP_SERVER_READ_BODY_TIMEOUT),
        };
        let largest = u64::try_from(body.bytes).unwrap_or(u64::MAX);
        let requests = RequestLimits {
            body,
            in_flight: in_flight(reader),
            memory: memory(reader, largest),
            denials: Rate {
                per_second: reader.count(&table::SPIKE_HTTP_SERVER_DENIALS_PER_SECOND),
                burst: reader.count(&table::SPIKE_HTTP_SERVER_DENIALS_BURST),
            },
        };
        let (connections, connections_per_id) = connections(reader);
        Self {
            requests,
            limits: Limits {
                header_timeout: reader.duration(&table::SPIKE_HTTP_SERVER_READ_HEADER_TIMEOUT),
                idle_timeout: reader.duration(&table::SPIKE_HTTP_SERVER_IDLE_TIMEOUT),
                stall_timeout: reader.duration(&table::SPIKE_HTTP_SERVER_STALL_TIMEOUT),
                connections,
                connections_per_id,
                handshakes,
            },
            drain_timeout: reader.duration(&table::SPIKE_HTTP_SERVER_DRAIN_TIMEOUT),
        }
    }
}

fn in_flight(reader: &mut Reader<'_>) -> Bounds {
    let variable = &table::SPIKE_HTTP_SERVER_MAX_REQUESTS;
    let all: u64 = reader.count(variable);
    if all < LEAST_REQUESTS {
        let rule = format!(
            "expected at least {LEAST_REQUESTS}, of which an eighth is reserved for operators, Nexus and Bootstrap; of fewer none is"
        );
        reader.report(variable, rule, Outcome::Used);
    }
    let part = &table::SPIKE_HTTP_SERVER_MAX_REQUESTS_PER_ID;
    let each = reader.count(part);
    let bounds = with_reserve(all, each);
    tell_share(reader, part, (variable, bounds));
    bounds
}

/// One body of the largest size must fit beside another one, whatever is configured and whether its length is declared or not: as one grows,
/// an ID gets no more than it leaves free, and an eighth is reserved.
fn memory(reader: &mut Reader<'_>, largest: u64) -> Bounds {
    let body = table::SPIKE_HTTP_SERVER_MAX_BODY_SIZE.name;
    let all = &table::SPIKE_HTTP_SERVER_MAX_MEMORY;
    let rule = format!("expected at least four times {body}, which is {largest}");
    let bytes = at_least(reader, all, largest.saturating_mul(4), rule);
    let each = &table::SPIKE_HTTP_SERVER_MAX_MEMORY_PER_ID;
    let rule = format!("expected at least {body}, which is {largest}");
    let part = at_least(reader, each, largest, rule);
    let bounds = with_reserve(bytes, part);
    tell_share(reader, each, (all, bounds));
    bounds
}

/// Tells of a part that no ordinary SPIFFE ID can have, because it gets no more than it leaves free. A default that is larger is no
/// mistake, and no limit.
fn tell_share(
    reader: &mut Reader<'_>,
    variable: &'static Variable,
    (whole, bounds): (&Variable, Bounds),
) {
    let share = (bounds.all - bounds.reserve) / 2;
    if bounds.each > share && reader.is_set(variable) {
        let rule = format!(
            "expected at most {share}, half of {} without its reserve: one SPIFFE ID gets no more, unless it is of an operator, Nexus or \
             Bootstrap",
            whole.name
        );
        reader.report(variable, rule, Outcome::Used);
    }
}

/// Bounds with a reserve of an eighth.
const fn with_reserve(all: u64, each: u64) -> Bounds {
    Bounds { all, each, reserve: all / 8 }
}

/// The connections in all, and of one SPIFFE ID.
fn connections(reader: &mut Reader<'_>) -> (usize, usize) {
    let variable = &table::SPIKE_HTTP_SERVER_MAX_CONNECTIONS;
    let all: usize = reader.count(variable);
    if all < LEAST_CONNECTIONS {
        let rule = format!(
            "expected at least {LEAST_CONNECTIONS}, of which a sixteenth is reserved for operators, Nexus and Bootstrap; of fewer it is \
             one, and of a single one none"
        );
        reader.report(variable, rule, Outcome::Used);
    }
    let part = &table::SPIKE_HTTP_SERVER_MAX_CONNECTIONS_PER_ID;
    let each = reader.count(part);
    let each = at_most(reader, (part, each), (variable, all));
    (all, each)
}

/// A part of a whole, such as what one SPIFFE ID may have. A default that is larger is no mistake, and no limit.
pub(super) fn at_most<T: Copy + Ord + fmt::Display>(
    reader: &mut Reader<'_>,
    (variable, each): (&'static Variable, T),
    (whole, all): (&Variable, T),
) -> T {
    if each <= all || !reader.is_set(variable) {
        return each;
    }
    let rule = format!("expected at most {}, which is {all}", whole.name);
    reader.report(variable, rule, Outcome::FellBackTo(all.to_string()));
    all
}

/// A number of bytes that is raised to `least`. A default that is smaller is no mistake.
fn at_least(reader: &mut Reader<'_>, variable: &'static Variable, least: u64, rule: String) -> u64 {
    let bytes = reader.count::<u64>(variable);
    if bytes < least && reader.is_set(variable) {
        reader.report(variable, rule, Outcome::FellBackTo(least.to_string()));
    }
    bytes.max(least)
}
