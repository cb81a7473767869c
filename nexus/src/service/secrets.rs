//! Secrets. Lists of their names are in `lists`.

use std::{fmt, sync::Arc};

use spike_daemon::http::LARGE;
use spike_domain::{History, SecretPath, Selector, rules};
use spike_mtls::clock;
use zeroize::Zeroizing;

use super::{Nexus, long_work::Lane};
use crate::{
    access::{Asked, Grant, Operation, Subject},
    error::Error,
    store::{Described, Got, StoredValue},
};

/// The advice for a value that takes too long.
const SHORTER: &str = "store less under one path";

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

/// A request that was granted, and is about much data: its answer needs memory, and a thread that serves no requests.
#[derive(Debug)]
pub struct Long<R> {
    grant: Grant<R>,
    length: usize,
}

impl<R> Long<R> {
    /// How many bytes are stored.
    pub const fn length(&self) -> usize {
        self.length
    }
}

/// What appends the values of a secret to an answer.
pub type AppendValues<'a> = &'a mut dyn FnMut(&mut Vec<u8>) -> Result<(), Error>;

/// The values of a secret, as far as they are read at once.
#[derive(Debug)]
pub enum Read<T> {
    /// The answer with all of them.
    Whole(T),
    /// They are long.
    Long(Long<ReadSecret>),
}

/// The metadata of a path, as far as it is read at once.
#[derive(Debug)]
pub enum Description {
    /// All of it.
    Whole(History),
    /// It has many versions.
    Long(Long<DescribeSecret>),
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

    /// N2: the values of a live version, as a JSON object. `answer` makes the answer, and is given what appends them. If they are long,
    /// nothing is read but their length, for [`Self::read_long_secret`].
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad path, [`Error::NotFound`], [`Error::Store`], [`Error::StoreHangs`].
    pub async fn read_secret<T: Send + 'static>(
        self: &Arc<Self>,
        grant: Grant<ReadSecret>,
        answer: impl Fn(AppendValues<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<Read<T>, Error> {
        let read = move |nexus: &Self, grant: &Grant<ReadSecret>| {
            let mut longer = None;
            let answer = answer(&mut |out| {
                longer = nexus.append_values(grant, out)?;
                Ok(())
            })?;
            Ok((answer, longer))
        };
        let ((answer, longer), grant) = self.read_with(grant, read).await?;
        Ok(match longer {
            None => Read::Whole(answer),
            Some(length) => Read::Long(Long { grant, length }),
        })
    }

    /// Appends the values of a live version to `out`. If they are long, only their length is returned.
    fn append_values(
        &self,
        grant: &Grant<ReadSecret>,
        out: &mut Vec<u8>,
    ) -> Result<Option<usize>, Error> {
        let ReadSecret { path, version } = grant.request();
        let path = SecretPath::parse(path.as_str())?;
        let got = self.seal.act(grant, |unsealed| {
            Ok(unsealed.store()?.get_up_to(&path, *version, LARGE, out)?)
        })?;
        match got {
            Got::Value => Ok(None),
            Got::Nothing => Err(Error::NotFound),
            Got::Longer(length) => Ok(Some(length)),
        }
    }

    /// N2: reads long values of a live version, off the threads that serve requests. `then` makes the answer of them, on the
    /// same thread.
    ///
    /// # Errors
    /// As [`Self::read_secret`], and [`Error::Busy`].
    pub async fn read_long_secret<T: Send + 'static>(
        &self,
        long: Long<ReadSecret>,
        then: impl FnOnce(&StoredValue) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let unsealed = self.seal.granted(&long.grant)?;
        let (ReadSecret { path, version }, caller) = long.grant.into_parts();
        let work = move |_| {
            let path = SecretPath::parse(path.as_str())?;
            let value = unsealed.store()?.stored_value(&path, version)?.ok_or(Error::NotFound)?;
            then(&value)
        };
        self.long_work.run(Lane::Values, &caller, SHORTER, work).await
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

    /// N6: the metadata of a path. The requested version must be live, unless the request accepts deleted ones. Of a long history
    /// nothing is read but its length, for [`Self::describe_long_secret`].
    ///
    /// # Errors
    /// As [`Self::read_secret`].
    pub async fn describe_secret(
        self: &Arc<Self>,
        grant: Grant<DescribeSecret>,
    ) -> Result<Description, Error> {
        let read = |nexus: &Self, grant: &Grant<DescribeSecret>| {
            let path = SecretPath::parse(grant.request().path.as_str())?;
            let unsealed = nexus.seal.granted(grant)?;
            Ok(unsealed.store()?.metadata_up_to(&path, LARGE)?)
        };
        let (described, grant) = self.read_with(grant, read).await?;
        match described {
            Described::Nothing => Err(Error::NotFound),
            Described::History(history) => grant.request().of(history).map(Description::Whole),
            Described::Longer(length) => Ok(Description::Long(Long { grant, length })),
        }
    }

    /// N6: the metadata of a path with a long history, read off the threads that serve requests. `then` as for
    /// [`Self::read_long_secret`].
    ///
    /// # Errors
    /// As [`Self::describe_secret`], and [`Error::Busy`].
    pub async fn describe_long_secret<T: Send + 'static>(
        &self,
        long: Long<DescribeSecret>,
        then: impl FnOnce(&History) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let unsealed = self.seal.granted(&long.grant)?;
        let (asked, caller) = long.grant.into_parts();
        let work = move |_| {
            let path = SecretPath::parse(asked.path.as_str())?;
            let history = unsealed.store()?.metadata(&path)?.ok_or(Error::NotFound)?;
            then(&asked.of(history)?)
        };
        self.long_work.run(Lane::Values, &caller, SHORTER, work).await
    }
}

impl DescribeSecret {
    /// `history`, if it has the requested version.
    fn of(&self, history: History) -> Result<History, Error> {
        let is_there = match self.version {
            Selector::Current if self.include_deleted => true,
            Selector::Number(number) if self.include_deleted => {
                history.versions().iter().any(|version| version.number == number)
            }
            live => history.find(live).is_some(),
        };
        if is_there { Ok(history) } else { Err(Error::NotFound) }
    }
}
