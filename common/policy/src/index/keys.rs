//! The keys of a pattern: what every text that it matches contains. The pattern is filed under them.
//!
//! A key is only a filter. It may admit texts that do not match; it must never exclude one that does.

use super::super::go_syntax::{Look, Node};
use super::super::plain::{ANY, step};

/// The longest key in bytes. Longer ones are cut.
const MAX_KEY: usize = 160;

/// The most keys of one pattern.
const MAX_KEYS: usize = 16;

/// The most keys made from the alternatives inside a pattern.
const MAX_EXPANDED: usize = 8;

/// The most copies of a repeated part in a key.
const MAX_COPIES: u32 = 8;

/// Bytes that a text must contain; [`ANY`] is any one character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) symbols: Vec<u8>,
    /// Whether the text must begin with the symbols, or may contain them anywhere.
    pub(super) anchored: bool,
    /// Whether the text must also end with them. Only an anchored key can be exact.
    pub(super) exact: bool,
}

/// Alternative keys: a matching text fits at least one.
pub(super) type AnyOf = Vec<Key>;

/// The keys of one pattern.
#[derive(Debug)]
pub(super) struct Keys {
    /// For each alternative of the pattern, several [`AnyOf`], all of which apply. An empty list means that nothing is
    /// known.
    branches: Vec<Vec<AnyOf>>,
}

impl Keys {
    pub(super) fn of(root: &Node) -> Self {
        let mut branches = Vec::new();
        collect_branches(root, &mut branches);
        Self { branches }
    }

    /// Picks one [`AnyOf`] for each alternative by the lowest `cost`, prefers earlier ones, and joins them. `None` if
    /// an alternative has no key, or if there are too many.
    pub(super) fn choose(self, cost: impl Fn(&Key) -> usize) -> Option<AnyOf> {
        let mut chosen: AnyOf = Vec::new();
        for choices in self.branches {
            let cost_of_all = |keys: &AnyOf| keys.iter().map(&cost).sum::<usize>();
            let best = choices.into_iter().min_by_key(cost_of_all)?;
            for key in best {
                if !chosen.contains(&key) {
                    chosen.push(key);
                }
            }
        }
        (!chosen.is_empty() && chosen.len() <= MAX_KEYS).then_some(chosen)
    }

    /// Whether a match in `subject` is possible.
    pub(super) fn admit(&self, subject: &str) -> bool {
        self.branches.iter().any(|all| all.iter().all(|any| any.iter().any(|k| k.fits(subject))))
    }
}

impl Key {
    fn fits(&self, subject: &str) -> bool {
        if self.anchored {
            return self.fits_at(subject.as_bytes());
        }
        let starts = subject.char_indices().map(|(at, _)| at);
        starts.into_iter().any(|at| subject.as_bytes().get(at..).is_some_and(|s| self.fits_at(s)))
    }

    fn fits_at(&self, subject: &[u8]) -> bool {
        let mut rest = subject;
        for &symbol in &self.symbols {
            let Some(next) = step_over(symbol, rest).and_then(|bytes| rest.get(bytes..)) else {
                return false;
            };
            rest = next;
        }
        !self.exact || rest.is_empty()
    }
}

/// How many bytes of `subject` the symbol of a key consumes. Unlike in a pattern, [`ANY`] matches a newline too,
/// because it represents classes that may contain one.
pub(super) fn step_over(symbol: u8, subject: &[u8]) -> Option<usize> {
    if symbol == ANY && subject.first() == Some(&b'\n') {
        return Some(1);
    }
    step(symbol, subject)
}

fn collect_branches(node: &Node, branches: &mut Vec<Vec<AnyOf>>) {
    let mut pieces = Vec::new();
    node.flatten(&mut pieces);
    match pieces.as_slice() {
        [Node::Alternate(alternatives)] => {
            for alternative in alternatives {
                collect_branches(alternative, branches);
            }
        }
        pieces => branches.push(runs(pieces)),
    }
}

/// The runs of fixed length in a concatenation, each as a requirement. The most selective come first: one at the start,
/// then by the number of their literal bytes.
fn runs(pieces: &[&Node]) -> Vec<AnyOf> {
    let (anchored, pieces) = match pieces {
        [Node::Look(Look::TextStart), rest @ ..] => (true, rest),
        pieces => (false, pieces),
    };
    let mut open = Run::new(anchored);
    let mut found = Vec::new();
    for &piece in pieces {
        if let Node::Literal(c) = piece {
            open.push(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        if let Some(texts) = expand(piece)
            && open.extend(&texts)
        {
            open.ended |= *piece == Node::Look(Look::TextEnd);
            continue;
        }
        // A part of variable length ends the run, but its required beginning still counts.
        if let Node::Repeat { node, min: 1.., .. } = piece
            && let Some(texts) = expand(node)
        {
            open.extend(&texts);
        }
        found.extend(open.close(false));
        open = Run::new(false);
    }
    found.extend(open.close(true));
    found.sort_by_key(|keys: &AnyOf| {
        let literals = |key: &Key| key.symbols.iter().filter(|&&symbol| symbol != ANY).count();
        let least = keys.iter().map(literals).min().unwrap_or(0);
        (!keys.iter().all(|key| key.anchored), usize::MAX - least)
    });
    found
}

/// A run in construction: all texts that may be at its position.
struct Run {
    texts: Vec<Vec<u8>>,
    anchored: bool,
    ended: bool,
}

impl Run {
    fn new(anchored: bool) -> Self {
        Self { texts: vec![Vec::new()], anchored, ended: false }
    }

    /// Appends `next` to each text.
    fn push(&mut self, next: &[u8]) {
        self.texts.iter_mut().for_each(|text| append(text, next));
    }

    /// Appends each of `next` to each text, unless there would be too many.
    fn extend(&mut self, next: &[Vec<u8>]) -> bool {
        match product(&self.texts, next) {
            Some(texts) => {
                self.texts = texts;
                true
            }
            None => false,
        }
    }

    /// The requirement, if there is one. `complete`: the pattern ends here.
    fn close(self, complete: bool) -> Option<AnyOf> {
        let exact = self.anchored && complete && self.ended;
        let keys = self.texts.into_iter().map(|mut symbols| {
            let exact = exact && symbols.len() <= MAX_KEY;
            symbols.truncate(MAX_KEY);
            if !exact {
                while symbols.last() == Some(&ANY) {
                    symbols.pop();
                }
            }
            if !self.anchored {
                let wild = symbols.iter().take_while(|&&symbol| symbol == ANY).count();
                symbols.drain(..wild);
            }
            Key { symbols, anchored: self.anchored, exact }
        });
        let keys: AnyOf = keys.collect();
        let says_something = |key: &Key| key.exact || !key.symbols.is_empty();
        keys.iter().all(says_something).then_some(keys)
    }
}

/// Every text of a node with few texts of fixed length; assertions count as empty.
fn expand(node: &Node) -> Option<Vec<Vec<u8>>> {
    Some(match node {
        Node::Empty | Node::Look(_) => vec![Vec::new()],
        Node::Literal(c) => vec![c.to_string().into_bytes()],
        Node::AnyButNewline | Node::Class(_) => vec![vec![ANY]],
        Node::Repeat { node, min, max: Some(max) } if min == max && *max <= MAX_COPIES => {
            let once = expand(node)?;
            (0..*max).try_fold(vec![Vec::new()], |texts, _| product(&texts, &once))?
        }
        Node::Repeat { .. } => return None,
        Node::Concat(nodes) => nodes
            .iter()
            .try_fold(vec![Vec::new()], |texts, node| product(&texts, &expand(node)?))?,
        Node::Alternate(nodes) => {
            let mut texts = Vec::new();
            for node in nodes {
                texts.extend(expand(node)?);
                if texts.len() > MAX_EXPANDED {
                    return None;
                }
            }
            texts
        }
    })
}

fn product(firsts: &[Vec<u8>], seconds: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    if firsts.len() * seconds.len() > MAX_EXPANDED {
        return None;
    }
    let pairs = firsts.iter().flat_map(|first| seconds.iter().map(move |second| (first, second)));
    let join = |(first, second): (&Vec<u8>, &Vec<u8>)| {
        let mut text = first.clone();
        append(&mut text, second);
        text
    };
    Some(pairs.map(join).collect())
}

/// Texts that are too long already do not grow.
fn append(text: &mut Vec<u8>, next: &[u8]) {
    if text.len() <= MAX_KEY {
        text.extend_from_slice(next);
    }
}
