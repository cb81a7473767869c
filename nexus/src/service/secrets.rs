//! N1 to N4 and N6: secrets. Lists of their names are in `lists`.

use std::fmt;

use spike_domain::{History, SecretPath, Selector, rules};
use spike_mtls::clock;
use zeroize::Zeroizing;

use super::Nexus;
use crate::{
    access::{Asked, Grant, Operation, Subject},
    error::Error,
};

/// Adds a version of a secret.
#[derive(Debug)]
pub struct PutSecret {
    /// The path, not checked yet.
    pub path: String,
    /// The values, or what is wrong with them. Only a peer that may write there learns that.
    pub values: Result<Values, String>,
}

/// The values of one version: a JSON object of texts, as the store keeps it.
pub struct Values(Zeroizing<Vec<u8>>);

impl Values {
    /// Values with these names, encoded in `object`.
    ///
    /// # Errors
    /// Which name is invalid.
    pub fn new<'n>(
        mut names: impl Iterator<Item = &'n str>,
        object: Zeroizing<Vec<u8>>,
    ) -> Result<Self, String> {
        match names.find(|name| !rules::is_name(name)) {
            None => Ok(Self(object)),
            Some(bad) => {
                Err(format!("{:?} is not a name", bad.chars().take(64).collect::<String>()))
            }
        }
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Values([REDACTED])")
    }
}

/// Reads one version of a secret.
#[derive(Debug)]
pub struct ReadSecret {
    /// The path, not checked yet.
    pub path: String,
    /// The version.
    pub version: Selector,
}

/// Deletes versions: hides them.
#[derive(Debug)]
pub struct DeleteVersions {
    /// The path, not checked yet.
    pub path: String,
    /// The versions. Numbers that do not exist are ignored.
    pub versions: Vec<Selector>,
}

/// Undeletes versions: shows them again.
#[derive(Debug)]
pub struct UndeleteVersions {
    /// The path, not checked yet.
    pub path: String,
    /// The versions. Numbers that do not exist are ignored.
    pub versions: Vec<Selector>,
}

/// Reads the metadata of a secret.
#[derive(Debug)]
pub struct DescribeSecret {
    /// The path, not checked yet.
    pub path: String,
    /// A version that must exist.
    pub version: Selector,
    /// Accept a deleted version, and for the current one a secret all of whose versions are deleted.
    pub include_deleted: bool,
}

impl Asked for PutSecret {
    const OPERATION: Operation = Operation::SecretPut;
    const SUBJECT: Subject<Self> = Subject::Path(|asked| &asked.path);
}

impl Asked for ReadSecret {
    const OPERATION: Operation = Operation::SecretGet;
    const SUBJECT: Subject<Self> = Subject::Path(|asked| &asked.path);
}

impl Asked for DeleteVersions {
    const OPERATION: Operation = Operation::SecretDelete;
    const SUBJECT: Subject<Self> = Subject::Path(|asked| &asked.path);
}

impl Asked for UndeleteVersions {
    const OPERATION: Operation = Operation::SecretUndelete;
    const SUBJECT: Subject<Self> = Subject::Path(|asked| &asked.path);
}

impl Asked for DescribeSecret {
    const OPERATION: Operation = Operation::SecretMetadata;
    const SUBJECT: Subject<Self> = Subject::Path(|asked| &asked.path);
}

impl Nexus {
    /// N1: adds a version.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad path or bad values, [`Error::Store`].
    pub async fn put_secret(&self, grant: Grant<PutSecret>) -> Result<(), Error> {
        let unsealed = self.seal.granted(&grant);
        let (PutSecret { path, values }, _) = grant.into_parts();
        let path = SecretPath::parse_for_put(path.as_str())?;
        let Values(object) = values.map_err(|reason| Error::Invalid { field: "values", reason })?;
        unsealed?.store()?.put(&path, object, clock::unix_nanos()).await?;
        Ok(())
    }

    /// N2: appends the values of a live version to `out`, as a JSON object.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad path, [`Error::NotFound`], [`Error::Store`].
    #[expect(clippy::needless_pass_by_value, reason = "a grant is used up by what it allows")]
    pub fn read_secret(&self, grant: Grant<ReadSecret>, out: &mut Vec<u8>) -> Result<(), Error> {
        let ReadSecret { path, version } = grant.request();
        let path = SecretPath::parse(path.as_str())?;
        let found = self
            .seal
            .act(&grant, |unsealed| Ok(unsealed.store()?.get_into(&path, *version, out)?))?;
        if found { Ok(()) } else { Err(Error::NotFound) }
    }

    /// N3: marks versions deleted.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad path, [`Error::NotFound`] if the path does not exist, [`Error::Store`].
    pub async fn delete_versions(&self, grant: Grant<DeleteVersions>) -> Result<(), Error> {
        let unsealed = self.seal.granted(&grant);
        let (DeleteVersions { path, versions }, _) = grant.into_parts();
        let path = SecretPath::parse(path.as_str())?;
        let found = unsealed?.store()?.delete(&path, versions, clock::unix_nanos()).await?;
        if found { Ok(()) } else { Err(Error::NotFound) }
    }

    /// N4: undeletes versions.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad path, [`Error::NotFound`] if nothing is deleted, [`Error::Store`].
    pub async fn undelete_versions(&self, grant: Grant<UndeleteVersions>) -> Result<(), Error> {
        let unsealed = self.seal.granted(&grant);
        let (UndeleteVersions { path, versions }, _) = grant.into_parts();
        let path = SecretPath::parse(path.as_str())?;
        let revived = unsealed?.store()?.undelete(&path, versions, clock::unix_nanos()).await?;
        if revived { Ok(()) } else { Err(Error::NotFound) }
    }

    /// N6: the metadata of a path. The requested version must be live, unless the request accepts deleted ones.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad path, [`Error::NotFound`], [`Error::Store`].
    #[expect(clippy::needless_pass_by_value, reason = "a grant is used up by what it allows")]
    pub fn describe_secret(&self, grant: Grant<DescribeSecret>) -> Result<History, Error> {
        let DescribeSecret { path, version, include_deleted } = grant.request();
        let path = SecretPath::parse(path.as_str())?;
        let unsealed = self.seal.granted(&grant)?;
        let history = unsealed.store()?.metadata(&path)?.ok_or(Error::NotFound)?;
        let is_there = match version {
            Selector::Current if *include_deleted => true,
            Selector::Number(number) if *include_deleted => {
                history.versions().iter().any(|version| version.number == *number)
            }
            live => history.find(*live).is_some(),
        };
        if is_there { Ok(history) } else { Err(Error::NotFound) }
    }
}
