//! Kept lines that could not be written in time. They are written as soon as lines can be written again.

/// The most bytes of late lines.
const LIMIT: usize = 4 << 20;

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct LateLines {
    bytes: Vec<u8>,
    lines: u64,
}

impl LateLines {
    /// Adds a line, with its newline. Over the limit the line is lost.
    pub(super) fn keep(&mut self, line: &[u8]) {
        if self.bytes.len() + line.len() <= LIMIT {
            self.bytes.extend_from_slice(line);
            self.lines += 1;
        }
    }

    /// Takes all lines.
    pub(super) fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) const fn lines(&self) -> u64 {
        self.lines
    }

    /// Returns the lines of `late` behind the first `taken` bytes, in front of those that were added meanwhile, and
    /// counts them. A partly written line counts as written.
    pub(super) fn give_back(&mut self, mut late: Self, taken: usize) -> u64 {
        let (before, behind) = late.bytes.split_at(taken.min(late.bytes.len()));
        let rest_of_line = match before.last() {
            None | Some(b'\n') => 0,
            Some(_) => behind.split_inclusive(|byte| *byte == b'\n').next().map_or(0, <[u8]>::len),
        };
        let gone = late.bytes.drain(..before.len() + rest_of_line);
        late.lines -= gone.filter(|byte| *byte == b'\n').count() as u64;
        let given_back = late.lines;
        let meanwhile = std::mem::replace(self, late);
        for line in meanwhile.bytes.split_inclusive(|byte| *byte == b'\n') {
            self.keep(line);
        }
        given_back
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_comes_before_what_came_meanwhile_and_no_line_twice() {
        let mut kept = LateLines::default();
        for line in ["one\n", "two\n", "three\n"] {
            kept.keep(line.as_bytes());
        }
        let late = kept.take();
        kept.keep(b"four\n");
        // The second line was begun: its end is with the output.
        assert_eq!(kept.give_back(late, 5), 1);
        assert_eq!((kept.bytes(), kept.lines()), (&b"three\nfour\n"[..], 2));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut kept = LateLines::default();
        for _ in 0..LIMIT / 1024 + 10 {
            kept.keep(&[b'\n'; 1024]);
        }
        assert_eq!(kept.bytes().len(), LIMIT);
    }
}
