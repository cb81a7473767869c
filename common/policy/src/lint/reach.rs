//! Whether a pattern can match anything that exists: a walk through the pattern and the grammar of its subjects at
//! the same time. Word boundaries are taken to hold, so the answer "never" is always right.

use spike_domain::rules::is_secret_path_character;
use std::collections::HashSet;

use regex_syntax::hir::ClassUnicode;

use super::super::go_syntax::{Look, Node};

/// Patterns above this weight are assumed to match something.
const MAX_WEIGHT: u64 = 4_000;

/// What comes before a trust domain.
const SCHEME: &[u8] = b"spiffe://";

/// The grammar of the texts that a pattern is matched with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    /// SPIFFE IDs that Nexus accepts (wire-api 5.2, Q-43).
    SpiffeId,
    /// Paths of secrets (wire-api 6.1).
    Path,
}

/// Whether an unanchored search for the pattern succeeds in some text of `language`. Calls `go_on` at every step.
///
/// # Errors
/// The error of `go_on`.
pub(super) fn can_match<E>(
    node: &Node,
    language: Language,
    go_on: &impl Fn() -> Result<(), E>,
) -> Result<bool, E> {
    if node.weight() > MAX_WEIGHT {
        return Ok(true);
    }
    let mut program = Program { steps: vec![Step::Match] };
    let start = program.build(node, 0);
    // The search may begin after any prefix of a text.
    let mut open: Vec<Position> =
        (0..language.states()).map(|state| Position { step: start, state, ended: false }).collect();
    let mut seen: HashSet<Position> = open.iter().copied().collect();
    while let Some(position) = open.pop() {
        go_on()?;
        let Some(step) = program.steps.get(position.step) else { continue };
        if matches!(step, Step::Match) {
            // Every prefix can be completed; if an end was required, it was possible.
            return Ok(true);
        }
        for next in step.follow(position, language) {
            if seen.insert(next) {
                open.push(next);
            }
        }
    }
    Ok(false)
}

/// A position in the pattern and in the grammar, and whether the text must end here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Position {
    step: usize,
    state: u8,
    ended: bool,
}

/// A pattern as steps, each with its successors.
struct Program<'n> {
    steps: Vec<Step<'n>>,
}

enum Step<'n> {
    Match,
    Char(Chars<'n>, usize),
    Look(Look, usize),
    Either(Vec<usize>),
}

enum Chars<'n> {
    One(char),
    NotNewline,
    Of(&'n ClassUnicode),
}

impl<'n> Program<'n> {
    /// Appends the steps of `node`, followed by `next`. Returns the first of them.
    fn build(&mut self, node: &'n Node, next: usize) -> usize {
        match node {
            Node::Empty => next,
            Node::Literal(c) => self.add(Step::Char(Chars::One(*c), next)),
            Node::AnyButNewline => self.add(Step::Char(Chars::NotNewline, next)),
            Node::Class(set) => self.add(Step::Char(Chars::Of(set), next)),
            Node::Look(look) => self.add(Step::Look(*look, next)),
            Node::Concat(nodes) => {
                nodes.iter().rev().fold(next, |next, node| self.build(node, next))
            }
            Node::Alternate(nodes) => {
                let starts = nodes.iter().map(|node| self.build(node, next)).collect();
                self.add(Step::Either(starts))
            }
            Node::Repeat { node, min, max } => {
                let mut start = next;
                match max {
                    None => {
                        let again = self.add(Step::Either(vec![next]));
                        let body = self.build(node, again);
                        if let Some(Step::Either(ways)) = self.steps.get_mut(again) {
                            ways.push(body);
                        }
                        start = again;
                    }
                    Some(max) => {
                        for _ in *min..*max {
                            let body = self.build(node, start);
                            start = self.add(Step::Either(vec![body, next]));
                        }
                    }
                }
                (0..*min).fold(start, |next, _| self.build(node, next))
            }
        }
    }

    fn add(&mut self, step: Step<'n>) -> usize {
        self.steps.push(step);
        self.steps.len() - 1
    }
}

impl Step<'_> {
    fn follow(&self, position: Position, language: Language) -> Vec<Position> {
        match self {
            Self::Match => Vec::new(),
            Self::Either(ways) => ways.iter().map(|&step| Position { step, ..position }).collect(),
            Self::Look(look, next) => {
                let next = Position { step: *next, ..position };
                let holds = match look {
                    // No subject contains a newline, so lines begin and end with the text.
                    Look::TextStart | Look::LineStart => position.state == 0,
                    Look::TextEnd | Look::LineEnd => language.is_complete(position.state),
                    Look::WordBoundary | Look::NotWordBoundary => true,
                };
                let ended = position.ended || matches!(look, Look::TextEnd | Look::LineEnd);
                if holds { vec![Position { ended, ..next }] } else { Vec::new() }
            }
            Self::Char(_, _) if position.ended => Vec::new(),
            Self::Char(chars, next) => {
                let mut states = HashSet::new();
                for c in (b'!'..=b'~').map(char::from).filter(|&c| chars.contain(c)) {
                    states.extend(language.step(position.state, c));
                }
                states
                    .into_iter()
                    .map(|state| Position { step: *next, state, ended: false })
                    .collect()
            }
        }
    }
}

impl Chars<'_> {
    fn contain(&self, c: char) -> bool {
        match self {
            Self::One(only) => *only == c,
            Self::NotNewline => c != '\n',
            Self::Of(set) => set.iter().any(|range| (range.start()..=range.end()).contains(&c)),
        }
    }
}

impl Language {
    /// States are numbered from 0, the start. For SPIFFE IDs: 0 to 9 count the bytes of the scheme, 10 is in the trust
    /// domain, 11 after a slash, 12 within a segment. For paths: 1 is after the start.
    const fn states(self) -> u8 {
        match self {
            Self::SpiffeId => 13,
            Self::Path => 2,
        }
    }

    fn step(self, state: u8, c: char) -> Option<u8> {
        let in_name = c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        match (self, state) {
            (Self::Path, _) => is_secret_path_character(c).then_some(1),
            (Self::SpiffeId, 10 | 12) if c == '/' => Some(11),
            // A trust domain has no upper case.
            (Self::SpiffeId, 9 | 10) => (in_name && !c.is_ascii_uppercase()).then_some(10),
            (Self::SpiffeId, 11 | 12) => in_name.then_some(12),
            (Self::SpiffeId, state) => {
                let expected = SCHEME.get(usize::from(state))?;
                (char::from(*expected) == c).then_some(state + 1)
            }
        }
    }

    const fn is_complete(self, state: u8) -> bool {
        match self {
            Self::SpiffeId => matches!(state, 10 | 12),
            Self::Path => state == 1,
        }
    }
}
