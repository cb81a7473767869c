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

/// A new version of a secret.
#[derive(Debug)]
pub struct PutSecret {
    /// The path, not checked yet.
    pub path: String,
    /// The values; or what is wrong with them, to be told to whoever may write there.
    pub values: Result<Values, String>,
}

/// The values of one version: a JSON object of texts, as the store keeps it.
pub struct Values(Zeroizing<Vec<u8>>);

impl Values {
    /// The values of these names, which are written in `object`.
    ///
    /// # Errors
    /// Which of the names is none.
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

/// One version of a secret.
#[derive(Debug)]
pub struct ReadSecret {
    /// The path, not checked yet.
    pub path: String,
    /// Which version.
    pub version: Selector,
}

/// Versions to be hidden.
#[derive(Debug)]
pub struct DeleteVersions {
    /// The path, not checked yet.
    pub path: String,
    /// Which versions. Numbers that do not exist are passed over.
    pub versions: Vec<Selector>,
}

/// Versions to be shown again.
#[derive(Debug)]
pub struct UndeleteVersions {
    /// The path, not checked yet.
    pub path: String,
    /// Which versions. Numbers that do not exist are passed over.
    pub versions: Vec<Selector>,
}

/// What is known about a secret besides its values.
#[derive(Debug)]
pub struct DescribeSecret {
    /// The path, not checked yet.
    pub path: String,
    /// A version that must be there.
    pub version: Selector,
    /// Whether a deleted version will do, and for the current one a secret of which every version is deleted.
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

    /// N2: the values of a live version, as a JSON object, to the end of `out`.
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
    /// [`Error::Invalid`] for a bad path, [`Error::NotFound`] where there is no such path, [`Error::Store`].
    pub async fn delete_versions(&self, grant: Grant<DeleteVersions>) -> Result<(), Error> {
        let unsealed = self.seal.granted(&grant);
        let (DeleteVersions { path, versions }, _) = grant.into_parts();
        let path = SecretPath::parse(path.as_str())?;
        let found = unsealed?.store()?.delete(&path, versions, clock::unix_nanos()).await?;
        if found { Ok(()) } else { Err(Error::NotFound) }
    }

    /// N4: revives versions.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad path, [`Error::NotFound`] where nothing was to revive, [`Error::Store`].
    pub async fn undelete_versions(&self, grant: Grant<UndeleteVersions>) -> Result<(), Error> {
        let unsealed = self.seal.granted(&grant);
        let (UndeleteVersions { path, versions }, _) = grant.into_parts();
        let path = SecretPath::parse(path.as_str())?;
        let revived = unsealed?.store()?.undelete(&path, versions, clock::unix_nanos()).await?;
        if revived { Ok(()) } else { Err(Error::NotFound) }
    }

    /// N6: what is known about a path besides its values. The version asked for must be live, unless the request says that
    /// deleted ones will do.
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
