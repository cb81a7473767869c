//! Lines that are chained when they are written: the order in which they are written is the order of the chain.

use std::time::Instant;

use memchr::memchr;

use super::{
    output::{Output, Text},
    result::BatchResult,
};
use crate::chain::{Chain, Head};

/// A chain that lines join.
#[derive(Debug)]
pub(super) struct Chained(Chain);

impl Chained {
    pub(super) const fn new(chain: Chain) -> Self {
        Self(chain)
    }

    pub(super) const fn head(&self) -> Head {
        self.0.head()
    }

    /// As [`Output::write`], with marks, in the buffer `marked`. The result counts bytes of `text`, which have none. Only
    /// lines that are at least begun are part of the chain: a line that has begun will be completed.
    pub(super) fn write(
        &mut self,
        output: &mut Output,
        text: Text<'_>,
        marked: &mut Vec<u8>,
        deadline: Instant,
    ) -> BatchResult {
        let (before, lines) = (self.0, text.bytes);
        marked.clear();
        for line in each(lines) {
            self.0.append(line, marked);
        }
        let result = output.write(Text { bytes: marked, ..text }, deadline);
        if result.taken == marked.len() {
            return BatchResult { taken: lines.len(), ..result };
        }
        let written = marked.get(..result.taken).unwrap_or_default();
        let whole = each(written).filter(|line| line.ends_with(b"\n")).count();
        let is_cut = written.last().is_some_and(|byte| *byte != b'\n');
        self.0 = before;
        marked.clear();
        for line in each(lines).take(whole + usize::from(is_cut)) {
            self.0.append(line, marked);
        }
        let taken = each(lines).take(whole).map(<[u8]>::len).sum::<usize>() + usize::from(is_cut);
        BatchResult { taken, ..result }
    }
}

/// The lines, each with its newline, if it has one.
fn each(mut lines: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let end = memchr(b'\n', lines).map_or(lines.len(), |at| at + 1);
        let (line, rest) = lines.split_at(end);
        lines = rest;
        (!line.is_empty()).then_some(line)
    })
}
