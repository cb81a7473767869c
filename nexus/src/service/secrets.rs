//! N1 to N4 and N6: secrets. Lists of their names are in `lists`.

use spike_common::{
    clock,
    wire::{
        SecretMetadata, SecretMetadataResponse, SecretVersionsRequest, VersionMetadata, call, rules,
    },
};

use super::{Nexus, at};
use crate::{
    access::Grant,
    error::Error,
    secret::{History, SecretPath, Selector},
};

#[expect(clippy::needless_pass_by_value, reason = "a grant is used up by the call that it allows")]
impl Nexus {
    /// N1: adds a version.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad path or name, [`Error::Store`].
    pub async fn put_secret(&self, grant: Grant<call::SecretPut>) -> Result<(), Error> {
        let request = grant.request();
        let path = SecretPath::parse_for_put(request.path.as_str())?;
        // Upstream takes a body without the key for a secret without values: a slip that empties the secret.
        let Some(values) = &request.values else {
            let reason = "the key is missing; a secret without values is {}".to_owned();
            return Err(Error::Invalid { field: "values", reason });
        };
        if let Some(bad) = values.names().find(|name| !rules::is_name(name)) {
            let reason = format!("{:?} is not a name", bad.chars().take(64).collect::<String>());
            return Err(Error::Invalid { field: "values", reason });
        }
        let values = values.to_json_object();
        let unsealed = self.seal.granted(&grant)?;
        unsealed.store()?.put(&path, values, clock::unix_nanos()).await?;
        Ok(())
    }

    /// N2: the values of a live version, as a JSON object, to the end of `out`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad path, [`Error::NotFound`], [`Error::Store`].
    pub fn get_secret(
        &self,
        grant: Grant<call::SecretGet>,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let request = grant.request();
        let path = SecretPath::parse(request.path.as_str())?;
        let selector = Selector::from(request.version);
        let found = self
            .seal
            .act(&grant, |unsealed| Ok(unsealed.store()?.get_into(&path, selector, out)?))?;
        if found { Ok(()) } else { Err(Error::NotFound) }
    }

    /// N3: marks versions deleted. Numbers that do not exist are passed over.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad path, [`Error::NotFound`] where there is no such path, [`Error::Store`].
    pub async fn delete_secret(&self, grant: Grant<call::SecretDelete>) -> Result<(), Error> {
        let request = grant.request();
        let path = SecretPath::parse(request.path.as_str())?;
        let unsealed = self.seal.granted(&grant)?;
        let found =
            unsealed.store()?.delete(&path, selectors(request), clock::unix_nanos()).await?;
        if found { Ok(()) } else { Err(Error::NotFound) }
    }

    /// N4: revives versions.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad path, [`Error::NotFound`] where nothing was to revive, [`Error::Store`].
    pub async fn undelete_secret(&self, grant: Grant<call::SecretUndelete>) -> Result<(), Error> {
        let request = grant.request();
        let path = SecretPath::parse(request.path.as_str())?;
        let unsealed = self.seal.granted(&grant)?;
        let store = unsealed.store()?;
        let revived = store.undelete(&path, selectors(request), clock::unix_nanos()).await?;
        if revived { Ok(()) } else { Err(Error::NotFound) }
    }

    /// N6: what is known about a path besides its values. The version asked for must be live, unless the request says that
    /// deleted ones will do.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad path, [`Error::NotFound`], [`Error::Store`].
    pub fn secret_metadata(
        &self,
        grant: Grant<call::SecretMetadata>,
    ) -> Result<SecretMetadataResponse, Error> {
        let request = grant.request();
        let path = SecretPath::parse(request.path.as_str())?;
        let unsealed = self.seal.granted(&grant)?;
        let history = unsealed.store()?.metadata(&path)?.ok_or(Error::NotFound)?;
        let is_there = if request.include_deleted {
            let mut numbers = history.versions().iter().map(|version| version.number);
            request.version == 0 || numbers.any(|number| number == request.version)
        } else {
            history.find(Selector::from(request.version)).is_some()
        };
        if is_there { Ok(metadata(&history)) } else { Err(Error::NotFound) }
    }
}

/// An empty list means the current version, as a 0 in it does.
fn selectors(request: &SecretVersionsRequest) -> Vec<Selector> {
    match request.versions.as_slice() {
        [] => vec![Selector::Current],
        versions => versions.iter().copied().map(Selector::from).collect(),
    }
}

fn metadata(history: &History) -> SecretMetadataResponse {
    let versions = history.versions().iter().map(|version| {
        let entry = VersionMetadata {
            created_time: at(version.created),
            version: version.number,
            deleted_time: version.deleted.map(at),
        };
        (version.number, entry)
    });
    SecretMetadataResponse {
        versions: versions.collect(),
        metadata: SecretMetadata {
            current_version: history.current().map_or(0, |version| version.number),
            oldest_version: history.oldest().map_or(0, |version| version.number),
            created_time: at(history.created()),
            updated_time: at(history.updated()),
            max_versions: i64::from(history.max_versions().get()),
        },
    }
}
