//! The paths on which one peer has a permission, for questions about many paths, as in a listing.

use std::collections::HashMap;
use std::sync::Arc;

use super::Permission;
use super::decide::{Entry, PolicySet};
use super::index::Filed;
use super::pattern::Pattern;
use super::reserved::{Reserved, ReservedRule};

/// Up to this many policies are tried one by one for each path.
const FEW: usize = 16;

/// The paths on which one peer has a permission.
#[derive(Debug)]
pub struct OpenPaths<'s> {
    set: &'s PolicySet,
    rule: ReservedRule,
    spiffe_id: String,
    wanted: Permission,
    /// The policies that match the peer, if they are few.
    few: Option<Vec<&'s Entry>>,
}

impl PolicySet {
    /// The paths on which `spiffe_id` has the permission `wanted`.
    pub fn paths_open_to(
        &self,
        rule: ReservedRule,
        spiffe_id: &str,
        wanted: Permission,
    ) -> OpenPaths<'_> {
        let mut answers: HashMap<*const Filed, bool> = HashMap::new();
        let mut few: Vec<&Entry> = Vec::new();
        for entry in self.entries_near(spiffe_id).filter(|entry| entry.permissions.allow(wanted)) {
            let answer = answers
                .entry(Arc::as_ptr(&entry.id))
                .or_insert_with(|| entry.id.is_match(spiffe_id, self.compiled_patterns()));
            if *answer {
                few.push(entry);
            }
            if few.len() > FEW {
                break;
            }
        }
        let few = (few.len() <= FEW).then_some(few);
        OpenPaths { set: self, rule, spiffe_id: spiffe_id.into(), wanted, few }
    }
}

impl OpenPaths<'_> {
    /// Whether the peer has the permission on `path`: the same answer as [`PolicySet::decide_by`].
    pub fn includes(&self, path: &str) -> bool {
        let Some(few) = &self.few else {
            return self.set.decide_by(self.rule, &self.spiffe_id, path, self.wanted).is_allowed();
        };
        let reserved = Reserved::only(path);
        let opens = |entry: &&Entry| {
            entry.reaches(reserved, self.rule)
                && entry.path.is_match(path, self.set.compiled_patterns())
        };
        few.iter().any(opens)
    }

    /// Whether there is no such path.
    pub fn is_empty(&self) -> bool {
        self.few.as_ref().is_some_and(Vec::is_empty)
    }

    /// Prefixes of all such paths, in order; none is a prefix of another. Only the empty text if nothing is known.
    pub fn beginnings(&self) -> Vec<String> {
        let Some(few) = &self.few else { return vec![String::new()] };
        let beginning = |entry: &&Entry| Pattern::beginning(entry.path.pattern.as_str());
        let mut all: Vec<String> = few.iter().map(beginning).collect();
        all.sort_unstable();
        // In this order, a text comes after its prefix.
        all.dedup_by(|longer, shorter| longer.starts_with(shorter.as_str()));
        all
    }
}
