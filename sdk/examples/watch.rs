//! Watches a secret and prints a line when it changes, like a service that reloads its database password.
//!
//! `spike-dev as /workload/app1 -- cargo run -p spike-sdk --example watch -- tenants/acme/db`

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example prints its result")]

use std::time::Duration;

use spike_sdk::{Client, Error};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "tenants/acme/db".to_owned());
    let mut watch = Client::connect().await?.watch(&path, Duration::from_secs(5));
    loop {
        match watch.next().await {
            Ok(secret) => {
                println!("{path} has a new version with {} values", secret.names().count());
            }
            // The next call waits before it asks again.
            Err(error) => eprintln!("the last version stays in use: {error}"),
        }
    }
}
