//! Watches a secret: polls with jitter, and returns only new versions.

use std::time::Duration;

use spike_mtls::retry::unit_interval;

use crate::{Client, Error, Secret};

/// Watches one secret; see [`Client::watch`].
///
/// # Examples
/// ```no_run
/// # async fn example(spike: spike_sdk::Client) -> Result<(), spike_sdk::Error> {
/// let mut watch = spike.watch("tenants/acme/db", std::time::Duration::from_secs(5));
/// loop {
///     let secret = watch.next().await?;
///     println!("a new version with {} values", secret.names().count());
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Watch {
    client: Client,
    path: String,
    every: Duration,
    seen: Option<i64>,
}

impl Client {
    /// Watches a secret for new versions: asks about once in each interval `every`. See [`Watch::next`].
    ///
    /// # Examples
    /// ```no_run
    /// # fn example(spike: &spike_sdk::Client) {
    /// let watch = spike.watch("tenants/acme/db", std::time::Duration::from_secs(5));
    /// # }
    /// ```
    pub fn watch(&self, path: &str, every: Duration) -> Watch {
        Watch::new(self.clone(), path.to_owned(), every)
    }
}

impl Watch {
    const fn new(client: Client, path: String, every: Duration) -> Self {
        Self { client, path, every, seen: None }
    }

    /// Waits for a version other than the one last returned. The first call returns the current one at once.
    ///
    /// Polls request only metadata. Their pauses vary by half of the interval, so that watchers do not poll at the same
    /// time. If there is no live version, it keeps waiting. It can be called again after an error.
    ///
    /// # Errors
    /// Any [`Error`] except [`Error::NotFound`].
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example(watch: &mut spike_sdk::Watch) -> Result<(), spike_sdk::Error> {
    /// let current = watch.next().await?;
    /// let next = watch.next().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn next(&mut self) -> Result<Secret, Error> {
        loop {
            match self.client.current_version(&self.path).await {
                Ok(version) if Some(version) != self.seen => {
                    match self.client.get_version(&self.path, version).await {
                        Ok(secret) => {
                            self.seen = Some(version);
                            return Ok(secret);
                        }
                        // Deleted or pruned meanwhile: the next poll finds out.
                        Err(Error::NotFound) => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok(_) => {}
                // All versions are deleted, so the next live one is new whatever its number.
                Err(Error::NotFound) => self.seen = None,
                Err(error) => return Err(error),
            }
            tokio::time::sleep(self.every.mul_f64(0.5 + unit_interval())).await;
        }
    }
}
