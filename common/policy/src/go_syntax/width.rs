//! The width of a pattern: the most positions that a search follows at once, which is its cost per character.
//!
//! Every position begins between a first and a last character of the subject; positions with overlapping ranges may be
//! followed together. After an anchor, parts of fixed length follow one another and never overlap. Without an anchor,
//! or after `.*` or several `?`, they all do.

use super::{Look, Node};

/// Means that there is no bound.
const UNBOUNDED: u32 = u32::MAX;

/// Patterns with more positions than this are not examined further.
const MAX_POSITIONS: u64 = 20_000;

/// One in this many literal characters counts: a search leaves most of them at once.
const LITERALS: u32 = 4;

/// The number for `root`.
pub(super) fn width(root: &Node) -> u64 {
    let places = count(root);
    if places > MAX_POSITIONS {
        return places;
    }
    let mut walk = Walk::default();
    // An unanchored search begins at every character.
    walk.pass(root, Range { first: 0, last: UNBOUNDED });
    walk.most_at_once()
}

/// All positions, times the repetitions around them.
fn count(node: &Node) -> u64 {
    match node {
        Node::Empty | Node::Look(_) => 0,
        Node::Literal(_) | Node::AnyButNewline | Node::Class(_) => 1,
        Node::Repeat { node, min, max } => {
            count(node).saturating_mul(u64::from(max.unwrap_or(*min).max(1)))
        }
        Node::Concat(nodes) | Node::Alternate(nodes) => {
            nodes.iter().fold(0, |sum, node| count(node).saturating_add(sum))
        }
    }
}

/// The range in a subject where something may begin.
#[derive(Clone, Copy, Debug)]
struct Range {
    first: u32,
    last: u32,
}

impl Range {
    const fn next(self) -> Self {
        Self { first: self.first.saturating_add(1), last: self.last.saturating_add(1) }
    }

    fn or(self, other: Self) -> Self {
        Self { first: self.first.min(other.first), last: self.last.max(other.last) }
    }

    const fn or_later(self) -> Self {
        Self { first: self.first, last: UNBOUNDED }
    }
}

#[derive(Debug, Default)]
struct Walk {
    firsts: Vec<u32>,
    lasts: Vec<u32>,
    literals: u32,
}

impl Walk {
    /// Records the positions of `node`, which begins in `start`. Returns where the next part may begin.
    fn pass(&mut self, node: &Node, start: Range) -> Range {
        match node {
            Node::Look(Look::TextStart) => Range { first: 0, last: 0 },
            Node::Empty | Node::Look(_) => start,
            Node::Literal(_) => {
                self.literals += 1;
                if self.literals.is_multiple_of(LITERALS) {
                    self.note(start);
                }
                start.next()
            }
            Node::AnyButNewline | Node::Class(_) => {
                self.note(start);
                start.next()
            }
            Node::Concat(nodes) => nodes.iter().fold(start, |start, node| self.pass(node, start)),
            Node::Alternate(nodes) => {
                let ends = nodes.iter().map(|node| self.pass(node, start));
                ends.reduce(Range::or).unwrap_or(start)
            }
            Node::Repeat { node, min, max: Some(max) } => {
                let mut start = start;
                let mut ends = (*min == 0).then_some(start);
                for copy in 1..=*max {
                    start = self.pass(node, start);
                    if copy >= *min {
                        ends = Some(ends.map_or(start, |ends| ends.or(start)));
                    }
                }
                ends.unwrap_or(start)
            }
            Node::Repeat { node, min, max: None } => {
                let start = (1..*min).fold(start, |start, _| self.pass(node, start)).or_later();
                let end = self.pass(node, start);
                if *min == 0 { start } else { end.or_later() }
            }
        }
    }

    fn note(&mut self, position: Range) {
        self.firsts.push(position.first);
        self.lasts.push(position.last);
    }

    /// The largest number of ranges that overlap at one character.
    fn most_at_once(mut self) -> u64 {
        self.firsts.sort_unstable();
        self.lasts.sort_unstable();
        let mut ended = self.lasts.iter().peekable();
        let (mut open, mut most) = (0_u64, 0);
        for first in &self.firsts {
            open += 1;
            while ended.next_if(|last| *last < first).is_some() {
                open -= 1;
            }
            most = most.max(open);
        }
        most
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[test]
    fn places_count_together_where_a_search_may_be_at_all_of_them() {
        for (pattern, expected) in [
            ("^[a-z]{1000}$", 1),
            ("[a-z]{1000}", 1000),
            ("^a/[a-z]{10}/[a-z]{10}$", 1),
            ("^([ab]{5}|[cd]{5}|[ef]{9})$", 3),
            ("^[a-z]*[0-9]{6}$", 7),
            ("^[a-z]+[0-9]{6}$", 7),
            ("^[a-z]{3}?[0-9]{6}$", 1),
            ("^[a-z]?[0-9]{6}$", 2),
            ("^([a-z]?){40}$", 40),
            ("^.*/.{36}/.*$", 38),
            ("^(.{30}){30}$", 1),
            ("abcdefgh", 2),
            (&"a".repeat(480), 120),
            ("", 0),
            ("^a|[ab]{9}", 9),
        ] {
            assert_eq!(width(&parse(pattern).unwrap()), expected, "{pattern}");
        }
    }

    #[test]
    fn what_is_large_in_any_case_is_not_walked_through() {
        let large = format!("^({}){{1000}}$", "[ab]".repeat(100));
        assert_eq!(width(&parse(&large).unwrap()), 100_000);
    }
}
