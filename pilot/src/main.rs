//! The `spike` command: everything it does is in the library.

use std::process::ExitCode;

use spike_config::Environment;
use spike_pilot::Streams;

/// Freed memory is wiped, so that values inside TLS, HTTP and JSON code do not outlive their use.
#[global_allocator]
static WIPING: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

fn main() -> ExitCode {
    spike_pilot::run(std::env::args_os(), &Environment::of_process(), Streams::of_process()).into()
}
