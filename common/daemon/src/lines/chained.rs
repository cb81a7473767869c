//! Lines that are chained when they are written: the order in which they are written is the order of the chain.

use std::time::Instant;

use memchr::memchr;

use super::{output::Output, result::BatchResult};
use crate::chain::{Chain, Head};

/// The largest buffer whose memory is reused, in bytes.
const KEPT_BUFFER: usize = 1 << 20;

/// A chain, and a buffer for lines with their marks.
#[derive(Debug)]
pub(super) struct Chained {
    chain: Chain,
    bytes: Vec<u8>,
}

impl Chained {
    pub(super) const fn new(chain: Chain) -> Self {
        Self { chain, bytes: Vec::new() }
    }

    pub(super) const fn head(&self) -> Head {
        self.chain.head()
    }

    /// As [`Output::write`], with marks. The result counts bytes of `lines`, which have none. Only lines that are at least
    /// begun are part of the chain: a line that has begun will be completed.
    pub(super) fn write(
        &mut self,
        output: &mut Output,
        lines: &[u8],
        deadline: Instant,
    ) -> BatchResult {
        let before = self.chain;
        self.bytes.clear();
        for line in each(lines) {
            self.chain.append(line, &mut self.bytes);
        }
        let result = output.write(&self.bytes, deadline);
        if result.taken == self.bytes.len() {
            self.shrink();
            return BatchResult { taken: lines.len(), ..result };
        }
        let written = self.bytes.get(..result.taken).unwrap_or_default();
        let whole = each(written).filter(|line| line.ends_with(b"\n")).count();
        let is_cut = written.last().is_some_and(|byte| *byte != b'\n');
        self.chain = before;
        self.bytes.clear();
        for line in each(lines).take(whole + usize::from(is_cut)) {
            self.chain.append(line, &mut self.bytes);
        }
        self.shrink();
        let taken = each(lines).take(whole).map(<[u8]>::len).sum::<usize>() + usize::from(is_cut);
        BatchResult { taken, ..result }
    }

    fn shrink(&mut self) {
        if self.bytes.capacity() > KEPT_BUFFER {
            self.bytes = Vec::new();
        }
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
