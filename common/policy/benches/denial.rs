//! The cost of a denial compared with a grant: the decision alone, among 1 and 1,000 policies with expensive patterns,
//! and the cost of the most expensive patterns that are accepted.
//!
//! Prints medians and ratios. The goal is at most 1.25.

#![expect(clippy::print_stdout, reason = "the figures are what this program is for")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use spike_policy::{Permission, Policy, PolicySet};
use time::OffsetDateTime;

/// The number of different requests in a round, and the number of rounds.
const REQUESTS: usize = 64;
const ROUNDS: usize = 501;

type Request = (String, String, Permission);

fn main() {
    for count in [1, 1_000] {
        println!("{count} policies of two heavy patterns each");
        let policies: Vec<Policy> = (0..count).map(heavy).collect();
        let set: PolicySet = policies.iter().collect();
        let allowed: Vec<Request> = (0..REQUESTS).map(|i| request(i * 7919 % count)).collect();
        let changed = |change: fn(&mut Request)| {
            let mut denied = allowed.clone();
            denied.iter_mut().for_each(change);
            denied
        };
        compare(
            &set,
            "the last character of the path",
            &allowed,
            &changed(|(_, path, _)| path.push('/')),
        );
        compare(&set, "the last character of the ID", &allowed, &changed(|(id, ..)| id.push('/')));
        compare(&set, "another path", &allowed, &changed(|(_, path, _)| path.insert_str(0, "x/")));
        compare(
            &set,
            "the permission",
            &allowed,
            &changed(|(.., wanted)| *wanted = Permission::Write),
        );
    }
    heaviest();
}

/// Expensive, but realistic: for a workload and its tenant, with counts, classes and alternatives.
fn heavy(n: usize) -> Policy {
    accepted(
        &format!("p{n}"),
        &format!(r"^spiffe://example\.org/ns/(prod)?(dev)?/sa/app-{n}(/[a-z0-9-]+)*$"),
        &format!("^tenants/t-{n}/([a-z]+-)*[a-z]{{8}}(/.{{36}})?(/[^/]+)*$"),
    )
}

fn request(n: usize) -> Request {
    let id = format!("spiffe://example.org/ns/prod/sa/app-{n}/blue-green");
    let path =
        format!("tenants/t-{n}/some-long-name-password/0123456789-0123456789-0123456789-012/a/b");
    (id, path, Permission::Read)
}

#[expect(clippy::expect_used, reason = "a bench of what would be refused measures nothing")]
fn accepted(name: &str, id: &str, path: &str) -> Policy {
    let now = OffsetDateTime::UNIX_EPOCH;
    Policy::validate_new(name, id, path, &["read"], now).expect("a policy that Nexus takes")
}

/// Prints the cost of both kinds of request, alternating, so that the machine is the same for both.
fn compare(set: &PolicySet, by: &str, allowed: &[Request], denied: &[Request]) {
    let answers = |requests: &[Request], expected| {
        requests
            .iter()
            .all(|(id, path, wanted)| set.decide(id, path, *wanted).is_allowed() == expected)
    };
    assert!(answers(allowed, true) && answers(denied, false), "the requests are what they seem");
    let (mut yes, mut no) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        yes.push(cost(set, allowed));
        no.push(cost(set, denied));
    }
    let (yes, no) = (median(yes), median(no));
    let ratio = no.as_secs_f64() / yes.as_secs_f64();
    println!("  denied by {by:<32} {no:>10.2?}, allowed {yes:>10.2?}: {ratio:.2}");
}

/// The cost of one of the requests.
fn cost(set: &PolicySet, requests: &[Request]) -> Duration {
    let start = Instant::now();
    for (id, path, wanted) in requests {
        black_box(set.decide(black_box(id), black_box(path), *wanted));
    }
    start.elapsed() / u32::try_from(requests.len()).unwrap_or(1)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// As many of the most expensive patterns as are accepted, without a text for the index, and slow paths for them: at
/// every character about half of the positions of every pattern are followed, never the same half.
fn heaviest() {
    let mut set = PolicySet::new();
    for n in 0.. {
        let path = format!("[a-m][a-z]{{{}}}[Q-Z][0-9]", 110 + n);
        let policy = accepted(&format!("p{n}"), "^spiffe://.*$", &path);
        if set.check_loose_width(&policy).is_err() {
            break;
        }
        set.insert(&policy);
    }
    let mut state = 1_u32;
    let mut letter = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if state >> 31 == 0 { 'b' } else { 'y' }
    };
    let requests: Vec<Request> = (0..8)
        .map(|_| {
            let path = (0..500).map(|_| letter()).collect();
            ("spiffe://example.org/app".to_owned(), path, Permission::Read)
        })
        .collect();
    cost(&set, &requests);
    let time = median((0..21).map(|_| cost(&set, &requests)).collect());
    println!("{} of the heaviest patterns that are let in: a denial {time:.2?}", set.len());
}
