//! Following a secret: a poll with jitter that wakes its owner only when there is a new version.

use std::time::Duration;

use spike_mtls::retry::unit_interval;

use crate::{Client, Error, Secret};

/// Follows one secret; made by [`Client::watch`].
#[derive(Debug)]
pub struct Watch {
    client: Client,
    path: String,
    every: Duration,
    seen: Option<i64>,
}

impl Watch {
    pub(crate) const fn new(client: Client, path: String, every: Duration) -> Self {
        Self { client, path, every, seen: None }
    }

    /// Waits for a version other than the one last returned; the first call returns the current one at once.
    ///
    /// Polls ask for metadata only, at the interval give or take a half, so that many watchers do not come together.
    /// While there is no live version it goes on waiting. Calling again after an error goes on where it was.
    ///
    /// # Errors
    /// Any [`Error`] but [`Error::NotFound`].
    pub async fn next(&mut self) -> Result<Secret, Error> {
        loop {
            match self.client.current_version(&self.path).await {
                Ok(version) if Some(version) != self.seen => {
                    match self.client.get_version(&self.path, version).await {
                        Ok(secret) => {
                            self.seen = Some(version);
                            return Ok(secret);
                        }
                        // Deleted or pruned in between: the next poll tells.
                        Err(Error::NotFound) => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok(_) => {}
                // Everything is deleted; what comes next is new whatever its number.
                Err(Error::NotFound) => self.seen = None,
                Err(error) => return Err(error),
            }
            tokio::time::sleep(self.every.mul_f64(0.5 + unit_interval())).await;
        }
    }
}
