//! The `spike-dev` program, which is every other program too.

use std::process::ExitCode;

use zeroizing_alloc::ZeroAlloc;

/// As in every daemon: memory is wiped when it is freed.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<std::alloc::System> = ZeroAlloc(std::alloc::System);

fn main() -> ExitCode {
    spike_dev::programs::main()
}
