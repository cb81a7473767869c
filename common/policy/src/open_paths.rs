//! The paths that are open to one peer for one purpose: to ask about many of them, as a listing does.

use std::collections::HashMap;
use std::sync::Arc;

use super::Permission;
use super::decide::{Entry, PolicySet};
use super::index::Filed;
use super::pattern::Pattern;
use super::reserved::{Reserved, ReservedRule};

/// Up to this many policies are tried one by one for each path.
const FEW: usize = 16;

/// The paths that are open to one peer for one purpose.
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
    /// The paths to which `spiffe_id` may do `wanted`.
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
                .or_insert_with(|| entry.id.is_match(spiffe_id, self.kept()));
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
    /// Whether `path` is open: the same answer that [`PolicySet::decide_by`] gives.
    pub fn includes(&self, path: &str) -> bool {
        let Some(few) = &self.few else {
            return self.set.decide_by(self.rule, &self.spiffe_id, path, self.wanted).is_allowed();
        };
        let reserved = Reserved::only(path);
        let opens = |entry: &&Entry| {
            entry.reaches(reserved, self.rule) && entry.path.is_match(path, self.set.kept())
        };
        few.iter().any(opens)
    }

    /// Whether no path is open at all.
    pub fn is_empty(&self) -> bool {
        self.few.as_ref().is_some_and(Vec::is_empty)
    }

    /// How every open path begins: with one of these, which are in order and none of which begins with another. The
    /// empty text alone where nothing is known.
    pub fn beginnings(&self) -> Vec<String> {
        let Some(few) = &self.few else { return vec![String::new()] };
        let beginning = |entry: &&Entry| Pattern::beginning(entry.path.pattern.as_str());
        let mut all: Vec<String> = few.iter().map(beginning).collect();
        all.sort_unstable();
        // In this order, whatever begins with another comes after it.
        all.dedup_by(|longer, shorter| longer.starts_with(shorter.as_str()));
        all
    }
}
