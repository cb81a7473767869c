//! The `bootstrap` program.

use std::process::ExitCode;

use spike_config::Environment;
use zeroizing_alloc::ZeroAlloc;

/// Memory is wiped when it is freed: what TLS, HTTP and JSON code held of the shares does not stay behind.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<std::alloc::System> = ZeroAlloc(std::alloc::System);

fn main() -> ExitCode {
    spike_bootstrap::run(std::env::args().skip(1), &Environment::of_process())
}
