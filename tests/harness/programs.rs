//! Every program of a cluster in one binary, as in `spike-dev`, and three more: `floor`, which only benches call,
//! `workload-api`, which replaces a SPIRE agent in the tests of units and images, and `service`, the example of the SDK.

mod floor;
mod workload_api;

use std::{path::Path, process::ExitCode};

use zeroizing_alloc::ZeroAlloc;

/// Wipes memory when it is freed, as in every daemon.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<std::alloc::System> = ZeroAlloc(std::alloc::System);

fn main() -> ExitCode {
    let called = std::env::args_os().next().unwrap_or_default();
    let arguments = std::env::args().skip(1);
    match Path::new(&called).file_name().and_then(|name| name.to_str()) {
        Some("floor") => floor::main(arguments),
        Some("workload-api") => workload_api::main(arguments),
        Some("service") => match tokio::runtime::Runtime::new() {
            Ok(runtime) => runtime.block_on(spike_example_service::program(arguments)),
            Err(_) => ExitCode::FAILURE,
        },
        _ => spike_dev::programs::main(),
    }
}
