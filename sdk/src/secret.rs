//! Secrets, redacted.

mod deserialize;

pub use deserialize::DeserializeError;
use serde_core::Deserialize;
use spike_wire::{SecretStr, SecretValues};
use zeroize::Zeroizing;

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
pub struct Secret {
    values: SecretValues,
    version: Option<i64>,
}

impl Secret {
    pub(crate) const fn new(values: SecretValues, version: Option<i64>) -> Self {
        Self { values, version }
    }

    /// The number of the version, if it is known: of a version that was asked for by its number, or came from
    /// [`Client::get_current`](crate::Client::get_current) or a [`Watch`](crate::Watch).
    ///
    /// # Examples
    /// ```no_run
    /// # fn example(secret: &spike_sdk::Secret) {
    /// println!("version {:?}", secret.version());
    /// # }
    /// ```
    pub const fn version(&self) -> Option<i64> {
        self.version
    }

    /// Lends the value with this name. Only the methods that begin with `expose` show values, and
    /// [`Self::deserialize`].
    ///
    /// # Examples
    /// ```no_run
    /// # fn example(secret: &spike_sdk::Secret) {
    /// let password = secret.expose("pass").unwrap_or_default();
    /// # }
    /// ```
    pub fn expose(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(SecretStr::expose_secret)
    }

    /// Lends all values with their names, in the order of the names' bytes.
    ///
    /// # Examples
    /// ```no_run
    /// # fn example(secret: &spike_sdk::Secret) {
    /// let is_complete = secret.expose_all().all(|(_name, value)| !value.is_empty());
    /// # }
    /// ```
    pub fn expose_all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, value)| (name, value.expose_secret()))
    }

    /// A copy of the value with this name, which outlives this secret and is wiped when it is dropped.
    ///
    /// # Examples
    /// ```no_run
    /// # fn example(secret: &spike_sdk::Secret) {
    /// let password: Option<spike_sdk::Zeroizing<String>> = secret.expose_owned("pass");
    /// # }
    /// ```
    pub fn expose_owned(&self, name: &str) -> Option<Zeroizing<String>> {
        self.expose(name).map(|value| Zeroizing::new(value.to_owned()))
    }

    /// Reads the values into a type with a field for each name. Fields may be texts, numbers, booleans, characters,
    /// `Option`, newtypes, and enums without data. Names without a field are ignored. A field of the type `&str` borrows
    /// its value from this secret; wiping what a field of its own type copies is up to that type.
    ///
    /// # Errors
    /// [`DeserializeError`] names the field, and never a value.
    ///
    /// # Examples
    /// ```no_run
    /// #[derive(serde::Deserialize)]
    /// struct Database {
    ///     user: String,
    ///     pass: String,
    ///     port: Option<u16>,
    /// }
    ///
    /// # fn example(secret: &spike_sdk::Secret) -> Result<(), spike_sdk::DeserializeError> {
    /// let database: Database = secret.deserialize()?;
    /// println!("{} at port {}", database.user, database.port.unwrap_or(5432));
    /// # Ok(())
    /// # }
    /// ```
    pub fn deserialize<'v, T: Deserialize<'v>>(&'v self) -> Result<T, DeserializeError> {
        deserialize::from_texts(self.expose_all())
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
        self.values.names()
    }
}
