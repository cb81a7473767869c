//! The decision: does a SPIFFE ID have a permission on a path?
//!
//! A [`PolicySet`] holds every stored policy, filed twice: under the required parts of its SPIFFE ID pattern and of its
//! path pattern. A request looks up both, and tries only the policies filed under a pair of slots that it reaches. So a
//! decision costs about the same with any number of policies, if their patterns have a required text. The index is only
//! a filter: the oracle in the tests, which tries every policy, must always agree.
//!
//! Built-in roles are decided elsewhere (wire-api 5.3).

use spike_domain::PermissionBits;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::error::{Field, PolicyError, Refusal};
use super::index::{CompiledPatterns, FieldIndex, Filed, Slot};
use super::postings::{self, Postings};
use super::reserved::{self, Reserved, ReservedRule};
use super::{Permission, Policy};

/// The largest sum of the widths of all patterns that nearly every request is matched with. A new policy above it is
/// refused. At the limit a path of 500 bytes takes four milliseconds.
pub const MAX_LOOSE_WIDTH: u64 = 256;

/// The answer to a request, with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// This policy allows it; there may be others.
    Allowed {
        /// The name of the policy.
        policy: Arc<str>,
    },
    /// No policy allows it. [`PolicySet::explain`] tells why.
    Denied,
}

impl Decision {
    /// Whether the request is allowed.
    pub const fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed { .. })
    }
}

/// All stored policies, ready to decide. A change takes microseconds, so the owner may keep the set behind a read-write
/// lock.
#[derive(Debug)]
pub struct PolicySet {
    ids: FieldIndex,
    paths: FieldIndex,
    /// The policies filed under each pair of slots.
    pairs: HashMap<(Slot, Slot), Postings>,
    /// The policies filed under each slot of a SPIFFE ID.
    by_id: HashMap<Slot, Postings>,
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    by_name: HashMap<Arc<str>, u32>,
    unusable: BTreeMap<Arc<str>, PolicyError>,
    compiled_patterns: Arc<CompiledPatterns>,
}

/// One policy in the set.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: Arc<str>,
    pub(super) id: Arc<Filed>,
    pub(super) path: Arc<Filed>,
    pub(super) permissions: PermissionBits,
}

impl PolicySet {
    /// A set without policies, which allows nothing.
    pub fn new() -> Self {
        Self {
            ids: FieldIndex::new(),
            paths: FieldIndex::new(),
            pairs: HashMap::new(),
            by_id: HashMap::new(),
            entries: Vec::new(),
            free: Vec::new(),
            by_name: HashMap::new(),
            unusable: BTreeMap::new(),
            compiled_patterns: Arc::default(),
        }
    }

    /// The number of policies, valid or not.
    pub fn len(&self) -> usize {
        self.by_name.len() + self.unusable.len()
    }

    /// Whether there is no policy.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds `policy`, and replaces one of the same name. A policy with an invalid pattern never matches, and is listed
    /// by [`PolicySet::unusable`].
    pub fn insert(&mut self, policy: &Policy) {
        self.remove(&policy.name);
        let name: Arc<str> = policy.name.as_str().into();
        match self.file(policy, Arc::clone(&name)) {
            Ok(entry) => self.enter(name, entry),
            Err(error) => {
                self.unusable.insert(name, error);
            }
        }
    }

    /// Removes the policy of this name. Returns whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        if self.unusable.remove(name).is_some() {
            return true;
        }
        let Some(number) = self.by_name.remove(name) else { return false };
        let Some(entry) = self.entries.get_mut(number as usize).and_then(Option::take) else {
            return false;
        };
        self.free.push(number);
        for pair in pairs_of(&entry) {
            postings::remove(&mut self.pairs, &pair, number);
        }
        for slot in &entry.id.slots {
            postings::remove(&mut self.by_id, slot, number);
        }
        self.ids.unfile(&entry.id);
        self.paths.unfile(&entry.path);
        true
    }

    /// The policies that cannot be read and never match, by name, with the reason.
    pub fn unusable(&self) -> impl ExactSizeIterator<Item = (&str, &PolicyError)> {
        self.unusable.iter().map(|(name, error)| (name.as_ref(), error))
    }

    /// As [`PolicySet::decide_by`], with upstream's rule for reserved paths.
    pub fn decide(&self, spiffe_id: &str, path: &str, wanted: Permission) -> Decision {
        self.decide_by(ReservedRule::Pattern, spiffe_id, path, wanted)
    }

    /// Whether a policy gives `spiffe_id` the permission `wanted` on `path`. The caller checks that both are valid.
    pub fn decide_by(
        &self,
        rule: ReservedRule,
        spiffe_id: &str,
        path: &str,
        wanted: Permission,
    ) -> Decision {
        let id_slots = self.ids.slots(spiffe_id);
        if id_slots.is_empty() {
            return Decision::Denied;
        }
        let path_slots = self.paths.slots(path);
        let reserved = Reserved::only(path);
        for &id_slot in &id_slots {
            for &path_slot in &path_slots {
                let Some(postings) = self.pairs.get(&(id_slot, path_slot)) else { continue };
                let allows = |entry: &&Entry| {
                    entry.permissions.allow(wanted)
                        && entry.reaches(reserved, rule)
                        && entry.is_match(spiffe_id, path, &self.compiled_patterns)
                };
                let mut entries = postings.numbers().iter().filter_map(|&n| self.entry(n));
                if let Some(entry) = entries.find(allows) {
                    return Decision::Allowed { policy: Arc::clone(&entry.name) };
                }
            }
        }
        Decision::Denied
    }

    /// Whether the patterns of `policy` may be added to those that nearly every request is matched with.
    ///
    /// A pattern without a required text is tried for nearly every request, so the sum of their widths bounds the cost
    /// of a request. Policies that are in the set stay, whatever they cost.
    ///
    /// # Errors
    /// [`Refusal::TooManyLoose`] if the sum would be above [`MAX_LOOSE_WIDTH`].
    pub fn check_loose_width(&self, policy: &Policy) -> Result<(), PolicyError> {
        let before = self.by_name.get(policy.name.as_str()).and_then(|&number| self.entry(number));
        let relief = before.map_or(0, |entry| {
            self.ids.loose_width_of_filed(&entry.id) + self.paths.loose_width_of_filed(&entry.path)
        });
        let of_id = self.ids.loose_width_of(&policy.spiffe_id_pattern);
        let of_path = self.paths.loose_width_of(&policy.path_pattern);
        let (added, in_use) = (of_id + of_path, self.ids.loose_width() + self.paths.loose_width());
        if added == 0 || (in_use + added).saturating_sub(relief) <= MAX_LOOSE_WIDTH {
            return Ok(());
        }
        let field = if of_path > 0 { Field::PathPattern } else { Field::SpiffeIdPattern };
        let why = Refusal::TooManyLoose { width: added, in_use, limit: MAX_LOOSE_WIDTH };
        Err(PolicyError::new(field, why))
    }

    /// All valid policies, in no order.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().flatten()
    }

    /// The policies that may match `spiffe_id`; some of them several times.
    pub(super) fn entries_near(&self, spiffe_id: &str) -> impl Iterator<Item = &Entry> {
        let filed = |slot: Slot| self.by_id.get(&slot).map_or(&[][..], Postings::numbers);
        let numbers = self.ids.slots(spiffe_id).into_iter().flat_map(filed);
        numbers.filter_map(|&number| self.entry(number))
    }

    pub(super) fn id_slots(&self, spiffe_id: &str) -> Vec<Slot> {
        self.ids.slots(spiffe_id)
    }

    pub(super) fn path_slots(&self, path: &str) -> Vec<Slot> {
        self.paths.slots(path)
    }

    pub(super) const fn compiled_patterns(&self) -> &Arc<CompiledPatterns> {
        &self.compiled_patterns
    }

    fn entry(&self, number: u32) -> Option<&Entry> {
        self.entries.get(number as usize)?.as_ref()
    }

    /// Files both patterns, or neither.
    fn file(&mut self, policy: &Policy, name: Arc<str>) -> Result<Entry, PolicyError> {
        let id_text = policy.spiffe_id_pattern.as_str();
        let id = self
            .ids
            .file(id_text, |admits, _path| {
                reserved::looks_anchored(id_text)
                    || (admits(reserved::PROBE) && reserved::is_precise(id_text))
            })
            .map_err(|error| PolicyError::new(Field::SpiffeIdPattern, error.into()))?;
        let path_text = policy.path_pattern.as_str();
        let path = self.paths.file(path_text, |admits, path| {
            admits(path) && reserved::is_described(path_text, path)
        });
        match path {
            Ok(path) => Ok(Entry { name, id, path, permissions: policy.permissions.bits() }),
            Err(error) => {
                self.ids.unfile(&id);
                Err(PolicyError::new(Field::PathPattern, error.into()))
            }
        }
    }

    #[expect(clippy::expect_used, reason = "four billion policies do not fit into memory")]
    fn enter(&mut self, name: Arc<str>, entry: Entry) {
        let number = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            u32::try_from(self.entries.len() - 1).expect("entry numbers fit into 32 bits")
        });
        for pair in pairs_of(&entry) {
            postings::add(&mut self.pairs, pair, number);
        }
        for &slot in &entry.id.slots {
            postings::add(&mut self.by_id, slot, number);
        }
        if let Some(place) = self.entries.get_mut(number as usize) {
            *place = Some(entry);
        }
        self.by_name.insert(name, number);
    }
}

impl Default for PolicySet {
    fn default() -> Self {
        Self::new()
    }
}

impl<'p> Extend<&'p Policy> for PolicySet {
    fn extend<I: IntoIterator<Item = &'p Policy>>(&mut self, policies: I) {
        policies.into_iter().for_each(|policy| self.insert(policy));
    }
}

impl<'p> FromIterator<&'p Policy> for PolicySet {
    fn from_iter<I: IntoIterator<Item = &'p Policy>>(policies: I) -> Self {
        let mut set = Self::new();
        set.extend(policies);
        set
    }
}

impl Entry {
    /// Whether the rule for reserved paths admits the policy to the path in `reserved`.
    pub(super) fn reaches(&self, reserved: Reserved, rule: ReservedRule) -> bool {
        self.id.reserved.includes(reserved)
            && self.path.reserved.includes(reserved)
            && match rule {
                ReservedRule::Pattern => true,
                ReservedRule::Literal => self.path.named.includes(reserved),
            }
    }

    /// Whether both patterns match. The cheaper one is tried first, because the other is often not needed.
    fn is_match(&self, spiffe_id: &str, path: &str, compiled_patterns: &CompiledPatterns) -> bool {
        let id_matches = || self.id.is_match(spiffe_id, compiled_patterns);
        let id_first = self.id.pattern.width() < self.path.pattern.width();
        if id_first && !id_matches() {
            return false;
        }
        self.path.is_match(path, compiled_patterns) && (id_first || id_matches())
    }
}

/// The pairs of slots under which `entry` is filed.
fn pairs_of(entry: &Entry) -> Vec<(Slot, Slot)> {
    let pair = |&id: &Slot| entry.path.slots.iter().map(move |&path| (id, path));
    entry.id.slots.iter().flat_map(pair).collect()
}
