//! What is asserted of every parser of bytes that a peer, an operator or a file can choose.
//!
//! Each module is one fuzz target. Its `check` takes any bytes and answers whether the parser took them, so that its
//! properties were put to what came out; a panic is a finding. Running them is the business of `fuzz/run.sh` and
//! libFuzzer; deciding what is *right* stays with the crates' own tests.

mod fixture;
pub mod go_duration;
pub mod https_url;
pub mod imported_cell;
mod json;
pub mod json_bodies;
pub mod json_replies;
pub mod keeper_answer;
pub mod listen_address;
pub mod pattern;
pub mod peer_certificate;
pub mod policy_document;
pub mod recovery_text;
pub mod request_head;
pub mod stored_rows;
pub mod stored_versions;
pub mod stream_cipher;
pub mod target;
pub mod trust_roots;
pub mod workload_api;

use std::sync::LazyLock;

/// Set while the seeds are run: each must be accepted, so that none goes stale unseen.
#[expect(
    clippy::disallowed_methods,
    reason = "this is no setting of SPIKE's, but a word between `run.sh` and us"
)]
static SEEDS: LazyLock<bool> = LazyLock::new(|| std::env::var_os("SPIKE_FUZZ_SEEDS").is_some());

/// Puts one input to a target. Panics where a property does not hold, and where a seed is not accepted.
pub fn put(check: fn(&[u8]) -> bool, data: &[u8]) {
    let accepted = check(data);
    assert!(accepted || !*SEEDS, "the seed is not accepted any more");
}

/// The program of one target, by the name of its module.
#[macro_export]
macro_rules! target {
    ($module:ident) => {
        libfuzzer_sys::fuzz_target!(|data: &[u8]| $crate::put($crate::$module::check, data));
    };
}
