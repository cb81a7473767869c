//! Each operation of the service in domain words: what is between a granted request and the store.

use std::sync::Arc;

use spike_common::{
    audit::AuditLog,
    clock,
    http::{BodyLimits, Frame},
    telemetry::HealthView,
    wire::{
        self, PolicyPutResponse, SecretMetadata, SecretMetadataResponse, SecretVersionsRequest,
        VersionMetadata, call, rules,
    },
};
use time::OffsetDateTime;

use crate::{
    access::{Access, Grant},
    error::Error,
    long_work::LongWork,
    operator::KeySource,
    policy::{Policy, check_name},
    seal::Seal,
    secret::{History, SecretPath, Selector, UnixNanos},
};

/// The service. One per process, shared by every request.
#[derive(Debug)]
pub struct Nexus {
    access: Access,
    seal: Arc<Seal>,
    key_source: KeySource,
    max_ciphertext: usize,
    frame: Arc<Frame>,
    health: HealthView,
    long_work: LongWork,
}

impl Nexus {
    /// Puts the parts together.
    pub fn new(
        access: Access,
        (seal, key_source): (Arc<Seal>, KeySource),
        max_ciphertext: usize,
        frame: Arc<Frame>,
        health: HealthView,
    ) -> Self {
        let long_work = LongWork::default();
        Self { access, seal, key_source, max_ciphertext, frame, health, long_work }
    }

    /// The health checks of this process.
    pub(crate) const fn health(&self) -> &HealthView {
        &self.health
    }

    /// Who may do what.
    pub const fn access(&self) -> &Access {
        &self.access
    }

    /// Whether the root key is here.
    pub fn seal(&self) -> &Seal {
        &self.seal
    }

    /// Where the root key comes from.
    pub(crate) const fn key_source(&self) -> &KeySource {
        &self.key_source
    }

    /// The longest ciphertext of the cipher and of Bootstrap's proof, in bytes, the tag included.
    pub(crate) const fn max_ciphertext(&self) -> usize {
        self.max_ciphertext
    }

    /// What every request is held against.
    pub const fn frame(&self) -> &Arc<Frame> {
        &self.frame
    }

    /// Where every request is written down.
    pub fn audit(&self) -> &AuditLog {
        self.frame.audit()
    }

    /// Bounds on every body.
    pub fn body_limits(&self) -> BodyLimits {
        self.frame.body_limits()
    }

    /// Where work is done that takes long.
    pub(crate) const fn long_work(&self) -> &LongWork {
        &self.long_work
    }

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

impl Nexus {
    /// N7: makes a policy, or replaces the one of that name.
    ///
    /// # Errors
    /// [`Error::Invalid`] with field, place and reason; [`Error::PolicyExists`]; [`Error::Store`].
    pub async fn put_policy(
        &self,
        grant: Grant<call::PolicyPut>,
    ) -> Result<PolicyPutResponse, Error> {
        let request = grant.request();
        let policy = Policy::validate_new(
            &request.name,
            &request.spiffeid_pattern,
            &request.path_pattern,
            &request.permissions,
            clock::now(),
        )?;
        let unsealed = self.seal.granted(&grant)?;
        let policies = unsealed.policies().ok_or(Error::NoSuchRoute)?;
        policies.set().check_room(&policy)?;
        if policies.put(unsealed.store()?, policy, request.create_only).await? {
            Ok(PolicyPutResponse { id: request.name.clone() })
        } else {
            Err(Error::PolicyExists)
        }
    }

    /// N8: the policy of that name.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is no name, [`Error::NotFound`] (upstream: 500, F11), [`Error::Store`].
    pub fn get_policy(&self, grant: Grant<call::PolicyGet>) -> Result<wire::Policy, Error> {
        let request = grant.request();
        check_name(&request.name)?;
        let unsealed = self.seal.granted(&grant)?;
        let stored = unsealed.store()?.policy(&request.name)?.ok_or(Error::NotFound)?;
        Ok(wire::Policy {
            created_at: at(stored.created),
            updated_at: at(stored.updated),
            name: stored.name,
            spiffeid_pattern: stored.text.spiffe_id_pattern,
            path_pattern: stored.text.path_pattern,
            permissions: stored.text.permissions,
        })
    }

    /// N9: removes the policy of that name. The next request is decided without it.
    ///
    /// # Errors
    /// As [`Self::get_policy`].
    pub async fn delete_policy(&self, grant: Grant<call::PolicyDelete>) -> Result<(), Error> {
        let request = grant.request();
        check_name(&request.name)?;
        let unsealed = self.seal.granted(&grant)?;
        let policies = unsealed.policies().ok_or(Error::NoSuchRoute)?;
        let store = unsealed.store()?;
        let deleted = policies.delete(store, &request.name, clock::unix_nanos()).await?;
        if deleted { Ok(()) } else { Err(Error::NotFound) }
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

fn at(nanos: UnixNanos) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(nanos))
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
