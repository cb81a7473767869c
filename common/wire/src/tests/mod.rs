//! The wire against its reference.

mod bodies;
mod confidential;
mod errors;
mod routes;
mod table;
mod walk;

use serde_json::Value;

/// The JSON value of a body.
fn json(body: &[u8]) -> Value {
    serde_json::from_slice(body).expect("an encoder writes JSON")
}

/// A share with this first byte.
fn shard(first: u8) -> super::Shard {
    let mut bytes = [200; 32];
    bytes[0] = first;
    super::Shard::new(&bytes)
}

/// That share in JSON.
fn shard_json(first: u8) -> String {
    format!("[{first}{}]", ",200".repeat(31))
}
