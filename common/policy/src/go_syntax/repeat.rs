//! Repetition operators, and Go's limits on them.

use super::error::{SyntaxError, SyntaxErrorKind};
use super::parser::Parser;
use super::{MAX_NESTING, Node};

/// The most copies of counted repetitions, alone or nested.
const MAX_COPIES: u32 = 1000;

impl Parser<'_> {
    /// Reads the operator that begins with `operator`. Returns whether it was one: a brace without a valid count is a
    /// literal.
    ///
    /// # Errors
    /// If Go refuses the operator or its counts.
    pub(super) fn repeat(&mut self, operator: char) -> Result<bool, SyntaxError> {
        let start = self.pos();
        let (min, max, length) = match operator {
            '*' => (0, None, 1),
            '+' => (1, None, 1),
            '?' => (0, Some(1), 1),
            _ => {
                let Some(counts) = counts(self.rest()) else {
                    self.skip(1);
                    self.literal('{'.into());
                    return Ok(false);
                };
                counts
            }
        };
        self.skip(length);
        if min > MAX_COPIES || max.is_some_and(|max| max > MAX_COPIES || min > max) {
            return Err(self.error_from(SyntaxErrorKind::InvalidRepeatSize, start));
        }
        // Greediness selects one of several matches, which does not matter here.
        self.take_if("?");
        if let Some(previous) = self.last_repeat {
            return Err(self.error_from(SyntaxErrorKind::InvalidRepeatOp, previous));
        }
        let Some(item) = self.items.last_mut() else {
            return Err(self.error_from(SyntaxErrorKind::MissingRepeatArgument, start));
        };
        let node = Box::new(std::mem::replace(&mut item.node, Node::Empty));
        item.node = Node::Repeat { node, min, max };
        item.height += 1;
        if item.height > MAX_NESTING {
            return Err(self.error_from(SyntaxErrorKind::NestingDepth, start));
        }
        let is_counted = operator == '{' && (min >= 2 || max.is_some_and(|max| max >= 2));
        if is_counted && !copies_fit(&item.node, MAX_COPIES) {
            return Err(self.error_from(SyntaxErrorKind::InvalidRepeatSize, start));
        }
        Ok(true)
    }
}

/// Whether every innermost part of `node` is repeated at most `left` times.
fn copies_fit(node: &Node, left: u32) -> bool {
    match node {
        Node::Repeat { node, min, max } => {
            let copies = max.unwrap_or(*min);
            match copies {
                // For Go `x{0}` is nothing; `*` and `?` do not count.
                0 if max.is_some() => true,
                0 => copies_fit(node, left),
                copies if copies > left => false,
                copies => copies_fit(node, left / copies),
            }
        }
        Node::Concat(nodes) | Node::Alternate(nodes) => {
            nodes.iter().all(|node| copies_fit(node, left))
        }
        Node::Empty | Node::Literal(_) | Node::AnyButNewline | Node::Class(_) | Node::Look(_) => {
            true
        }
    }
}

/// Reads `{min}`, `{min,}` or `{min,max}`. Returns the counts and the length in bytes.
fn counts(text: &str) -> Option<(u32, Option<u32>, usize)> {
    let inner = text.strip_prefix('{')?;
    let (min, rest) = integer(inner)?;
    let (max, rest) = match rest.strip_prefix(',') {
        None => (Some(min), rest),
        Some(rest) if rest.starts_with('}') => (None, rest),
        Some(rest) => {
            let (max, rest) = integer(rest)?;
            (Some(max), rest)
        }
    };
    let rest = rest.strip_prefix('}')?;
    Some((min, max, text.len() - rest.len()))
}

/// Reads a decimal number without leading zeros. A number too large for any count is not wrapped.
fn integer(text: &str) -> Option<(u32, &str)> {
    let length = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at_checked(length)?;
    if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    Some((digits.parse().unwrap_or(u32::MAX), rest))
}
