//! The `bootstrap` program.

use std::process::ExitCode;

use spike_config::Environment;
use zeroizing_alloc::ZeroAlloc;

/// Wipes memory when it is freed, so that TLS, HTTP and JSON buffers leave no part of a share behind.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<std::alloc::System> = ZeroAlloc(std::alloc::System);

fn main() -> ExitCode {
    spike_bootstrap::run(std::env::args().skip(1), &Environment::of_process())
}
