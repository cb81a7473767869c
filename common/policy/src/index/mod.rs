//! The index over one field of all policies: which patterns may match a text.
//!
//! Every pattern is filed under a text that its matches contain ([`keys`]): their beginning if the pattern is anchored,
//! or a text anywhere in them. Of several keys, the one with the fewest other patterns is used. Patterns without such a
//! text are filed under the empty key, which every text fits.
//!
//! The index is only a filter. Without it every answer is the same.

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

pub(super) use filed::{CompiledPatterns, Filed};

/// Shorter floating keys, in bytes, are contained in many subjects.
const SHORT_KEY: usize = 4;

/// A slot of the index: a node of one of its trees, and whether an exact or an open key ends there.
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
    /// Keys that a text may contain anywhere.
    floating: Trie,
    /// Every pattern by its text, with the number of policies that use it.
    patterns: HashMap<ByText, u32>,
    /// The width of all patterns that nearly every request is matched with: see [`Filed::loose_width`].
    loose_width: u64,
}

impl FieldIndex {
    pub(super) fn new() -> Self {
        Self {
            anchored: Trie::new(),
            floating: Trie::new(),
            patterns: HashMap::new(),
            loose_width: 0,
        }
    }

    /// Files the pattern `text`, or finds it. `qualifies(admits, path)` tells whether the pattern, as its half of a
    /// policy, qualifies for the reserved `path`. That may need compiling, so it receives `admits`, a cheap test for
    /// what the pattern cannot match.
    ///
    /// # Errors
    /// [`SyntaxError`] if the pattern is invalid.
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
        self.loose_width += filed.loose_width();
        self.patterns.insert(ByText(Arc::clone(&filed)), 1);
        Ok(filed)
    }

    /// Reverts one [`FieldIndex::file`].
    pub(super) fn unfile(&mut self, filed: &Arc<Filed>) {
        let text = filed.pattern.as_str();
        let Some(uses) = self.patterns.get_mut(text) else { return };
        *uses -= 1;
        if *uses > 0 {
            return;
        }
        self.patterns.remove(text);
        self.loose_width -= filed.loose_width();
        for slot in &filed.slots {
            let trie = if slot.anchored { &mut self.anchored } else { &mut self.floating };
            trie.release(slot.node, slot.exact);
        }
    }

    /// The width of all patterns that nearly every request is matched with.
    pub(super) const fn loose_width(&self) -> u64 {
        self.loose_width
    }

    /// The width that [`FieldIndex::file`] would add to it; 0 for an invalid pattern, which is refused elsewhere.
    pub(super) fn loose_width_of(&self, text: &str) -> u64 {
        if self.patterns.contains_key(text) {
            return 0;
        }
        let Ok(node) = go_syntax::parse(text) else { return 0 };
        let Ok(pattern) = Pattern::from_node(text, &node) else { return 0 };
        if is_loose(&self.choose(Keys::of(&node))) { pattern.width() } else { 0 }
    }

    /// The width that one [`FieldIndex::unfile`] would remove.
    pub(super) fn loose_width_of_filed(&self, filed: &Filed) -> u64 {
        let uses = self.patterns.get(filed.pattern.as_str());
        if uses == Some(&1) { filed.loose_width() } else { 0 }
    }

    /// The slots whose keys `subject` fits, each once.
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

    /// The keys of a pattern; the empty one if it requires nothing.
    fn choose(&self, keys: Keys) -> Vec<Key> {
        let everything = || vec![Key { symbols: Vec::new(), anchored: false, exact: false }];
        let chosen = keys.choose(|key| self.trie(key).count(&key.symbols, key.exact));
        chosen.unwrap_or_else(everything)
    }

    /// Files a pattern's keys. Returns the slots, and whether one of them is loose.
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

/// Whether one of the keys fits nearly every subject, or can easily be made to: the empty key, the beginning of every
/// SPIFFE ID, or a few characters anywhere.
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
