//! Short functions for requests and values of secrets.

use anyhow::{Result, bail};
use spike_mtls::client::NexusClient;
use spike_wire::{SecretGetRequest, SecretPutRequest, SecretText, SecretVersionsRequest};

/// A put of some values.
pub fn put(path: &str, values: &[(&str, &str)]) -> SecretPutRequest {
    let values = values.iter().map(|(name, value)| ((*name).to_owned(), SecretText::from(*value)));
    SecretPutRequest { path: path.to_owned(), values: Some(values.collect()) }
}

/// A get of one version; 0 is the current one.
pub fn get(path: &str, version: i64) -> SecretGetRequest {
    SecretGetRequest { path: path.to_owned(), version }
}

/// A delete or undelete of some versions.
pub fn versions(path: &str, versions: &[i64]) -> SecretVersionsRequest {
    SecretVersionsRequest { path: path.to_owned(), versions: versions.to_vec() }
}

/// One value of one version.
///
/// # Errors
/// If the call fails, or there is no such value.
pub async fn value_of(
    client: &NexusClient,
    path: &str,
    version: i64,
    name: &str,
) -> Result<String> {
    let answer = client.get_secret(&get(path, version)).await?;
    match answer.data.as_ref().and_then(|values| values.get(name)) {
        Some(value) => Ok(value.expose_secret().to_owned()),
        None => bail!("{path} has no value {name}"),
    }
}
