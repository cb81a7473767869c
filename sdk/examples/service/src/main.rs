//! The process: `service PATH`. See the library.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    spike_example_service::program(std::env::args().skip(1)).await
}
