//! The cost of a decision, by the number of policies and the kind of their patterns, and of changing one policy among
//! 100,000.
//!
//! - *anchored*: both patterns begin with `^` and a text;
//! - *unanchored*: neither does, but each requires some text;
//! - *mixed*: anchored, unanchored, unescaped dots, alternatives and classes in turn;
//! - *vague*: without a text for the index, so that every policy is tried.

use std::hint::black_box;

use divan::Bencher;
use divan::counter::ItemsCount;
use spike_policy::{Permission, Permissions, Policy, PolicySet};
use time::OffsetDateTime;

fn main() {
    divan::main();
}

const COUNTS: [usize; 5] = [1, 100, 1_000, 10_000, 100_000];

/// The number of different requests in a round.
const REQUESTS: usize = 64;

fn policy(n: usize, id: &str, path: &str) -> Policy {
    Policy {
        name: format!("policy-{n}"),
        spiffe_id_pattern: id.replace("{n}", &n.to_string()),
        path_pattern: path.replace("{n}", &n.to_string()),
        permissions: Permissions::new([Permission::Read]),
        created_at: OffsetDateTime::UNIX_EPOCH,
        updated_at: OffsetDateTime::UNIX_EPOCH,
    }
}

fn anchored(n: usize) -> Policy {
    policy(n, r"^spiffe://example\.org/ns/prod/sa/app-{n}$", "^tenants/t-{n}/")
}

fn unanchored(n: usize) -> Policy {
    policy(n, "spiffe://.*/sa/app-{n}$", "t-{n}/[a-z]+")
}

fn mixed(n: usize) -> Policy {
    match n % 5 {
        0 => anchored(n),
        1 => unanchored(n),
        2 => policy(n, "^spiffe://example.org/ns/prod/sa/app-{n}$", "^tenants/t-{n}/.*$"),
        3 => policy(
            n,
            r"^spiffe://example\.org/ns/(prod|dev)/sa/app-{n}$",
            "^(tenants|users)/t-{n}/",
        ),
        _ => policy(n, r"^spiffe://[^/]+/ns/[a-z]+/sa/app-{n}$", "^[a-z]+/t-{n}/[a-z]+$"),
    }
}

fn vague(n: usize) -> Policy {
    let mut vague = policy(n % 100, "spiffe://[a-z.]+/[a-z/]+[0-9]{{n}}$", "^[a-z]+/[a-z]{{n}}$");
    vague.name = format!("policy-{n}");
    vague
}

fn set(count: usize, make: fn(usize) -> Policy) -> PolicySet {
    let policies: Vec<Policy> = (0..count).map(make).collect();
    policies.iter().collect()
}

/// Requests that this number of policies allows, spread over all of them.
fn requests(count: usize) -> Vec<(String, String)> {
    let request = |i: usize| {
        let n = i * 7919 % count;
        (format!("spiffe://example.org/ns/prod/sa/app-{n}"), format!("tenants/t-{n}/password"))
    };
    (0..REQUESTS).map(request).collect()
}

fn bench_decisions(bencher: Bencher<'_, '_>, set: &PolicySet, requests: &[(String, String)]) {
    bencher.counter(ItemsCount::new(requests.len())).bench_local(|| {
        for (id, path) in requests {
            black_box(set.decide(black_box(id), black_box(path), Permission::Read));
        }
    });
}

fn bench_allowed(bencher: Bencher<'_, '_>, count: usize, make: fn(usize) -> Policy) {
    let set = set(count, make);
    let requests = requests(count);
    let is_allowed =
        |(id, path): &(String, String)| set.decide(id, path, Permission::Read).is_allowed();
    assert!(requests.iter().all(is_allowed), "every request of this benchmark is allowed");
    bench_decisions(bencher, &set, &requests);
}

#[divan::bench(args = COUNTS)]
fn decide_anchored(bencher: Bencher<'_, '_>, count: usize) {
    bench_allowed(bencher, count, anchored);
}

#[divan::bench(args = COUNTS)]
fn decide_unanchored(bencher: Bencher<'_, '_>, count: usize) {
    bench_allowed(bencher, count, unanchored);
}

#[divan::bench(args = COUNTS)]
fn decide_mixed(bencher: Bencher<'_, '_>, count: usize) {
    bench_allowed(bencher, count, mixed);
}

#[divan::bench(args = COUNTS)]
fn deny_anchored(bencher: Bencher<'_, '_>, count: usize) {
    let set = set(count, anchored);
    let mut requests = requests(count);
    for (_, path) in &mut requests {
        path.insert_str(0, "other/");
    }
    bench_decisions(bencher, &set, &requests);
}

#[divan::bench(args = [1, 100, 1_000])]
fn deny_vague(bencher: Bencher<'_, '_>, count: usize) {
    let set = set(count, vague);
    let requests = requests(count);
    bench_decisions(bencher, &set, &requests);
}

#[divan::bench]
fn change_one_policy_among_100_000(bencher: Bencher<'_, '_>) {
    let mut set = set(100_000, mixed);
    let mut n = 0;
    bencher.bench_local(|| {
        n = (n + 7919) % 100_000;
        set.insert(black_box(&mixed(n)));
    });
}

#[divan::bench(args = [1_000, 100_000], sample_count = 3, sample_size = 1)]
fn build(bencher: Bencher<'_, '_>, count: usize) {
    let policies: Vec<Policy> = (0..count).map(mixed).collect();
    bencher.bench_local(|| policies.iter().collect::<PolicySet>());
}

#[divan::bench(sample_count = 10, sample_size = 1)]
fn explain_among_100_000(bencher: Bencher<'_, '_>) {
    let set = set(100_000, mixed);
    let id = "spiffe://example.org/ns/prod/sa/app-77";
    bencher.bench_local(|| set.explain(id, "tenants/t-78/password", Permission::Read, 5));
}
