//! The properties of every parser of bytes that a peer, an operator or a file controls.
//!
//! Each module is one fuzz target. Its `check` takes any bytes and returns whether the parser accepted them; then it
//! checks properties of the result. A panic is a finding. `fuzz/run.sh` and libFuzzer run the targets. The tests of the
//! crates check that results are *right*.

pub mod arriving_bytes;
pub mod audit_lines;
pub mod backup_head;
mod fixture;
pub mod go_duration;
pub mod https_url;
pub mod imported_cell;
mod json;
pub mod json_bodies;
pub mod json_replies;
pub mod keeper_answer;
pub mod listen_address;
pub mod manifest;
pub mod pattern;
pub mod peer_certificate;
pub mod policy_document;
pub mod recovery_text;
pub mod request_ends;
pub mod request_head;
pub mod stored_rows;
pub mod stored_versions;
pub mod stream_cipher;
pub mod target;
pub mod trust_roots;
pub mod workload_api;

use std::{fs, path::PathBuf, sync::LazyLock};

/// Set while the seeds are run: the folder for the examples of a target. Each of them must be accepted, so that an outdated
/// one is noticed.
#[expect(
    clippy::disallowed_methods,
    reason = "this is not a setting of SPIKE, but an argument from `run.sh`"
)]
static SEEDS: LazyLock<Option<PathBuf>> =
    LazyLock::new(|| std::env::var_os("SPIKE_FUZZ_SEEDS").map(PathBuf::from));

/// Runs a target with one input. Panics if a property does not hold, or if a seed is not accepted.
pub fn put(check: fn(&[u8]) -> bool, data: &[u8]) {
    let accepted = check(data);
    assert!(accepted || SEEDS.is_none(), "the seed is not accepted any more");
}

/// While the seeds are run: runs the target with its examples too, and keeps them for the runs after that.
pub fn put_examples(check: fn(&[u8]) -> bool, examples: fn() -> Vec<Vec<u8>>) {
    let Some(folder) = &*SEEDS else { return };
    for (number, example) in examples().iter().enumerate() {
        put(check, example);
        fs::write(folder.join(format!("example-{number}")), example).expect("it can be written");
    }
}

/// The program of one target, by the name of its module. `with examples`: it has inputs that it makes itself.
#[macro_export]
macro_rules! target {
    ($module:ident) => {
        libfuzzer_sys::fuzz_target!(|data: &[u8]| $crate::put($crate::$module::check, data));
    };
    ($module:ident, with examples) => {
        libfuzzer_sys::fuzz_target!(
            init: $crate::put_examples($crate::$module::check, $crate::$module::examples),
            |data: &[u8]| $crate::put($crate::$module::check, data)
        );
    };
}
