//! Policies. Lists of their names are in `lists`, questions over them in `questions`.

use std::sync::Arc;

use spike_mtls::clock;

use super::Nexus;
use crate::{
    access::{Asked, Grant, Operation, Subject},
    error::Error,
    policy::{Policy, check_name},
    store::StoredPolicy,
};

/// Makes or replaces a policy. No field is checked yet.
#[derive(Debug)]
pub struct PutPolicy {
    /// The name.
    pub name: String,
    /// The pattern of SPIFFE IDs.
    pub spiffe_id_pattern: String,
    /// The pattern of paths.
    pub path_pattern: String,
    /// The permissions, in words.
    pub permissions: Vec<String>,
    /// Refuse if a policy of that name exists.
    pub create_only: bool,
}

/// Reads a policy.
#[derive(Debug)]
pub struct ReadPolicy {
    /// The name, not checked yet.
    pub name: String,
}

/// Deletes a policy.
#[derive(Debug)]
pub struct DeletePolicy {
    /// The name, not checked yet.
    pub name: String,
}

impl Asked for PutPolicy {
    const OPERATION: Operation = Operation::PolicyPut;
    const SUBJECT: Subject<Self> = Subject::Named(|asked| &asked.name);
}

impl Asked for ReadPolicy {
    const OPERATION: Operation = Operation::PolicyGet;
    const SUBJECT: Subject<Self> = Subject::Named(|asked| &asked.name);
}

impl Asked for DeletePolicy {
    const OPERATION: Operation = Operation::PolicyDelete;
    const SUBJECT: Subject<Self> = Subject::Named(|asked| &asked.name);
}

impl Nexus {
    /// N7: makes a policy, or replaces the one of that name. Returns its name.
    ///
    /// # Errors
    /// [`Error::Invalid`] with field, place and reason; [`Error::PolicyExists`]; [`Error::Store`].
    pub async fn put_policy(&self, grant: Grant<PutPolicy>) -> Result<String, Error> {
        let asked = grant.request();
        let policy = Policy::validate_new(
            &asked.name,
            &asked.spiffe_id_pattern,
            &asked.path_pattern,
            &asked.permissions,
            clock::now(),
        )?;
        let unsealed = self.seal.granted(&grant)?;
        let policies = unsealed.policies().ok_or(Error::NoSuchRoute)?;
        policies.set().check_loose_width(&policy)?;
        if policies.put(unsealed.store()?, policy, asked.create_only).await? {
            Ok(grant.into_parts().0.name)
        } else {
            Err(Error::PolicyExists)
        }
    }

    /// N8: reads the policy of that name.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an invalid name, [`Error::NotFound`] (upstream: 500, F11), [`Error::Store`], [`Error::StoreHangs`].
    pub async fn read_policy(
        self: &Arc<Self>,
        grant: Grant<ReadPolicy>,
    ) -> Result<StoredPolicy, Error> {
        check_name(&grant.request().name)?;
        let read = |nexus: &Self, grant: &Grant<ReadPolicy>| {
            Ok(nexus.seal.granted(grant)?.store()?.policy(&grant.request().name)?)
        };
        self.read_with(grant, read).await?.0.ok_or(Error::NotFound)
    }

    /// N9: deletes the policy of that name. It does not count from the next request on.
    ///
    /// # Errors
    /// As [`Self::read_policy`].
    pub async fn delete_policy(&self, grant: Grant<DeletePolicy>) -> Result<(), Error> {
        let DeletePolicy { name } = grant.request();
        check_name(name)?;
        let unsealed = self.seal.granted(&grant)?;
        let policies = unsealed.policies().ok_or(Error::NoSuchRoute)?;
        let deleted = policies.delete(unsealed.store()?, name, clock::unix_nanos()).await?;
        if deleted { Ok(()) } else { Err(Error::NotFound) }
    }
}
