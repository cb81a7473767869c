//! What may follow an opening parenthesis: names, flags, or nothing.

use super::error::{SyntaxError, SyntaxErrorKind};
use super::parser::{Flags, Parser};

impl Parser<'_> {
    /// Reads the start of a group, or a change of flags such as `(?i)`; the next byte is the parenthesis.
    ///
    /// # Errors
    /// If Go refuses what follows `(?`.
    pub(super) fn group(&mut self) -> Result<(), SyntaxError> {
        let rest = self.rest();
        if !rest.starts_with("(?") {
            return self.open_group(1);
        }
        let name_at = if rest.len() > 4 && rest.starts_with("(?P<") {
            4
        } else if rest.len() > 3 && rest.starts_with("(?<") {
            3
        } else {
            return self.flags_or_group();
        };
        let start = self.pos();
        let Some(end) = rest.find('>') else {
            self.skip(rest.len());
            return Err(self.error_from(SyntaxErrorKind::InvalidNamedCapture, start));
        };
        // Unlike Rust, Go allows names that begin with a digit, and duplicate names.
        let name = rest.get(name_at..end).unwrap_or_default();
        if name.is_empty() || !name.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric()) {
            self.skip(end + 1);
            return Err(self.error_from(SyntaxErrorKind::InvalidNamedCapture, start));
        }
        self.open_group(end + 1)
    }

    /// `(?i)`, `(?i-s)`, `(?:`, `(?i:`.
    fn flags_or_group(&mut self) -> Result<(), SyntaxError> {
        let start = self.pos();
        let mut flags = self.flags;
        let mut value = true;
        let mut named_after_minus = false;
        for (i, c) in self.rest().char_indices().skip(2) {
            match c {
                'i' => flags.fold = value,
                'm' => flags.lines = value,
                's' => flags.dot_matches_newline = value,
                'U' => {}
                '-' if value => {
                    value = false;
                    continue;
                }
                ':' | ')' if value || named_after_minus => {
                    return self.apply(c, i + 1, flags);
                }
                _ => {
                    self.skip(i + c.len_utf8());
                    return Err(self.error_from(SyntaxErrorKind::InvalidPerlOp, start));
                }
            }
            named_after_minus = !value;
        }
        self.skip(self.rest().len());
        Err(self.error_from(SyntaxErrorKind::InvalidPerlOp, start))
    }

    fn apply(&mut self, end: char, length: usize, flags: Flags) -> Result<(), SyntaxError> {
        if end == ':' {
            // The group saves the current flags, so it opens before they change.
            self.open_group(length)?;
        } else {
            self.skip(length);
        }
        self.flags = flags;
        Ok(())
    }
}
