//! A radix tree over keys: one walk along a text finds every key that the text begins with.
//!
//! A symbol is a byte of UTF-8, or [`ANY`], which matches one character. Each node is reached by at most one path, so a
//! walk costs at most the part of the tree that agrees with the text.

use super::super::plain::ANY;
use super::keys::step_over;

/// The node at the top, whose key is empty.
const ROOT: u32 = 0;

/// A node's number. It does not change while a key is filed there.
pub(super) type NodeId = u32;

#[derive(Debug, Default)]
struct Node {
    /// The symbols from `parent` to here.
    label: Box<[u8]>,
    parent: NodeId,
    /// Ordered by the first symbol of their labels.
    children: Vec<(u8, NodeId)>,
    /// How many keys end here and allow more text, and how many allow none.
    open: u32,
    exact: u32,
}

/// The tree.
#[derive(Debug)]
pub(super) struct Trie {
    nodes: Vec<Node>,
    free: Vec<NodeId>,
    /// One bit for each symbol that follows the root: most texts begin with no key at most positions.
    firsts: [u64; 4],
}

impl Trie {
    pub(super) fn new() -> Self {
        Self { nodes: vec![Node::default()], free: Vec::new(), firsts: [0; 4] }
    }

    /// Files one more key. Returns its node.
    pub(super) fn add(&mut self, symbols: &[u8], exact: bool) -> NodeId {
        let mut at = ROOT;
        let mut rest = symbols;
        while let Some(&first) = rest.first() {
            let Some(child) = self.child(at, first) else {
                at = self.grow(at, rest);
                break;
            };
            let label = &self.node(child).label;
            let common = label.iter().zip(rest).take_while(|(a, b)| a == b).count();
            at = if common < label.len() { self.split(child, common) } else { child };
            rest = rest.get(common..).unwrap_or_default();
        }
        let node = self.node_mut(at);
        if exact {
            node.exact += 1;
        } else {
            node.open += 1;
        }
        at
    }

    /// Removes one key from the node that [`Trie::add`] returned.
    pub(super) fn release(&mut self, id: NodeId, exact: bool) {
        let node = self.node_mut(id);
        let count = if exact { &mut node.exact } else { &mut node.open };
        *count = count.saturating_sub(1);
        let mut at = id;
        while at != ROOT {
            let node = self.node(at);
            if node.open > 0 || node.exact > 0 || !node.children.is_empty() {
                break;
            }
            let parent = node.parent;
            self.node_mut(parent).children.retain(|&(_, child)| child != at);
            if parent == ROOT {
                self.find_firsts();
            }
            *self.node_mut(at) = Node::default();
            self.free.push(at);
            at = parent;
        }
    }

    /// The number of keys with exactly these symbols.
    pub(super) fn count(&self, symbols: &[u8], exact: bool) -> usize {
        let mut at = ROOT;
        let mut rest = symbols;
        while let Some(&first) = rest.first() {
            let Some(child) = self.child(at, first) else { return 0 };
            let Some(after) = rest.strip_prefix(self.node(child).label.as_ref()) else { return 0 };
            at = child;
            rest = after;
        }
        let node = self.node(at);
        usize::try_from(if exact { node.exact } else { node.open }).unwrap_or(usize::MAX)
    }

    /// Whether only empty keys are filed.
    pub(super) fn is_bare(&self) -> bool {
        self.node(ROOT).children.is_empty()
    }

    /// Whether a key other than the empty one may be at the start of a text that begins with this byte.
    fn may_begin(&self, first: u8) -> bool {
        let leads_on = |symbol: u8| {
            let word = self.firsts.get(usize::from(symbol / 64)).copied().unwrap_or_default();
            word >> (symbol % 64) & 1 == 1
        };
        leads_on(first) || leads_on(ANY)
    }

    fn find_firsts(&mut self) {
        let mut firsts = [0; 4];
        for &(symbol, _) in &self.node(ROOT).children {
            if let Some(word) = firsts.get_mut(usize::from(symbol / 64)) {
                *word |= 1 << (symbol % 64);
            }
        }
        self.firsts = firsts;
    }

    /// Calls `found` with the root if the empty key is filed there.
    pub(super) fn visit_root(&self, subject: &[u8], found: &mut impl FnMut(NodeId, bool)) {
        self.report(ROOT, subject, found);
    }

    /// Calls `found` with every node but the root whose key `subject` begins with, and whether the key is exact.
    pub(super) fn visit(&self, subject: &[u8], found: &mut impl FnMut(NodeId, bool)) {
        if subject.first().is_some_and(|first| self.may_begin(*first)) {
            self.visit_below(ROOT, subject, found);
        }
    }

    /// Recurses only where a wildcard and a literal both continue, so no deeper than the wildcards in a key.
    fn visit_below(&self, from: NodeId, subject: &[u8], found: &mut impl FnMut(NodeId, bool)) {
        let mut at = from;
        let mut rest = subject;
        while let Some(&first) = rest.first() {
            if let Some(wild) = self.wild_child(at)
                && let Some(after) = self.follow(wild, rest)
            {
                self.report(wild, after, found);
                self.visit_below(wild, after, found);
            }
            let Some(child) = self.child(at, first) else { return };
            let Some(after) = self.follow(child, rest) else { return };
            self.report(child, after, found);
            at = child;
            rest = after;
        }
    }

    /// The rest of `subject` after the label of `id`.
    fn follow<'s>(&self, id: NodeId, subject: &'s [u8]) -> Option<&'s [u8]> {
        let mut rest = subject;
        for &symbol in &self.node(id).label {
            rest = rest.get(step_over(symbol, rest)?..)?;
        }
        Some(rest)
    }

    fn report(&self, id: NodeId, rest: &[u8], found: &mut impl FnMut(NodeId, bool)) {
        let node = self.node(id);
        if node.open > 0 {
            found(id, false);
        }
        if node.exact > 0 && rest.is_empty() {
            found(id, true);
        }
    }

    fn child(&self, of: NodeId, first: u8) -> Option<NodeId> {
        let children = &self.node(of).children;
        let at = children.binary_search_by_key(&first, |&(symbol, _)| symbol).ok()?;
        children.get(at).map(|&(_, child)| child)
    }

    /// The child by [`ANY`]. It is above every byte of UTF-8, so it is the last child, if it exists.
    fn wild_child(&self, of: NodeId) -> Option<NodeId> {
        self.node(of).children.last().filter(|(symbol, _)| *symbol == ANY).map(|&(_, child)| child)
    }

    fn grow(&mut self, parent: NodeId, label: &[u8]) -> NodeId {
        let id = self.allocate(Node { label: label.into(), parent, ..Node::default() });
        self.adopt(parent, id);
        id
    }

    /// Inserts a new node above `child`, after `length` symbols of its label. The child keeps its number.
    fn split(&mut self, child: NodeId, length: usize) -> NodeId {
        let parent = self.node(child).parent;
        let label = std::mem::take(&mut self.node_mut(child).label);
        let (upper, lower) = label.split_at_checked(length).unwrap_or((&label, &[]));
        let middle = self.allocate(Node { label: upper.into(), parent, ..Node::default() });
        self.adopt(parent, middle);
        let node = self.node_mut(child);
        node.label = lower.into();
        node.parent = middle;
        self.adopt(middle, child);
        middle
    }

    /// Inserts `child` among the children of `parent`, in place of one with the same first symbol.
    fn adopt(&mut self, parent: NodeId, child: NodeId) {
        let Some(&first) = self.node(child).label.first() else { return };
        let children = &mut self.node_mut(parent).children;
        match children.binary_search_by_key(&first, |&(symbol, _)| symbol) {
            Ok(at) => {
                if let Some(entry) = children.get_mut(at) {
                    entry.1 = child;
                }
            }
            Err(at) => {
                children.insert(at, (first, child));
                if parent == ROOT {
                    self.find_firsts();
                }
            }
        }
    }

    #[expect(clippy::expect_used, reason = "four billion keys do not fit into memory")]
    fn allocate(&mut self, node: Node) -> NodeId {
        if let Some(id) = self.free.pop() {
            *self.node_mut(id) = node;
            return id;
        }
        self.nodes.push(node);
        NodeId::try_from(self.nodes.len() - 1).expect("node numbers fit into 32 bits")
    }

    #[expect(clippy::indexing_slicing, reason = "ids come from this tree, which never shrinks")]
    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    #[expect(clippy::indexing_slicing, reason = "ids come from this tree, which never shrinks")]
    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id as usize]
    }
}
