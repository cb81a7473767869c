//! What there is to know about a secret besides its values.

use std::time::SystemTime;

use spike_wire::SecretMetadataResponse;

/// The versions of a secret, without their values.
///
/// # Examples
/// ```no_run
/// # async fn example(spike: &spike_sdk::Client) -> Result<(), spike_sdk::Error> {
/// let metadata = spike.metadata("tenants/acme/db").await?;
/// println!("{:?} is current, {} are kept", metadata.current_version(), metadata.max_versions());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    versions: Vec<Version>,
    current: i64,
    max_versions: i64,
    created: SystemTime,
    updated: SystemTime,
}

/// One version of a secret.
///
/// # Examples
/// ```no_run
/// # fn example(version: &spike_sdk::Version) {
/// println!("version {} is of {:?}", version.number, version.created);
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Version {
    /// Its number, from 1.
    pub number: i64,
    /// When it was put, by the clock of Nexus.
    pub created: SystemTime,
    /// When it was deleted, if it was.
    pub deleted: Option<SystemTime>,
}

impl Metadata {
    pub(crate) fn new(answer: SecretMetadataResponse) -> Self {
        let whole = answer.metadata;
        let versions = answer.versions.into_iter().map(|(number, version)| Version {
            number,
            created: version.created_time.into(),
            deleted: version.deleted_time.map(Into::into),
        });
        Self {
            versions: versions.collect(),
            current: whole.current_version,
            max_versions: whole.max_versions,
            created: whole.created_time.into(),
            updated: whole.updated_time.into(),
        }
    }

    /// The version that a read without a number returns; `None` if all are deleted.
    ///
    /// # Examples
    /// ```no_run
    /// # fn example(metadata: &spike_sdk::Metadata) {
    /// let is_readable = metadata.current_version().is_some();
    /// # }
    /// ```
    pub fn current_version(&self) -> Option<i64> {
        (self.current != 0).then_some(self.current)
    }

    /// Every version that is kept, deleted ones too, in the order of their numbers.
    ///
    /// # Examples
    /// ```no_run
    /// # fn example(metadata: &spike_sdk::Metadata) {
    /// let live = metadata.versions().iter().filter(|version| version.deleted.is_none()).count();
    /// # }
    /// ```
    pub fn versions(&self) -> &[Version] {
        &self.versions
    }

    /// How many versions are kept. A put beyond that erases the lowest.
    ///
    /// # Examples
    /// ```no_run
    /// # fn example(metadata: &spike_sdk::Metadata) {
    /// println!("the last {} versions are kept", metadata.max_versions());
    /// # }
    /// ```
    pub const fn max_versions(&self) -> i64 {
        self.max_versions
    }

    /// When the first version was put.
    ///
    /// # Examples
    /// ```no_run
    /// # fn example(metadata: &spike_sdk::Metadata) {
    /// println!("made {:?}", metadata.created());
    /// # }
    /// ```
    pub const fn created(&self) -> SystemTime {
        self.created
    }

    /// When the current version last changed.
    ///
    /// # Examples
    /// ```no_run
    /// # fn example(metadata: &spike_sdk::Metadata) {
    /// println!("changed {:?}", metadata.updated());
    /// # }
    /// ```
    pub const fn updated(&self) -> SystemTime {
        self.updated
    }
}
