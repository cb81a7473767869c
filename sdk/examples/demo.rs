//! What upstream's demo workload does: writes a secret, reads it, and prints it, in the words that upstream's scripts look for.
//! The values are no secret. The image `spike-demo` has it as `/demo`.
//!
//! Its policy must allow `write` and `read` on `tenants/demo/db/creds`.

#![expect(clippy::print_stdout, reason = "an example prints its result")]

use spike_sdk::{Client, Error};

const PATH: &str = "tenants/demo/db/creds";

#[tokio::main]
async fn main() -> Result<(), Error> {
    println!("SPIKE Demo");
    let spike = Client::connect().await?;
    spike.put(PATH, [("username", "SPIKE"), ("password", "SPIKE_Rocks")]).await?;
    println!("Connected to SPIKE Nexus.");
    let secret = spike.get(PATH).await?;
    println!("Secret found:");
    for name in secret.names() {
        println!("{name}: {}", secret.expose(name).unwrap_or_default());
    }
    Ok(())
}
