//! What the service needs of the secret.

use serde::Deserialize;
use spike_sdk::{DeserializeError, Secret, Zeroizing};

/// A user of the database and its password, as one version of the secret has them.
#[derive(Debug)]
pub struct Credentials {
    /// The version of the secret.
    pub version: i64,
    /// The user.
    pub user: String,
    /// The port of the database.
    pub port: u16,
    password: Zeroizing<String>,
}

/// The values as they are in the secret. The texts are borrowed, so that nothing is copied that nobody wipes.
#[derive(Deserialize)]
struct Fields<'v> {
    user: &'v str,
    pass: &'v str,
    port: Option<u16>,
}

impl Credentials {
    /// Reads them from a version of the secret.
    ///
    /// # Errors
    /// [`DeserializeError`] names the value that is missing or does not fit.
    pub fn read(secret: &Secret) -> Result<Self, DeserializeError> {
        let Fields { user, pass, port } = secret.deserialize()?;
        Ok(Self {
            version: secret.version().unwrap_or_default(),
            user: user.to_owned(),
            port: port.unwrap_or(5432),
            password: Zeroizing::new(pass.to_owned()),
        })
    }

    /// What a real service would hand to the driver of its database. Here it only says whether there is a password.
    pub fn can_log_in(&self) -> bool {
        !self.password.is_empty()
    }
}
