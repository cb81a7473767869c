//! The main loop: appends one token at a time to the open concatenation, and keeps groups on a stack.

use regex_syntax::hir::ClassUnicode;

use super::error::{SyntaxError, SyntaxErrorKind};
use super::{Look, MAX_CLASS_RANGES, MAX_NESTING, MAX_PATTERN_BYTES, Node, fold, set};

/// The flags at one position of a pattern. `U` changes only greediness, so it is ignored.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flags {
    /// `i`: case folds.
    pub(super) fold: bool,
    /// `m`: `^` and `$` match at lines.
    pub(super) lines: bool,
    /// `s`: `.` matches a newline too.
    pub(super) dot_matches_newline: bool,
}

/// A finished part and its nesting depth.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) node: Node,
    pub(super) height: usize,
}

/// The state before an opening parenthesis.
#[derive(Debug)]
struct Group {
    at: usize,
    flags: Flags,
    branches: Vec<Item>,
    items: Vec<Item>,
}

/// A partly parsed pattern.
#[derive(Debug)]
pub(super) struct Parser<'p> {
    text: &'p str,
    pos: usize,
    pub(super) flags: Flags,
    groups: Vec<Group>,
    /// The finished alternatives of the open group.
    branches: Vec<Item>,
    /// The open alternative.
    pub(super) items: Vec<Item>,
    /// The offset of the repetition operator that was just read, if one was.
    pub(super) last_repeat: Option<usize>,
    /// The number of ranges in the classes so far.
    pub(super) class_ranges: usize,
}

impl<'p> Parser<'p> {
    pub(super) fn new(text: &'p str) -> Self {
        Self {
            text,
            pos: 0,
            flags: Flags::default(),
            groups: Vec::new(),
            branches: Vec::new(),
            items: Vec::new(),
            last_repeat: None,
            class_ranges: 0,
        }
    }

    /// Reads the whole pattern.
    ///
    /// # Errors
    /// At the first fault that Go refuses, or the first limit that is exceeded.
    pub(super) fn parse(mut self) -> Result<Node, SyntaxError> {
        if self.text.len() > MAX_PATTERN_BYTES {
            return Err(SyntaxError::new(SyntaxErrorKind::TooLarge, 0, self.text));
        }
        while let Some(c) = self.peek_char() {
            let before = self.pos;
            let is_repeat = self.token(c)?;
            self.last_repeat = is_repeat.then_some(before);
        }
        if let Some(open) = self.groups.last() {
            let from = self.text.get(open.at..).unwrap_or_default();
            return Err(SyntaxError::new(SyntaxErrorKind::MissingParen, open.at, from));
        }
        Ok(self.alternation().node)
    }

    /// Reads the token that begins with `c`. Returns whether it was a repetition operator.
    fn token(&mut self, c: char) -> Result<bool, SyntaxError> {
        match c {
            '(' => self.group()?,
            '|' => {
                self.skip(1);
                let branch = concatenation(std::mem::take(&mut self.items));
                self.branches.push(branch);
            }
            ')' => self.close_group()?,
            '^' if self.flags.lines => self.look(1, Look::LineStart),
            '^' => self.look(1, Look::TextStart),
            '$' if self.flags.lines => self.look(1, Look::LineEnd),
            '$' => self.look(1, Look::TextEnd),
            '.' => {
                self.skip(1);
                self.push(if self.flags.dot_matches_newline {
                    Node::Class(set::range(0, u32::from(char::MAX)))
                } else {
                    Node::AnyButNewline
                });
            }
            '[' => {
                let class = self.bracketed_class()?;
                self.push_class(class)?;
            }
            '*' | '+' | '?' | '{' => return self.repeat(c),
            '\\' => self.backslash()?,
            _ => {
                self.skip(c.len_utf8());
                self.literal(u32::from(c));
            }
        }
        Ok(false)
    }

    fn backslash(&mut self) -> Result<(), SyntaxError> {
        match self.rest().chars().nth(1) {
            Some('A') => self.look(2, Look::TextStart),
            Some('z') => self.look(2, Look::TextEnd),
            Some('b') => self.look(2, Look::WordBoundary),
            Some('B') => self.look(2, Look::NotWordBoundary),
            Some('Q') => self.quoted(),
            _ => {
                if let Some(class) = self.escaped_class()? {
                    self.push_class(class)?;
                } else {
                    let c = self.escape()?;
                    self.literal(c);
                }
            }
        }
        Ok(())
    }

    /// `\Q...\E`, or `\Q...` to the end of the pattern.
    fn quoted(&mut self) {
        self.skip(2);
        let rest = self.rest();
        let (quoted, length) =
            rest.split_once(r"\E").map_or((rest, rest.len()), |(text, _)| (text, text.len() + 2));
        for c in quoted.chars() {
            self.literal(u32::from(c));
        }
        self.skip(length);
    }

    fn look(&mut self, length: usize, look: Look) {
        self.skip(length);
        self.push(Node::Look(look));
    }

    /// One character, folded if the flags require it. A surrogate is an empty set.
    pub(super) fn literal(&mut self, code_point: u32) {
        let class = set::range(code_point, code_point);
        let class = if self.flags.fold { fold::folded(&class) } else { class };
        self.push_set(class);
    }

    fn push_class(&mut self, class: ClassUnicode) -> Result<(), SyntaxError> {
        self.class_ranges += class.ranges().len();
        if self.class_ranges > MAX_CLASS_RANGES {
            return Err(SyntaxError::new(SyntaxErrorKind::TooLarge, self.pos, self.rest()));
        }
        self.push_set(class);
        Ok(())
    }

    /// A set of one character, such as `[.]`, is a literal.
    fn push_set(&mut self, class: ClassUnicode) {
        self.push(match class.ranges() {
            [only] if only.start() == only.end() => Node::Literal(only.start()),
            _ => Node::Class(class),
        });
    }

    fn push(&mut self, node: Node) {
        self.items.push(Item { node, height: 0 });
    }

    /// Opens a group; its opening, of `length` bytes, is next.
    pub(super) fn open_group(&mut self, length: usize) -> Result<(), SyntaxError> {
        let at = self.pos;
        self.skip(length);
        if self.groups.len() >= MAX_NESTING {
            return Err(self.error_from(SyntaxErrorKind::NestingDepth, at));
        }
        self.groups.push(Group {
            at,
            flags: self.flags,
            branches: std::mem::take(&mut self.branches),
            items: std::mem::take(&mut self.items),
        });
        Ok(())
    }

    fn close_group(&mut self) -> Result<(), SyntaxError> {
        let at = self.pos;
        self.skip(1);
        let Some(group) = self.groups.pop() else {
            return Err(self.error_from(SyntaxErrorKind::UnexpectedParen, at));
        };
        let mut inner = self.alternation();
        inner.height += 1;
        if inner.height > MAX_NESTING {
            return Err(self.error_from(SyntaxErrorKind::NestingDepth, group.at));
        }
        // Flags that were set inside a group end with it.
        self.flags = group.flags;
        self.branches = group.branches;
        self.items = group.items;
        self.items.push(inner);
        Ok(())
    }

    /// Closes the open alternation and returns it.
    fn alternation(&mut self) -> Item {
        let last = concatenation(std::mem::take(&mut self.items));
        let mut branches = std::mem::take(&mut self.branches);
        if branches.is_empty() {
            return last;
        }
        branches.push(last);
        let height = highest(&branches);
        Item { node: Node::Alternate(branches.into_iter().map(|b| b.node).collect()), height }
    }

    // ---- the text ----

    pub(super) fn pos(&self) -> usize {
        self.pos
    }

    pub(super) fn rest(&self) -> &'p str {
        self.text.get(self.pos..).unwrap_or_default()
    }

    pub(super) fn peek_char(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn take_char(&mut self) -> Option<char> {
        let c = self.peek_char()?;
        self.pos += c.len_utf8();
        Some(c)
    }

    pub(super) fn take_if(&mut self, prefix: &str) -> bool {
        let found = self.rest().starts_with(prefix);
        if found {
            self.skip(prefix.len());
        }
        found
    }

    /// Skips `bytes` bytes.
    pub(super) fn skip(&mut self, bytes: usize) {
        self.pos += bytes;
    }

    /// An error about the text from `start` to here.
    pub(super) fn error_from(&self, kind: SyntaxErrorKind, start: usize) -> SyntaxError {
        SyntaxError::new(kind, start, self.text.get(start..self.pos).unwrap_or_default())
    }
}

fn concatenation(mut items: Vec<Item>) -> Item {
    let height = highest(&items);
    match items.len() {
        0 => Item { node: Node::Empty, height: 0 },
        1 => items.swap_remove(0),
        _ => Item { node: Node::Concat(items.into_iter().map(|i| i.node).collect()), height },
    }
}

fn highest(items: &[Item]) -> usize {
    items.iter().map(|item| item.height).max().unwrap_or(0)
}
