//! The decision: may this SPIFFE ID do this to this path?
//!
//! A [`PolicySet`] holds every stored policy, filed twice: by what its SPIFFE ID pattern and by what its path pattern
//! demands. A request looks up both, and only the policies filed under a pair of places that both halves of the
//! request reach are tried. So a decision costs about the same however many policies there are, as long as their
//! patterns say anything definite. The index is only a filter: the oracle in the tests, which tries every policy,
//! must always agree.
//!
//! Who passes without policies, and who is refused whatever they say, is decided elsewhere (wire-api 5.3).

use spike_domain::PermissionBits;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::error::{Field, PolicyError, Refusal};
use super::index::{FieldIndex, Filed, Kept, Slot};
use super::postings::{self, Postings};
use super::reserved::{self, Reserved, ReservedRule};
use super::{Permission, Policy};

/// How many places the patterns together may have that nearly every request is searched with, for a new policy to be let
/// in. At the worst a path of 500 bytes then takes four milliseconds.
pub const MAX_BURDEN: u64 = 256;

/// The answer to a request, with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// This policy allows it. Others may as well.
    Allowed {
        /// The name of the policy.
        policy: Arc<str>,
    },
    /// No policy allows it. [`PolicySet::explain`] says how near each came.
    Denied,
}

impl Decision {
    /// Whether the request is allowed.
    pub const fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed { .. })
    }
}

/// Every stored policy, ready to decide. Changing one costs microseconds, so the holder may keep the set behind a
/// read-write lock.
#[derive(Debug)]
pub struct PolicySet {
    ids: FieldIndex,
    paths: FieldIndex,
    /// The policies filed under each pair of places.
    pairs: HashMap<(Slot, Slot), Postings>,
    /// The policies filed under each place of a SPIFFE ID.
    by_id: HashMap<Slot, Postings>,
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    by_name: HashMap<Arc<str>, u32>,
    unusable: BTreeMap<Arc<str>, PolicyError>,
    kept: Arc<Kept>,
}

/// One policy as the set keeps it.
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
            kept: Arc::default(),
        }
    }

    /// How many policies there are, usable or not.
    pub fn len(&self) -> usize {
        self.by_name.len() + self.unusable.len()
    }

    /// Whether there is no policy.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts `policy` in, in place of one of the same name. A policy whose patterns do not translate never matches
    /// and is reported by [`PolicySet::unusable`].
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

    /// Takes the policy of this name out, and answers whether there was one.
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

    /// The policies that never match because they cannot be read, by name, each with the reason.
    pub fn unusable(&self) -> impl ExactSizeIterator<Item = (&str, &PolicyError)> {
        self.unusable.iter().map(|(name, error)| (name.as_ref(), error))
    }

    /// As [`PolicySet::decide_by`], with upstream's rule for reserved paths.
    pub fn decide(&self, spiffe_id: &str, path: &str, wanted: Permission) -> Decision {
        self.decide_by(ReservedRule::Pattern, spiffe_id, path, wanted)
    }

    /// Whether some policy lets `spiffe_id` do `wanted` to `path`. Both are taken as they are: what is no SPIFFE ID
    /// or no path is the caller's business.
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
                        && entry.is_match(spiffe_id, path, &self.kept)
                };
                let mut entries = postings.numbers().iter().filter_map(|&n| self.entry(n));
                if let Some(entry) = entries.find(allows) {
                    return Decision::Allowed { policy: Arc::clone(&entry.name) };
                }
            }
        }
        Decision::Denied
    }

    /// Whether the patterns of `policy` may be added to those that nearly every request is searched with.
    ///
    /// A pattern that begins with no text of its own is tried for nearly every request, so that the sum of all of them
    /// is what a request may cost. Policies that are in the set stay, whatever they cost.
    ///
    /// # Errors
    /// [`Refusal::NoRoom`] where they and the others are over [`MAX_BURDEN`].
    pub fn check_room(&self, policy: &Policy) -> Result<(), PolicyError> {
        let before = self.by_name.get(policy.name.as_str()).and_then(|&number| self.entry(number));
        let relief = before
            .map_or(0, |entry| self.ids.relief_of(&entry.id) + self.paths.relief_of(&entry.path));
        let of_id = self.ids.burden_of(&policy.spiffe_id_pattern);
        let of_path = self.paths.burden_of(&policy.path_pattern);
        let (added, in_use) = (of_id + of_path, self.ids.burden() + self.paths.burden());
        if added == 0 || (in_use + added).saturating_sub(relief) <= MAX_BURDEN {
            return Ok(());
        }
        let field = if of_path > 0 { Field::PathPattern } else { Field::SpiffeIdPattern };
        let why = Refusal::NoRoom { width: added, in_use, limit: MAX_BURDEN };
        Err(PolicyError::new(field, why))
    }

    /// Every usable policy, in no order.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().flatten()
    }

    /// The policies that may be about `spiffe_id`; some of them several times.
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

    pub(super) const fn kept(&self) -> &Arc<Kept> {
        &self.kept
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
    /// Whether the rule for reserved paths lets the policy act on the path that `reserved` stands for.
    pub(super) fn reaches(&self, reserved: Reserved, rule: ReservedRule) -> bool {
        self.id.reserved.includes(reserved)
            && self.path.reserved.includes(reserved)
            && match rule {
                ReservedRule::Pattern => true,
                ReservedRule::Literal => self.path.named.includes(reserved),
            }
    }

    /// Whether both patterns match. The cheaper one is tried first: it often spares the other.
    fn is_match(&self, spiffe_id: &str, path: &str, kept: &Kept) -> bool {
        let id_matches = || self.id.is_match(spiffe_id, kept);
        let id_first = self.id.pattern.width() < self.path.pattern.width();
        if id_first && !id_matches() {
            return false;
        }
        self.path.is_match(path, kept) && (id_first || id_matches())
    }
}

/// The pairs of places under which `entry` is filed.
fn pairs_of(entry: &Entry) -> Vec<(Slot, Slot)> {
    let pair = |&id: &Slot| entry.path.slots.iter().map(move |&path| (id, path));
    entry.id.slots.iter().flat_map(pair).collect()
}
