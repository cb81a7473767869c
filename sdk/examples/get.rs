//! Reads a secret and prints the names of its values, not the values.
//!
//! With `spike-dev`, after `. .spike-dev/env`:
//! `spike-dev as /workload/app1 -- cargo run -p spike-sdk --example get -- tenants/acme/db`

#![expect(clippy::print_stdout, reason = "an example prints its result")]

use spike_sdk::{Client, Error};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "tenants/acme/db".to_owned());
    let spike = Client::connect().await?;
    let secret = spike.get(&path).await?;
    for name in secret.names() {
        let length = secret.expose(name).map_or(0, str::len);
        println!("{path}: {name} has {length} bytes");
    }
    Ok(())
}
