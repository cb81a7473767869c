//! The index over one field of all policies: which patterns may match a text.
//!
//! Every pattern is filed under what its matches must contain ([`keys`]): under how they begin if it is anchored, under
//! a text they hold somewhere if it is not. Where a pattern offers several keys, the one that the fewest others share
//! is taken. Patterns that say nothing are filed under the empty key, which every text has.
//!
//! The index is only a filter. Dropping it would change no answer.

mod filed;
mod keys;
mod trie;

#[cfg(test)]
mod tests;

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::go_syntax::{self, SyntaxError};
use super::pattern::Pattern;
use super::reserved::{self, Reserved};
use keys::{Key, Keys};
use trie::{NodeId, Trie};

pub(super) use filed::{Filed, Kept};

/// Keys of fewer bytes that may stand anywhere stand in many subjects.
const SHORT_KEY: usize = 4;

/// A place in the index: a node of one of its trees, and whether an exact or an open key ends there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Slot {
    node: NodeId,
    anchored: bool,
    exact: bool,
}

/// The patterns of one field.
#[derive(Debug)]
pub(super) struct FieldIndex {
    /// Keys that a text must begin with.
    anchored: Trie,
    /// Keys that a text may hold anywhere.
    floating: Trie,
    /// Every pattern by its text, with the number of policies that use it.
    patterns: HashMap<ByText, u32>,
    /// What the patterns add together to the search of nearly every request: see [`Filed::burden`].
    burden: u64,
}

impl FieldIndex {
    pub(super) fn new() -> Self {
        Self { anchored: Trie::new(), floating: Trie::new(), patterns: HashMap::new(), burden: 0 }
    }

    /// Files the pattern `text`, or finds it. `qualifies(admits, path)` says whether the pattern, as the half of a
    /// policy that it is, qualifies for the reserved `path`. To find out may take compiling, so it is handed `admits`,
    /// which tells cheaply what the pattern cannot match.
    ///
    /// # Errors
    /// [`SyntaxError`] when the pattern cannot be used.
    pub(super) fn file(
        &mut self,
        text: &str,
        qualifies: impl Fn(&dyn Fn(&str) -> bool, &str) -> bool,
    ) -> Result<Arc<Filed>, SyntaxError> {
        if let Some((ByText(filed), _)) = self.patterns.get_key_value(text) {
            let filed = Arc::clone(filed);
            if let Some(uses) = self.patterns.get_mut(text) {
                *uses += 1;
            }
            return Ok(filed);
        }
        let node = go_syntax::parse(text)?;
        let pattern = Pattern::from_node(text, &node)?;
        let keys = Keys::of(&node);
        let reserved = Reserved::where_true(|path| qualifies(&|subject| keys.admit(subject), path));
        let named = Reserved::where_true(|path| reserved::is_named(&node, path));
        let place = self.add_keys(keys);
        let filed = Arc::new(Filed::new(pattern, place, reserved, named));
        self.burden += filed.burden();
        self.patterns.insert(ByText(Arc::clone(&filed)), 1);
        Ok(filed)
    }

    /// Takes back one [`FieldIndex::file`].
    pub(super) fn unfile(&mut self, filed: &Arc<Filed>) {
        let text = filed.pattern.as_str();
        let Some(uses) = self.patterns.get_mut(text) else { return };
        *uses -= 1;
        if *uses > 0 {
            return;
        }
        self.patterns.remove(text);
        self.burden -= filed.burden();
        for slot in &filed.slots {
            let trie = if slot.anchored { &mut self.anchored } else { &mut self.floating };
            trie.release(slot.node, slot.exact);
        }
    }

    /// What the patterns add together to the search of nearly every request, in places.
    pub(super) const fn burden(&self) -> u64 {
        self.burden
    }

    /// What [`FieldIndex::file`] would add to it. Nothing for what cannot be used, which is refused elsewhere.
    pub(super) fn burden_of(&self, text: &str) -> u64 {
        if self.patterns.contains_key(text) {
            return 0;
        }
        let Ok(node) = go_syntax::parse(text) else { return 0 };
        let Ok(pattern) = Pattern::from_node(text, &node) else { return 0 };
        if is_loose(&self.choose(Keys::of(&node))) { pattern.width() } else { 0 }
    }

    /// What one [`FieldIndex::unfile`] would take away.
    pub(super) fn relief_of(&self, filed: &Filed) -> u64 {
        let uses = self.patterns.get(filed.pattern.as_str());
        if uses == Some(&1) { filed.burden() } else { 0 }
    }

    /// The places whose keys `subject` fits, each once.
    pub(super) fn slots(&self, subject: &str) -> Vec<Slot> {
        let mut slots = Vec::with_capacity(8);
        let bytes = subject.as_bytes();
        let mut found = |node, exact| slots.push(Slot { node, anchored: true, exact });
        self.anchored.visit_root(bytes, &mut found);
        self.anchored.visit(bytes, &mut found);
        self.floating.visit_root(bytes, &mut |node, exact| {
            slots.push(Slot { node, anchored: false, exact });
        });
        if !self.floating.is_bare() {
            let first_floating = slots.len();
            for (at, _) in subject.char_indices() {
                self.floating.visit(bytes.get(at..).unwrap_or_default(), &mut |node, exact| {
                    let slot = Slot { node, anchored: false, exact };
                    // Few keys occur in one text, but one key may occur often.
                    if !slots.iter().skip(first_floating).any(|known| *known == slot) {
                        slots.push(slot);
                    }
                });
            }
        }
        slots
    }

    /// The keys under which a pattern is filed; the empty one where it demands nothing.
    fn choose(&self, keys: Keys) -> Vec<Key> {
        let everything = || vec![Key { symbols: Vec::new(), anchored: false, exact: false }];
        let chosen = keys.choose(|key| self.trie(key).count(&key.symbols, key.exact));
        chosen.unwrap_or_else(everything)
    }

    /// Files a pattern's keys, and answers the places and whether one of them is loose.
    fn add_keys(&mut self, keys: Keys) -> (Box<[Slot]>, bool) {
        let chosen = self.choose(keys);
        let loose = is_loose(&chosen);
        let slots = chosen
            .into_iter()
            .map(|Key { symbols, anchored, exact }| {
                let trie = if anchored { &mut self.anchored } else { &mut self.floating };
                Slot { node: trie.add(&symbols, exact), anchored, exact }
            })
            .collect();
        (slots, loose)
    }

    fn trie(&self, key: &Key) -> &Trie {
        if key.anchored { &self.anchored } else { &self.floating }
    }
}

/// Whether one of the keys is in nearly every subject, or easily put into one: the empty one, what every SPIFFE ID begins
/// with, or a few characters that may stand anywhere.
fn is_loose(keys: &[Key]) -> bool {
    keys.iter().any(|key| {
        let is_short = !key.anchored && key.symbols.len() < SHORT_KEY;
        is_short || (!key.exact && b"spiffe://".starts_with(&key.symbols))
    })
}

/// A pattern that is looked up by its text.
#[derive(Debug)]
struct ByText(Arc<Filed>);

impl Borrow<str> for ByText {
    fn borrow(&self) -> &str {
        self.0.pattern.as_str()
    }
}

impl PartialEq for ByText {
    fn eq(&self, other: &Self) -> bool {
        self.0.pattern.as_str() == other.0.pattern.as_str()
    }
}

impl Eq for ByText {}

impl Hash for ByText {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.pattern.as_str().hash(state);
    }
}
