//! Why a request is allowed or denied, and who has a permission. For operators only: a denied workload learns nothing
//! more.
//!
//! These functions try all policies: 100,000 policies take about 50 milliseconds, and more with expensive patterns,
//! while a decision takes a microsecond. So a question first copies what it needs from the set, and is answered without
//! the set, until the caller stops it.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::sync::Arc;

use super::Permission;
use super::decide::{Decision, Entry, PolicySet};
use super::error::ReservedCause;
use super::index::{CompiledPatterns, Filed, Slot};
use super::miss::Miss;
use super::reserved::{Reserved, ReservedRule};
use super::suggest::{self, Suggestion};

/// A decision, and the policies that nearly allow the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The answer.
    pub decision: Decision,
    /// The policies that nearly allow it, nearest first.
    pub near_misses: Vec<NearMiss>,
    /// The number of policies.
    pub policies: usize,
    /// The number of policies that cannot be read and never match; [`PolicySet::unusable`] lists them.
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
    /// The parts that do not match, at least one.
    pub failed: Vec<Miss>,
    /// For each of these parts, the smallest change that makes it match.
    pub suggestions: Vec<Suggestion>,
}

/// Those to whom one policy gives a permission on a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grantee {
    /// The policy.
    pub policy: Arc<str>,
    /// The pattern of their SPIFFE IDs.
    pub spiffe_id_pattern: String,
}

/// A question about one request, with a snapshot of the policies. The set may change meanwhile; no lock on it is held.
#[derive(Debug)]
pub struct Question {
    asked: Snapshot,
    decision: Decision,
    ids: MatchedPatterns,
    policies: usize,
    unusable: usize,
}

/// The question who has a permission on a path, with a snapshot of the policies.
#[derive(Debug)]
pub struct WhoCan(Snapshot);

/// What both questions have in common.
#[derive(Debug)]
struct Snapshot {
    entries: Vec<Entry>,
    paths: MatchedPatterns,
    wanted: Permission,
    rule: ReservedRule,
    compiled_patterns: Arc<CompiledPatterns>,
}

/// A `go_on` for answers without a limit.
///
/// # Errors
/// None.
pub const fn unlimited() -> Result<(), Infallible> {
    Ok(())
}

impl PolicySet {
    /// The decision by upstream's rule for reserved paths, and up to `limit` policies that nearly allow the request.
    pub fn explain(
        &self,
        spiffe_id: &str,
        path: &str,
        wanted: Permission,
        limit: usize,
    ) -> Explanation {
        let question = self.question(ReservedRule::Pattern, spiffe_id, path, wanted);
        let Ok(explanation) = question.explain(limit, unlimited);
        explanation
    }

    /// Who has the permission `wanted` on `path` by a policy and upstream's rule for reserved paths, in the order of
    /// the policies' names.
    pub fn who_can(&self, path: &str, wanted: Permission) -> Vec<Grantee> {
        let Ok(grantees) = self.ask_who_can(ReservedRule::Pattern, path, wanted).answer(unlimited);
        grantees
    }

    /// The question why `spiffe_id` has the permission `wanted` on `path` or not. It takes a few milliseconds for
    /// 100,000 policies; the answer may take much longer.
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
            ids: MatchedPatterns::new(self.id_slots(spiffe_id), spiffe_id),
            policies: self.len(),
            unusable: self.unusable().len(),
        }
    }

    /// The question who has the permission `wanted` on `path`. As [`PolicySet::question`].
    pub fn ask_who_can(&self, rule: ReservedRule, path: &str, wanted: Permission) -> WhoCan {
        WhoCan(self.asked(rule, path, wanted))
    }

    fn asked(&self, rule: ReservedRule, path: &str, wanted: Permission) -> Snapshot {
        Snapshot {
            entries: self.entries().cloned().collect(),
            paths: MatchedPatterns::new(self.path_slots(path), path),
            wanted,
            rule,
            compiled_patterns: Arc::clone(self.compiled_patterns()),
        }
    }
}

impl Question {
    /// The decision, and up to `limit` policies that nearly allow the request. Calls `go_on` at every step.
    ///
    /// # Errors
    /// The error of `go_on`.
    pub fn explain<E>(
        self,
        limit: usize,
        go_on: impl Fn() -> Result<(), E>,
    ) -> Result<Explanation, E> {
        let Self { asked, decision, mut ids, policies, unusable } = self;
        let Snapshot { entries, mut paths, wanted, rule, compiled_patterns } = asked;
        let (spiffe_id, path) = (ids.subject.clone(), paths.subject.clone());
        let reserved = Reserved::only(&path);
        let mut misses: Vec<(Rank<'_>, &Entry, Vec<Miss>)> = Vec::new();
        for entry in &entries {
            go_on()?;
            let mut failed = Vec::new();
            if !ids.matches(&entry.id, &compiled_patterns) {
                failed.push(Miss::SpiffeId);
            }
            if !paths.matches(&entry.path, &compiled_patterns) {
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
    /// Who has the permission, in the order of the policies' names. Calls `go_on` at every step.
    ///
    /// # Errors
    /// The error of `go_on`.
    pub fn answer<E>(self, go_on: impl Fn() -> Result<(), E>) -> Result<Vec<Grantee>, E> {
        let Snapshot { entries, mut paths, wanted, rule, compiled_patterns } = self.0;
        let reserved = Reserved::only(&paths.subject);
        let mut grantees: Vec<Grantee> = Vec::new();
        for entry in &entries {
            go_on()?;
            if entry.permissions.allow(wanted)
                && entry.reaches(reserved, rule)
                && paths.matches(&entry.path, &compiled_patterns)
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

/// How nearly a policy allows a request: fewer failed parts first, then longer common prefixes, then the name.
type Rank<'e> = (usize, Reverse<usize>, &'e str);

/// One half of a request, and the patterns that were matched with it.
#[derive(Debug)]
pub(super) struct MatchedPatterns {
    slots: HashSet<Slot>,
    subject: String,
    /// By the address of the pattern, which the caller keeps alive.
    answers: HashMap<usize, bool>,
}

impl MatchedPatterns {
    pub(super) fn new(slots: Vec<Slot>, subject: &str) -> Self {
        let slots = slots.into_iter().collect();
        Self { slots, subject: subject.to_owned(), answers: HashMap::new() }
    }

    /// Whether `filed` matches. Most patterns have no fitting key, so few regular expressions are needed.
    pub(super) fn matches(
        &mut self,
        filed: &Arc<Filed>,
        compiled_patterns: &CompiledPatterns,
    ) -> bool {
        if !filed.slots.iter().any(|slot| self.slots.contains(slot)) {
            return false;
        }
        let answer = || filed.is_match(&self.subject, compiled_patterns);
        *self.answers.entry(Arc::as_ptr(filed).addr()).or_insert_with(answer)
    }
}

/// The length of the common prefix of `pattern`, as a text, and `subject`, in bytes.
fn common_length(pattern: &str, subject: &str) -> usize {
    let text = pattern.bytes().filter(|byte| !matches!(byte, b'^' | b'\\'));
    text.zip(subject.bytes()).take_while(|(a, b)| a == b).count()
}
