//! Secrets, redacted.

use spike_wire::SecretValues;

/// The values of one version of a secret. `Debug` shows no value, and dropping it wipes its memory.
///
/// # Examples
/// ```no_run
/// # async fn example(spike: &spike_sdk::Client) -> Result<(), spike_sdk::Error> {
/// let secret = spike.get("tenants/acme/db").await?;
/// println!("{secret:?} has {} values", secret.names().count());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Secret(SecretValues);

impl Secret {
    pub(crate) const fn new(values: SecretValues) -> Self {
        Self(values)
    }

    /// Lends the value with this name. Only this method exposes values.
    ///
    /// # Examples
    /// ```no_run
    /// # fn example(secret: &spike_sdk::Secret) {
    /// let password = secret.expose("pass").unwrap_or_default();
    /// # }
    /// ```
    pub fn expose(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(spike_wire::SecretStr::expose_secret)
    }

    /// The names of the values, in the order of their bytes.
    ///
    /// # Examples
    /// ```no_run
    /// # fn example(secret: &spike_sdk::Secret) {
    /// let names: Vec<&str> = secret.names().collect();
    /// # }
    /// ```
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.names()
    }
}
