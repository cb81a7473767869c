//! Every program of a cluster in one binary, as in `spike-dev`, and one more: `floor`, which only benches call.

mod floor;

use std::{path::Path, process::ExitCode};

use zeroizing_alloc::ZeroAlloc;

/// As in every daemon: memory is wiped when it is freed.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<std::alloc::System> = ZeroAlloc(std::alloc::System);

fn main() -> ExitCode {
    let called = std::env::args_os().next().unwrap_or_default();
    if Path::new(&called).file_name().is_some_and(|name| name == "floor") {
        return floor::main(std::env::args().skip(1));
    }
    spike_dev::programs::main()
}
