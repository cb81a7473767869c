//! The `keeper` program.

use std::process::ExitCode;

use spike_config::Environment;
use zeroizing_alloc::ZeroAlloc;

/// Wipes memory when it is freed: TLS, HTTP and JSON code may have held the share in it.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<std::alloc::System> = ZeroAlloc(std::alloc::System);

fn main() -> ExitCode {
    spike_keeper::run(std::env::args().skip(1), &Environment::of_process())
}
