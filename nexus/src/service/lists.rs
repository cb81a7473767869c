//! N5 and N10: lists of names. Unless a page is short, they are made off the threads that serve requests.

use super::{
    Nexus,
    long_work::{Deadline, Lane},
};
use crate::{
    access::{Asked, Grant, Operation, Subject},
    error::Error,
    policies::Policies,
    policy::{Permission, PolicySet, ReservedRule},
    store::{Store, StoreError, StoredPolicy},
};

/// A page of up to this many names takes less than 0.1 ms, so it is made on the serving thread.
const SHORT: usize = 1000;

/// How many names are read at once in the search for visible ones.
const READ_AT_ONCE: usize = 1000;

/// How many names are decided on under one lock of the policies. Writers wait for that lock.
const DECIDED_AT_ONCE: usize = 64;

/// The advice for a list that takes too long.
const NARROWER: &str = "ask for a prefix, or for pages by `limit` and `after`";

/// Lists paths of secrets.
#[derive(Debug)]
pub struct ListSecrets {
    /// Only paths with this prefix.
    pub prefix: String,
    /// The page.
    pub page: Page,
}

/// Lists names of policies.
#[derive(Debug)]
pub struct ListPolicies {
    /// Only policies one of whose patterns equals this text.
    pub pattern: Option<WholePattern>,
    /// Only policies with this text in their name.
    pub name_contains: String,
    /// Only policies with this text in their SPIFFE ID pattern.
    pub spiffe_id_contains: String,
    /// Only policies with this text in their path pattern.
    pub path_contains: String,
    /// The page.
    pub page: Page,
}

/// The text of a whole pattern.
#[derive(Debug)]
pub enum WholePattern {
    /// Of SPIFFE IDs.
    SpiffeId(String),
    /// Of paths.
    Path(String),
}

/// A part of a list, in the order of bytes.
#[derive(Debug)]
pub struct Page {
    /// Only names that come after this one.
    pub after: Option<String>,
    /// The most names; `None` for no limit.
    pub limit: Option<usize>,
}

/// A page of names.
#[derive(Debug)]
pub struct Names {
    /// The names.
    pub names: Vec<String>,
    /// The name after which the next page begins; `None` for the last page.
    pub next: Option<String>,
}

impl Asked for ListSecrets {
    const OPERATION: Operation = Operation::SecretList;
    const SUBJECT: Subject<Self> = Subject::Nothing;
}

impl Asked for ListPolicies {
    const OPERATION: Operation = Operation::PolicyList;
    const SUBJECT: Subject<Self> = Subject::Nothing;
}

impl Nexus {
    /// N5: paths in the order of their bytes, all of them unless the request asks for a page. `then` makes the answer of them,
    /// on the thread that has listed them.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::TookTooLong`], [`Error::StoreHangs`]; [`Error::Store`]: unlike upstream, a failure is not an empty list (F12,
    ///
    pub async fn list_secrets<T: Send + 'static>(
        &self,
        grant: Grant<ListSecrets>,
        then: impl FnOnce(Names) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let unsealed = self.seal.granted(&grant)?;
        let open_to = grant.names_open_to();
        let (asked, caller) = grant.into_parts();
        let limit = asked.page.limit;
        // One more than requested shows whether there is another page.
        let most = limit.map_or(usize::MAX, |limit| limit.saturating_add(1));
        let then = move |names| then(Names::cut(names, limit));
        match open_to {
            None => {
                if most <= SHORT {
                    match all_names(unsealed.store()?, &asked, most) {
                        Err(Error::Store(StoreError::Elsewhere)) => {}
                        names => return then(names?),
                    }
                }
                let work = move |_| then(all_names(unsealed.store()?, &asked, most)?);
                self.long_work.run(Lane::Lists, &caller, NARROWER, work).await
            }
            Some((id, wanted)) => {
                let rule = self.access.reserved();
                let work = move |deadline| {
                    let Some(policies) = unsealed.policies() else { return then(Vec::new()) };
                    let viewer = Viewer { policies, rule, id: &id, wanted };
                    then(viewer.names(unsealed.store()?, &asked, most, deadline)?)
                };
                self.long_work.run(Lane::Lists, &caller, NARROWER, work).await
            }
        }
    }

    /// N10: the names of the policies, in the order of their bytes, all of them unless the request asks for some
    /// or for a page. `then` as for [`Self::list_secrets`].
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::TookTooLong`], [`Error::Store`].
    pub async fn list_policies<T: Send + 'static>(
        &self,
        grant: Grant<ListPolicies>,
        then: impl FnOnce(Names) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let unsealed = self.seal.granted(&grant)?;
        let (asked, caller) = grant.into_parts();
        let work = move |deadline| then(policy_names(unsealed.store()?, &asked, deadline)?);
        self.long_work.run(Lane::Questions, &caller, "ask by name", work).await
    }
}

impl Names {
    /// Cuts a list to a page.
    fn cut(mut names: Vec<String>, limit: Option<usize>) -> Self {
        let next = limit.filter(|limit| *limit < names.len()).and_then(|limit| {
            names.truncate(limit);
            names.last().cloned()
        });
        Self { names, next }
    }
}

/// A workload that may see only some names.
struct Viewer<'n> {
    policies: &'n Policies,
    rule: ReservedRule,
    id: &'n str,
    wanted: Permission,
}

impl Viewer<'_> {
    /// Up to `most` of the names that it may see. If the policies determine a prefix, only names with that prefix are read.
    fn names(
        &self,
        store: &Store,
        asked: &ListSecrets,
        most: usize,
        deadline: Deadline,
    ) -> Result<Vec<String>, Error> {
        let open =
            |set: &PolicySet| set.paths_open_to(self.rule, self.id, self.wanted).beginnings();
        let beginnings = open(&self.policies.set());
        let mut seen = Vec::new();
        for beginning in &beginnings {
            let Some(prefix) = longer(&asked.prefix, beginning) else { continue };
            let mut after = asked.page.after.clone();
            while seen.len() < most {
                deadline.check()?;
                let read = store.list(prefix, after.as_deref(), READ_AT_ONCE)?;
                let is_last = read.len() < READ_AT_ONCE;
                for names in read.chunks(DECIDED_AT_ONCE) {
                    deadline.check()?;
                    self.keep_open(names, &mut seen);
                }
                match read.into_iter().next_back() {
                    name @ Some(_) if !is_last => after = name,
                    _ => break,
                }
            }
        }
        seen.truncate(most);
        Ok(seen)
    }

    fn keep_open(&self, names: &[String], seen: &mut Vec<String>) {
        let set = self.policies.set();
        let open = set.paths_open_to(self.rule, self.id, self.wanted);
        seen.extend(names.iter().filter(|name| open.includes(name)).cloned());
    }
}

fn all_names(store: &Store, asked: &ListSecrets, most: usize) -> Result<Vec<String>, Error> {
    Ok(store.list(&asked.prefix, asked.page.after.as_deref(), most)?)
}

/// The longer of two texts, if it begins with the shorter one.
fn longer<'t>(one: &'t str, other: &'t str) -> Option<&'t str> {
    if one.starts_with(other) { Some(one) } else { other.starts_with(one).then_some(other) }
}

fn policy_names(store: &Store, asked: &ListPolicies, deadline: Deadline) -> Result<Names, Error> {
    let names = if asked.is_by_name_only() {
        store.policy_names()?
    } else {
        let stored = store.policies()?.policies;
        deadline.check()?;
        stored.into_iter().filter(|policy| asked.wants(policy)).map(|policy| policy.name).collect()
    };
    let after = asked.page.after.as_deref().unwrap_or_default();
    let mut wanted = Vec::new();
    for name in names {
        deadline.check()?;
        if name.as_str() > after && name.contains(&asked.name_contains) {
            wanted.push(name);
        }
    }
    Ok(Names::cut(wanted, asked.page.limit))
}

impl ListPolicies {
    /// Whether no filter needs the encrypted part of a policy.
    const fn is_by_name_only(&self) -> bool {
        self.pattern.is_none()
            && self.spiffe_id_contains.is_empty()
            && self.path_contains.is_empty()
    }

    /// Whether the filters select this policy, apart from those on its name.
    fn wants(&self, policy: &StoredPolicy) -> bool {
        let (id, path) = (&policy.text.spiffe_id_pattern, &policy.text.path_pattern);
        let whole = match &self.pattern {
            None => true,
            Some(WholePattern::SpiffeId(wanted)) => id == wanted,
            Some(WholePattern::Path(wanted)) => path == wanted,
        };
        whole && id.contains(&self.spiffe_id_contains) && path.contains(&self.path_contains)
    }
}
