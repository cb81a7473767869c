//! The settings of the Rust SDK alone.

use super::super::{DefaultValue::Is, Process::Workload, Rule, Section, Variable};

section! {
    SDK, "Calls of the Rust SDK",
    "What is set in code overrides what is set here.";

    SPIKE_SDK_DEADLINE, Is("30s"), Rule::Duration, &[Workload],
        "How long a call of the Rust SDK may take with all its tries and the pauses between them.",
        upstream "New.";
    SPIKE_SDK_MAX_TRIES, Is("0"), Rule::Size { max: 1_000_000 }, &[Workload],
        "How many times the Rust SDK tries a call, where a further try may help; 0 means until the deadline, 1 means no retries.",
        upstream "New.";
}
