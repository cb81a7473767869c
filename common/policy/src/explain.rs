//! Why a request is allowed or denied, and the same question from other sides. For operators: a workload learns no
//! more than that it was denied.
//!
//! These walk over all policies: some 50 milliseconds for 100,000 of them, where a decision takes a microsecond.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use super::Permission;
use super::decide::{Decision, Entry, PolicySet};
use super::error::ReservedCause;
use super::index::{Filed, Slot};
use super::reserved::Reserved;
use super::suggest::{self, Suggestion};

/// A decision, and how near the policies came that did not allow the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The answer.
    pub decision: Decision,
    /// The policies that came nearest, best first.
    pub near_misses: Vec<NearMiss>,
    /// How many policies were looked at.
    pub policies: usize,
    /// How many policies never match because they cannot be read; [`PolicySet::unusable`] names them.
    pub unusable: usize,
}

/// A policy that does not allow the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearMiss {
    /// Its name.
    pub policy: Arc<str>,
    /// Its SPIFFE ID pattern.
    pub spiffe_id_pattern: String,
    /// Its path pattern.
    pub path_pattern: String,
    /// The parts that failed, at least one.
    pub failed: Vec<Miss>,
    /// For each part that failed, the smallest change that would make it hold.
    pub suggestions: Vec<Suggestion>,
}

/// A part of a policy that keeps it from allowing a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// The SPIFFE ID pattern finds no match.
    SpiffeId,
    /// The path pattern finds no match.
    Path,
    /// Neither the wanted permission nor `super` is among the permissions.
    Permission,
    /// The path is reserved, and the policy is not entitled to it.
    Reserved(ReservedCause),
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SpiffeId => f.write_str("the SPIFFE ID pattern does not match"),
            Self::Path => f.write_str("the path pattern does not match"),
            Self::Permission => f.write_str("the permission is missing"),
            Self::Reserved(ReservedCause::PathNotDescribed) => f.write_str(
                "the path is reserved, and the path pattern does not describe the whole of it",
            ),
            Self::Reserved(ReservedCause::IdentityNotPrecise) => f.write_str(
                "the path is reserved, and the SPIFFE ID pattern is not anchored at both ends",
            ),
        }
    }
}

/// Somebody who may do something to a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grantee {
    /// The policy that says so.
    pub policy: Arc<str>,
    /// Whose SPIFFE ID matches this.
    pub spiffe_id_pattern: String,
}

/// The paths that are open to one peer for one purpose.
#[derive(Debug)]
pub struct OpenPaths<'s> {
    set: &'s PolicySet,
    spiffe_id: String,
    wanted: Permission,
    /// The policies that match the peer, if they are few.
    few: Option<Vec<&'s Entry>>,
}

/// Up to this many policies are tried one by one for each path.
const FEW: usize = 16;

impl PolicySet {
    /// The decision on a request, and up to `limit` policies that came nearest to allowing it.
    pub fn explain(
        &self,
        spiffe_id: &str,
        path: &str,
        wanted: Permission,
        limit: usize,
    ) -> Explanation {
        let mut ids = Tried::new(self.id_slots(spiffe_id), spiffe_id);
        let mut paths = Tried::new(self.path_slots(path), path);
        let reserved = Reserved::only(path);
        let mut misses: Vec<(Rank<'_>, &Entry, Vec<Miss>)> = Vec::new();
        for entry in self.entries() {
            let mut failed = Vec::new();
            if !ids.matches(&entry.id, self) {
                failed.push(Miss::SpiffeId);
            }
            if !paths.matches(&entry.path, self) {
                failed.push(Miss::Path);
            } else if !entry.path.reserved.includes(reserved) {
                failed.push(Miss::Reserved(ReservedCause::PathNotDescribed));
            } else if !entry.id.reserved.includes(reserved) {
                failed.push(Miss::Reserved(ReservedCause::IdentityNotPrecise));
            }
            if !entry.permissions.allow(wanted) {
                failed.push(Miss::Permission);
            }
            if !failed.is_empty() {
                let common = common_length(entry.id.pattern.as_str(), spiffe_id)
                    + common_length(entry.path.pattern.as_str(), path);
                misses.push(((failed.len(), Reverse(common), entry.name.as_ref()), entry, failed));
            }
        }
        misses.sort_unstable_by_key(|(rank, ..)| *rank);
        misses.truncate(limit);
        let near_miss = |(_, entry, failed): (_, &Entry, Vec<Miss>)| NearMiss {
            policy: Arc::clone(&entry.name),
            spiffe_id_pattern: entry.id.pattern.as_str().into(),
            path_pattern: entry.path.pattern.as_str().into(),
            suggestions: suggest::changes(entry, &failed, spiffe_id, path, wanted),
            failed,
        };
        Explanation {
            decision: self.decide(spiffe_id, path, wanted),
            near_misses: misses.into_iter().map(near_miss).collect(),
            policies: self.len(),
            unusable: self.unusable().len(),
        }
    }

    /// Who may do `wanted` to `path` by a policy, in the order of the policies' names.
    pub fn who_can(&self, path: &str, wanted: Permission) -> Vec<Grantee> {
        let mut paths = Tried::new(self.path_slots(path), path);
        let reserved = Reserved::only(path);
        let mut grantees: Vec<Grantee> = self
            .entries()
            .filter(|entry| entry.permissions.allow(wanted) && entry.reaches(reserved))
            .filter(|entry| paths.matches(&entry.path, self))
            .map(|entry| Grantee {
                policy: Arc::clone(&entry.name),
                spiffe_id_pattern: entry.id.pattern.as_str().into(),
            })
            .collect();
        grantees.sort_unstable_by(|a, b| a.policy.cmp(&b.policy));
        grantees
    }

    /// The paths to which `spiffe_id` may do `wanted`: to ask about many of them, as a listing does.
    pub fn paths_open_to(&self, spiffe_id: &str, wanted: Permission) -> OpenPaths<'_> {
        let mut ids = Tried::new(self.id_slots(spiffe_id), spiffe_id);
        let matching = self
            .entries()
            .filter(|entry| entry.permissions.allow(wanted) && ids.matches(&entry.id, self));
        let few: Vec<&Entry> = matching.take(FEW + 1).collect();
        let few = (few.len() <= FEW).then_some(few);
        OpenPaths { set: self, spiffe_id: spiffe_id.into(), wanted, few }
    }
}

impl OpenPaths<'_> {
    /// Whether `path` is open: the same answer that [`PolicySet::decide`] gives.
    pub fn includes(&self, path: &str) -> bool {
        let Some(few) = &self.few else {
            return self.set.decide(&self.spiffe_id, path, self.wanted).is_allowed();
        };
        let reserved = Reserved::only(path);
        few.iter().any(|entry| entry.reaches(reserved) && entry.path.is_match(path, &self.set.kept))
    }

    /// Whether no path is open at all.
    pub fn is_empty(&self) -> bool {
        self.few.as_ref().is_some_and(Vec::is_empty)
    }
}

/// How far a policy is from allowing: fewer failed parts first, then the longer common beginnings, then the name.
type Rank<'e> = (usize, Reverse<usize>, &'e str);

/// One half of a request, and which patterns were found to match it.
struct Tried<'r> {
    slots: HashSet<Slot>,
    subject: &'r str,
    answers: HashMap<*const Filed, bool>,
}

impl<'r> Tried<'r> {
    fn new(slots: Vec<Slot>, subject: &'r str) -> Self {
        Self { slots: slots.into_iter().collect(), subject, answers: HashMap::new() }
    }

    /// Whether `filed` matches. Most do not even have a key that fits, so few need their regular expression.
    fn matches(&mut self, filed: &Arc<Filed>, set: &PolicySet) -> bool {
        if !filed.slots.iter().any(|slot| self.slots.contains(slot)) {
            return false;
        }
        let answer = || filed.is_match(self.subject, &set.kept);
        *self.answers.entry(Arc::as_ptr(filed)).or_insert_with(answer)
    }
}

/// How many bytes `pattern`, taken as a text, and `subject` begin with alike.
fn common_length(pattern: &str, subject: &str) -> usize {
    let text = pattern.bytes().filter(|byte| !matches!(byte, b'^' | b'\\'));
    text.zip(subject.bytes()).take_while(|(a, b)| a == b).count()
}
