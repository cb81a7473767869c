//! N7 to N9: policies. Lists of their names are in `lists`, questions over them in `questions`.

use spike_mtls::clock;
use spike_wire as wire;
use spike_wire::{PolicyPutResponse, call};

use super::{Nexus, at};
use crate::{
    access::Grant,
    error::Error,
    policy::{Policy, check_name},
};

#[expect(clippy::needless_pass_by_value, reason = "a grant is used up by the call that it allows")]
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
        policies.set().check_loose_width(&policy)?;
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
