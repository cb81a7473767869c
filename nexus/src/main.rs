//! The `nexus` program.

#[cfg(not(target_env = "musl"))]
use std::alloc::System as Memory;
use std::process::ExitCode;

// musl's own allocator holds one lock for all threads.
#[cfg(target_env = "musl")]
use mimalloc::MiMalloc as Memory;
use spike_config::Environment;
use zeroizing_alloc::ZeroAlloc;

/// Wipes memory when it is freed, so that secrets in the buffers of TLS, HTTP and JSON code do not stay in memory.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<Memory> = ZeroAlloc(Memory);

fn main() -> ExitCode {
    spike_nexus::run(std::env::args().skip(1), &Environment::of_process())
}
