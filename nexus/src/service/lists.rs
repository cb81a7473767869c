//! N5 and N10: lists of names, which may be many. Unless a page is short, they are made off the threads that serve.

use spike_wire::{
    PolicyListRequest, PolicyListResponse, SecretListRequest, SecretListResponse, call,
};

use crate::{
    access::Grant,
    error::Error,
    policies::Policies,
    policy::{Permission, ReservedRule},
    service::Nexus,
    service::long_work::{Deadline, Lane},
    store::{Store, StoredPolicy},
};

/// A page of up to so many names takes less than a tenth of a millisecond, which is not worth another thread.
const SHORT: usize = 1000;

/// How many names are read at once to look for those that may be seen.
const READ_AT_ONCE: usize = 1000;

/// How many names are decided on without letting go of the policies, which others want to change.
const DECIDED_AT_ONCE: usize = 64;

/// What to do about a list that takes too long.
const NARROWER: &str = "ask for a prefix, or for pages by `limit` and `after`";

impl Nexus {
    /// N5: paths in the order of their bytes, all of them unless the request asks for a page.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::TookTooLong`]; [`Error::Store`]: unlike upstream, a failure is not an empty list (F12,
    ///
    pub async fn list_secrets(
        &self,
        grant: Grant<call::SecretList>,
    ) -> Result<SecretListResponse, Error> {
        let unsealed = self.seal().granted(&grant)?;
        let open_to = grant.names_open_to();
        let (request, caller) = grant.into_parts();
        let limit = page_limit(request.limit);
        // One more than asked for tells whether there is another page.
        let ask = limit.map_or(usize::MAX, |limit| limit.saturating_add(1));
        let mut keys = match open_to {
            None if ask <= SHORT => all_names(unsealed.store()?, &request, ask)?,
            None => {
                let work = move |_| all_names(unsealed.store()?, &request, ask);
                self.long_work().run(Lane::Lists, &caller, NARROWER, work).await?
            }
            Some((peer, wanted)) => {
                let rule = self.access().reserved();
                let work = move |deadline| {
                    let Some(policies) = unsealed.policies() else { return Ok(Vec::new()) };
                    let viewer = Viewer { policies, rule, peer: &peer, wanted };
                    viewer.names(unsealed.store()?, &request, ask, deadline)
                };
                self.long_work().run(Lane::Lists, &caller, NARROWER, work).await?
            }
        };
        let next = page(&mut keys, limit);
        Ok(SecretListResponse { keys, next })
    }

    /// N10: the names of the policies, in the order of their bytes, all of them unless the request asks for some
    /// or for a page.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::TookTooLong`], [`Error::Store`].
    pub async fn list_policies(
        &self,
        grant: Grant<call::PolicyList>,
    ) -> Result<PolicyListResponse, Error> {
        let unsealed = self.seal().granted(&grant)?;
        let (request, caller) = grant.into_parts();
        let work = move |deadline| policy_names(unsealed.store()?, &request, deadline);
        self.long_work().run(Lane::Questions, &caller, "ask by name", work).await
    }
}

/// A workload that may see some names and not others.
struct Viewer<'n> {
    policies: &'n Policies,
    rule: ReservedRule,
    peer: &'n str,
    wanted: Permission,
}

impl Viewer<'_> {
    /// Up to `ask` of the names that it may see. Where policies say how these begin, the others are not read.
    fn names(
        &self,
        store: &Store,
        request: &SecretListRequest,
        ask: usize,
        deadline: Deadline,
    ) -> Result<Vec<String>, Error> {
        let open = |set: &crate::policy::PolicySet| {
            set.paths_open_to(self.rule, self.peer, self.wanted).beginnings()
        };
        let beginnings = open(&self.policies.set());
        let mut seen = Vec::new();
        for beginning in &beginnings {
            let Some(prefix) = longer(&request.prefix, beginning) else { continue };
            let mut after = request.after.clone();
            while seen.len() < ask {
                deadline.check()?;
                let read = store.list(prefix, some(&after), READ_AT_ONCE)?;
                let is_last = read.len() < READ_AT_ONCE;
                for names in read.chunks(DECIDED_AT_ONCE) {
                    deadline.check()?;
                    self.keep_open(names, &mut seen);
                }
                match read.into_iter().next_back() {
                    Some(name) if !is_last => after = name,
                    _ => break,
                }
            }
        }
        seen.truncate(ask);
        Ok(seen)
    }

    fn keep_open(&self, names: &[String], seen: &mut Vec<String>) {
        let set = self.policies.set();
        let open = set.paths_open_to(self.rule, self.peer, self.wanted);
        seen.extend(names.iter().filter(|name| open.includes(name)).cloned());
    }
}

fn all_names(store: &Store, request: &SecretListRequest, ask: usize) -> Result<Vec<String>, Error> {
    Ok(store.list(&request.prefix, some(&request.after), ask)?)
}

/// Of two texts the one that begins with the other.
fn longer<'t>(one: &'t str, other: &'t str) -> Option<&'t str> {
    if one.starts_with(other) { Some(one) } else { other.starts_with(one).then_some(other) }
}

fn some(after: &str) -> Option<&str> {
    Some(after).filter(|after| !after.is_empty())
}

fn policy_names(
    store: &Store,
    request: &PolicyListRequest,
    deadline: Deadline,
) -> Result<PolicyListResponse, Error> {
    let names = if only_by_name(request) {
        store.policy_names()?
    } else {
        let stored = store.policies()?.policies;
        deadline.check()?;
        let asked_for = stored.into_iter().filter(|policy| asked_for(policy, request));
        asked_for.map(|policy| policy.name).collect()
    };
    let mut wanted = Vec::new();
    for name in names {
        deadline.check()?;
        if name > request.after && name.contains(&request.name_contains) {
            wanted.push(name);
        }
    }
    let next = page(&mut wanted, page_limit(request.limit));
    Ok(PolicyListResponse { names: wanted, next })
}

/// Whether a listing asks for nothing that only the encrypted part of a policy can answer.
fn only_by_name(request: &PolicyListRequest) -> bool {
    [
        &request.spiffeid_pattern,
        &request.path_pattern,
        &request.spiffeid_contains,
        &request.path_contains,
    ]
    .iter()
    .all(|text| text.is_empty())
}

/// Upstream's filters compare whole patterns, and that of the SPIFFE ID comes first; ours look for a part.
fn asked_for(policy: &StoredPolicy, request: &PolicyListRequest) -> bool {
    let (id, path) = (&policy.text.spiffe_id_pattern, &policy.text.path_pattern);
    let whole = match (request.spiffeid_pattern.as_str(), request.path_pattern.as_str()) {
        ("", "") => true,
        ("", wanted) => path == wanted,
        (wanted, _) => id == wanted,
    };
    whole && id.contains(&request.spiffeid_contains) && path.contains(&request.path_contains)
}

/// The limit of a page; 0 and less are none.
fn page_limit(asked: i64) -> Option<usize> {
    usize::try_from(asked).ok().filter(|limit| *limit > 0)
}

/// Cuts a listing to a page and gives back where the next one begins.
fn page(names: &mut Vec<String>, limit: Option<usize>) -> Option<String> {
    let limit = limit?;
    if names.len() <= limit {
        return None;
    }
    names.truncate(limit);
    names.last().cloned()
}
