//! Policies, for tools of operators.

use std::time::SystemTime;

use spike_wire::{
    EmptyRequest, ExplainRequest, PolicyListRequest, PolicyNameRequest, PolicyPutRequest,
    WhoCanRequest, call,
};
/// # Examples
/// See [`Policies`].
#[doc(inline)]
pub use spike_wire::{
    ExplainResponse, Grantee, LintFinding, LintResponse, NearMiss, WhoCanResponse,
};

use crate::{Client, Error};

/// Names in one page of a listing.
const PAGE: i64 = 1000;

/// The policies of a Nexus: [`Client::policies`]. The process needs rights on `spike/system/acl`, as operators have.
///
/// # Examples
/// ```no_run
/// use spike_sdk::Policy;
///
/// # async fn example(spike: &spike_sdk::Client) -> Result<(), spike_sdk::Error> {
/// let policies = spike.policies();
/// let app1 = Policy::new("app1", r"^spiffe://spike\.ist/workload/app1$", r"^tenants/acme/.*$", ["read"]);
/// policies.create(&app1).await?;
/// let why = policies.explain("spiffe://spike.ist/workload/app1", "tenants/acme/db", "read").await?;
/// assert!(why.allowed);
/// let who = policies.who_can("tenants/acme/db", "read").await?;
/// println!("{} policies open it", who.grantees.len());
/// for finding in policies.lint().await?.findings {
///     println!("{}: {}", finding.policy, finding.message);
/// }
/// policies.delete("app1").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Policies<'c>(&'c Client);

/// One policy.
///
/// # Examples
/// See [`Policies`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// The name, which is the identity.
    pub name: String,
    /// Go regular expression, searched for in the SPIFFE ID of a peer.
    pub spiffe_id_pattern: String,
    /// Go regular expression, searched for in the path.
    pub path_pattern: String,
    /// The permissions: `read`, `write`, `list`, `execute`, `super`.
    pub permissions: Vec<String>,
    /// When a policy of this name was first put; `None` if that is not known.
    pub created: Option<SystemTime>,
    /// When it was last put; `None` if that is not known.
    pub updated: Option<SystemTime>,
}

impl Policy {
    /// A policy to put.
    ///
    /// # Examples
    /// See [`Policies`].
    pub fn new<'p>(
        name: &str,
        spiffe_id_pattern: &str,
        path_pattern: &str,
        permissions: impl IntoIterator<Item = &'p str>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            spiffe_id_pattern: spiffe_id_pattern.to_owned(),
            path_pattern: path_pattern.to_owned(),
            permissions: permissions.into_iter().map(str::to_owned).collect(),
            created: None,
            updated: None,
        }
    }
}

impl Client {
    /// The policies of this Nexus.
    ///
    /// # Examples
    /// See [`Policies`].
    pub const fn policies(&self) -> Policies<'_> {
        Policies(self)
    }
}

impl Policies<'_> {
    /// Creates a policy.
    ///
    /// Cancel safety: if it is dropped before its end, the policy was created, or was not.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`], [`Error::Invalid`], [`Error::Denied`], or another reason why the call failed. Upstream's
    /// Nexus replaces a policy of that name.
    ///
    /// # Examples
    /// See [`Policies`].
    pub async fn create(&self, policy: &Policy) -> Result<(), Error> {
        self.store(policy, true).await
    }

    /// Creates or replaces a policy.
    ///
    /// Cancel safety: if it is dropped before its end, the policy was put, or was not.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Denied`], or another reason why the call failed.
    ///
    /// # Examples
    /// See [`Policies`].
    pub async fn put(&self, policy: &Policy) -> Result<(), Error> {
        self.store(policy, false).await
    }

    async fn store(&self, policy: &Policy, create_only: bool) -> Result<(), Error> {
        let policy = policy.clone();
        let request = PolicyPutRequest {
            name: policy.name.clone(),
            spiffeid_pattern: policy.spiffe_id_pattern,
            path_pattern: policy.path_pattern,
            permissions: policy.permissions,
            create_only,
        };
        self.0.call::<call::PolicyPut>(&policy.name, &request).await.map(drop)
    }

    /// Reads a policy.
    ///
    /// Cancel safety: it changes nothing, and may be dropped at any time.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], or another reason why the call failed.
    ///
    /// # Examples
    /// See [`Policies`].
    pub async fn get(&self, name: &str) -> Result<Policy, Error> {
        let request = PolicyNameRequest { name: name.to_owned() };
        let found = self.0.call::<call::PolicyGet>(name, &request).await?;
        Ok(Policy {
            name: found.name,
            spiffe_id_pattern: found.spiffeid_pattern,
            path_pattern: found.path_pattern,
            permissions: found.permissions,
            created: Some(found.created_at.into()),
            updated: Some(found.updated_at.into()),
        })
    }

    /// Deletes a policy. It counts no longer from the next request on.
    ///
    /// Cancel safety: if it is dropped before its end, the policy was deleted, or was not.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], or another reason why the call failed.
    ///
    /// # Examples
    /// See [`Policies`].
    pub async fn delete(&self, name: &str) -> Result<(), Error> {
        let request = PolicyNameRequest { name: name.to_owned() };
        self.0.call::<call::PolicyDelete>(name, &request).await.map(drop)
    }

    /// Lists the names of all policies, sorted.
    ///
    /// Cancel safety: it changes nothing, and may be dropped at any time.
    ///
    /// # Errors
    /// [`Error::Denied`], or another reason why the call failed.
    ///
    /// # Examples
    /// See [`Policies`].
    pub async fn list(&self) -> Result<Vec<String>, Error> {
        let deadline = self.0.end();
        let mut names = Vec::new();
        let mut request = PolicyListRequest { limit: PAGE, ..PolicyListRequest::default() };
        loop {
            let page = self.0.call_until::<call::PolicyList>(deadline, "", &request).await?;
            names.extend(page.names);
            match page.next {
                Some(next) => request.after = next,
                None => return Ok(names),
            }
        }
    }

    /// Explains why a SPIFFE ID has a permission on a path or not. Upstream's Nexus has no such call, and neither has
    /// the fake.
    ///
    /// Cancel safety: it changes nothing, and may be dropped at any time.
    ///
    /// # Errors
    /// [`Error::Denied`], or another reason why the call failed.
    ///
    /// # Examples
    /// See [`Policies`].
    pub async fn explain(
        &self,
        spiffe_id: &str,
        path: &str,
        permission: &str,
    ) -> Result<ExplainResponse, Error> {
        let request = ExplainRequest {
            spiffe_id: spiffe_id.to_owned(),
            path: path.to_owned(),
            permission: permission.to_owned(),
        };
        self.0.call::<call::PolicyExplain>(path, &request).await
    }

    /// Lists who has a permission on a path. Upstream's Nexus has no such call, and neither has the fake.
    ///
    /// Cancel safety: it changes nothing, and may be dropped at any time.
    ///
    /// # Errors
    /// As [`Self::explain`].
    ///
    /// # Examples
    /// See [`Policies`].
    pub async fn who_can(&self, path: &str, permission: &str) -> Result<WhoCanResponse, Error> {
        let request = WhoCanRequest { path: path.to_owned(), permission: permission.to_owned() };
        self.0.call::<call::PolicyWhoCan>(path, &request).await
    }

    /// Lists probable mistakes in the policies. Upstream's Nexus has no such call, and neither has the fake.
    ///
    /// Cancel safety: it changes nothing, and may be dropped at any time.
    ///
    /// # Errors
    /// As [`Self::explain`].
    ///
    /// # Examples
    /// See [`Policies`].
    pub async fn lint(&self) -> Result<LintResponse, Error> {
        self.0.call::<call::PolicyLint>("", &EmptyRequest).await
    }
}
