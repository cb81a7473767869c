//! Why a request is allowed or denied, and who may do something. For operators: a workload learns no more than that it
//! was denied.
//!
//! These walk over all policies: some 50 milliseconds for 100,000 of them, and more where patterns are heavy, where a
//! decision takes a microsecond. So a question is asked of the set, which takes a moment, and answered apart from it,
//! for as long as the one who asks wants to go on.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::sync::Arc;

use super::Permission;
use super::decide::{Decision, Entry, PolicySet};
use super::error::ReservedCause;
use super::index::{Filed, Kept, Slot};
use super::miss::Miss;
use super::reserved::{Reserved, ReservedRule};
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

/// Somebody who may do something to a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grantee {
    /// The policy that says so.
    pub policy: Arc<str>,
    /// Whose SPIFFE ID matches this.
    pub spiffe_id_pattern: String,
}

/// One question about a request, with what it takes to answer it: the policies as they were when it was asked. The set
/// may change meanwhile, and no lock on it is held.
#[derive(Debug)]
pub struct Question {
    asked: Asked,
    decision: Decision,
    ids: Tried,
    policies: usize,
    unusable: usize,
}

/// Who may do something to a path, with what it takes to find out.
#[derive(Debug)]
pub struct WhoCan(Asked);

/// What both questions have in common.
#[derive(Debug)]
struct Asked {
    entries: Vec<Entry>,
    paths: Tried,
    wanted: Permission,
    rule: ReservedRule,
    kept: Arc<Kept>,
}

/// For answers that may take as long as they take: nothing stops them.
///
/// # Errors
/// None.
pub const fn unhurried() -> Result<(), Infallible> {
    Ok(())
}

impl PolicySet {
    /// The decision on a request by upstream's rule for reserved paths, and up to `limit` policies that came nearest to
    /// allowing it.
    pub fn explain(
        &self,
        spiffe_id: &str,
        path: &str,
        wanted: Permission,
        limit: usize,
    ) -> Explanation {
        let question = self.question(ReservedRule::Pattern, spiffe_id, path, wanted);
        let Ok(explanation) = question.explain(limit, unhurried);
        explanation
    }

    /// Who may do `wanted` to `path` by a policy and upstream's rule for reserved paths, in the order of the policies'
    /// names.
    pub fn who_can(&self, path: &str, wanted: Permission) -> Vec<Grantee> {
        let Ok(grantees) = self.ask_who_can(ReservedRule::Pattern, path, wanted).answer(unhurried);
        grantees
    }

    /// Asks why `spiffe_id` may, or may not, do `wanted` to `path`. Takes a few milliseconds for 100,000 policies; the
    /// answer may take much longer.
    pub fn question(
        &self,
        rule: ReservedRule,
        spiffe_id: &str,
        path: &str,
        wanted: Permission,
    ) -> Question {
        Question {
            asked: self.asked(rule, path, wanted),
            decision: self.decide_by(rule, spiffe_id, path, wanted),
            ids: Tried::new(self.id_slots(spiffe_id), spiffe_id),
            policies: self.len(),
            unusable: self.unusable().len(),
        }
    }

    /// Asks who may do `wanted` to `path`. As [`PolicySet::question`].
    pub fn ask_who_can(&self, rule: ReservedRule, path: &str, wanted: Permission) -> WhoCan {
        WhoCan(self.asked(rule, path, wanted))
    }

    fn asked(&self, rule: ReservedRule, path: &str, wanted: Permission) -> Asked {
        Asked {
            entries: self.entries().cloned().collect(),
            paths: Tried::new(self.path_slots(path), path),
            wanted,
            rule,
            kept: Arc::clone(self.kept()),
        }
    }
}

impl Question {
    /// The decision, and up to `limit` policies that came nearest to allowing the request. `go_on` is asked at every
    /// step.
    ///
    /// # Errors
    /// What `go_on` ends in.
    pub fn explain<E>(
        self,
        limit: usize,
        go_on: impl Fn() -> Result<(), E>,
    ) -> Result<Explanation, E> {
        let Self { asked, decision, mut ids, policies, unusable } = self;
        let Asked { entries, mut paths, wanted, rule, kept } = asked;
        let (spiffe_id, path) = (ids.subject.clone(), paths.subject.clone());
        let reserved = Reserved::only(&path);
        let mut misses: Vec<(Rank<'_>, &Entry, Vec<Miss>)> = Vec::new();
        for entry in &entries {
            go_on()?;
            let mut failed = Vec::new();
            if !ids.matches(&entry.id, &kept) {
                failed.push(Miss::SpiffeId);
            }
            if !paths.matches(&entry.path, &kept) {
                failed.push(Miss::Path);
            } else if !entry.path.reserved.includes(reserved) {
                failed.push(Miss::Reserved(ReservedCause::PathNotDescribed));
            } else if rule == ReservedRule::Literal && !entry.path.named.includes(reserved) {
                failed.push(Miss::Reserved(ReservedCause::PathNotNamed));
            } else if !entry.id.reserved.includes(reserved) {
                failed.push(Miss::Reserved(ReservedCause::IdentityNotPrecise));
            }
            if !entry.permissions.allow(wanted) {
                failed.push(Miss::Permission);
            }
            if !failed.is_empty() {
                let common = common_length(entry.id.pattern.as_str(), &spiffe_id)
                    + common_length(entry.path.pattern.as_str(), &path);
                misses.push(((failed.len(), Reverse(common), entry.name.as_ref()), entry, failed));
            }
        }
        misses.sort_unstable_by_key(|(rank, ..)| *rank);
        misses.truncate(limit);
        let near_miss = |(_, entry, failed): (_, &Entry, Vec<Miss>)| {
            Ok(NearMiss {
                policy: Arc::clone(&entry.name),
                spiffe_id_pattern: entry.id.pattern.as_str().into(),
                path_pattern: entry.path.pattern.as_str().into(),
                suggestions: suggest::changes(entry, &failed, (&spiffe_id, &path), wanted, &go_on)?,
                failed,
            })
        };
        let near_misses = misses.into_iter().map(near_miss).collect::<Result<_, E>>()?;
        Ok(Explanation { decision, near_misses, policies, unusable })
    }
}

impl WhoCan {
    /// Who may, in the order of the policies' names. `go_on` is asked at every step.
    ///
    /// # Errors
    /// What `go_on` ends in.
    pub fn answer<E>(self, go_on: impl Fn() -> Result<(), E>) -> Result<Vec<Grantee>, E> {
        let Asked { entries, mut paths, wanted, rule, kept } = self.0;
        let reserved = Reserved::only(&paths.subject);
        let mut grantees: Vec<Grantee> = Vec::new();
        for entry in &entries {
            go_on()?;
            if entry.permissions.allow(wanted)
                && entry.reaches(reserved, rule)
                && paths.matches(&entry.path, &kept)
            {
                grantees.push(Grantee {
                    policy: Arc::clone(&entry.name),
                    spiffe_id_pattern: entry.id.pattern.as_str().into(),
                });
            }
        }
        grantees.sort_unstable_by(|a, b| a.policy.cmp(&b.policy));
        Ok(grantees)
    }
}

/// How far a policy is from allowing: fewer failed parts first, then the longer common beginnings, then the name.
type Rank<'e> = (usize, Reverse<usize>, &'e str);

/// One half of a request, and which patterns were found to match it.
#[derive(Debug)]
pub(super) struct Tried {
    slots: HashSet<Slot>,
    subject: String,
    /// By the pattern's place in memory, where the one who asks keeps it.
    answers: HashMap<usize, bool>,
}

impl Tried {
    pub(super) fn new(slots: Vec<Slot>, subject: &str) -> Self {
        let slots = slots.into_iter().collect();
        Self { slots, subject: subject.to_owned(), answers: HashMap::new() }
    }

    /// Whether `filed` matches. Most do not even have a key that fits, so few need their regular expression.
    pub(super) fn matches(&mut self, filed: &Arc<Filed>, kept: &Kept) -> bool {
        if !filed.slots.iter().any(|slot| self.slots.contains(slot)) {
            return false;
        }
        let answer = || filed.is_match(&self.subject, kept);
        *self.answers.entry(Arc::as_ptr(filed).addr()).or_insert_with(answer)
    }
}

/// How many bytes `pattern`, taken as a text, and `subject` begin with alike.
fn common_length(pattern: &str, subject: &str) -> usize {
    let text = pattern.bytes().filter(|byte| !matches!(byte, b'^' | b'\\'));
    text.zip(subject.bytes()).take_while(|(a, b)| a == b).count()
}
