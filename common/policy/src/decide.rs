//! The decision: may this SPIFFE ID do this to this path?
//!
//! A [`PolicySet`] holds every stored policy, filed twice: by what its SPIFFE ID pattern and by what its path pattern
//! demands. A request looks up both, and only the policies filed under a pair of places that both halves of the
//! request reach are tried. So a decision costs about the same however many policies there are, as long as their
//! patterns say anything definite. The index is only a filter: the oracle in the tests, which tries every policy,
//! must always agree.
//!
//! Who passes without policies, and who is refused whatever they say, is decided elsewhere (wire-api 5.3).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::error::{Field, PolicyError};
use super::index::{FieldIndex, Filed, Kept, Slot};
use super::permission::PermissionBits;
use super::reserved::{self, Reserved};
use super::{Permission, Policy};

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
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    by_name: HashMap<Arc<str>, u32>,
    unusable: BTreeMap<Arc<str>, PolicyError>,
    pub(super) kept: Kept,
}

/// One policy as the set keeps it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: Arc<str>,
    pub(super) id: Arc<Filed>,
    pub(super) path: Arc<Filed>,
    pub(super) permissions: PermissionBits,
}

/// Numbers of entries: mostly one, so it takes no heap.
#[derive(Debug)]
enum Postings {
    One(u32),
    Many(Vec<u32>),
}

impl PolicySet {
    /// A set without policies, which allows nothing.
    pub fn new() -> Self {
        Self {
            ids: FieldIndex::new(),
            paths: FieldIndex::new(),
            pairs: HashMap::new(),
            entries: Vec::new(),
            free: Vec::new(),
            by_name: HashMap::new(),
            unusable: BTreeMap::new(),
            kept: Kept::default(),
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
            if let Some(postings) = self.pairs.get_mut(&pair)
                && postings.remove(number)
            {
                self.pairs.remove(&pair);
            }
        }
        self.ids.unfile(&entry.id);
        self.paths.unfile(&entry.path);
        true
    }

    /// The policies that never match because they cannot be read, by name, each with the reason.
    pub fn unusable(&self) -> impl ExactSizeIterator<Item = (&str, &PolicyError)> {
        self.unusable.iter().map(|(name, error)| (name.as_ref(), error))
    }

    /// Whether some policy lets `spiffe_id` do `wanted` to `path`. Both are taken as they are: what is no SPIFFE ID
    /// or no path is the caller's business.
    pub fn decide(&self, spiffe_id: &str, path: &str, wanted: Permission) -> Decision {
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
                        && entry.reaches(reserved)
                        && entry.path.is_match(path, &self.kept)
                        && entry.id.is_match(spiffe_id, &self.kept)
                };
                let mut entries = postings.numbers().iter().filter_map(|&n| self.entry(n));
                if let Some(entry) = entries.find(allows) {
                    return Decision::Allowed { policy: Arc::clone(&entry.name) };
                }
            }
        }
        Decision::Denied
    }

    /// Every usable policy, in no order.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().flatten()
    }

    pub(super) fn id_slots(&self, spiffe_id: &str) -> Vec<Slot> {
        self.ids.slots(spiffe_id)
    }

    pub(super) fn path_slots(&self, path: &str) -> Vec<Slot> {
        self.paths.slots(path)
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
            self.pairs
                .entry(pair)
                .and_modify(|postings| postings.add(number))
                .or_insert(Postings::One(number));
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
    pub(super) fn reaches(&self, reserved: Reserved) -> bool {
        self.id.reserved.includes(reserved) && self.path.reserved.includes(reserved)
    }
}

impl Postings {
    fn numbers(&self) -> &[u32] {
        match self {
            Self::One(number) => std::slice::from_ref(number),
            Self::Many(numbers) => numbers,
        }
    }

    fn add(&mut self, number: u32) {
        match self {
            Self::One(first) => *self = Self::Many(vec![*first, number]),
            Self::Many(numbers) => numbers.push(number),
        }
    }

    /// Takes `number` out and answers whether nothing is left.
    fn remove(&mut self, number: u32) -> bool {
        match self {
            Self::One(only) => *only == number,
            Self::Many(numbers) => {
                if let Some(at) = numbers.iter().position(|&n| n == number) {
                    numbers.swap_remove(at);
                }
                numbers.is_empty()
            }
        }
    }
}

/// The pairs of places under which `entry` is filed.
fn pairs_of(entry: &Entry) -> Vec<(Slot, Slot)> {
    let pair = |&id: &Slot| entry.path.slots.iter().map(move |&path| (id, path));
    entry.id.slots.iter().flat_map(pair).collect()
}
