//! Character classes: `[a-z]`, `\d`, `[[:alpha:]]`, `\p{Greek}`.

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

use super::error::{SyntaxError, SyntaxErrorKind};
use super::parser::Parser;
use super::{MAX_CLASS_RANGES, fold, set, unicode};

impl Parser<'_> {
    /// Reads `[...]`; the next byte is the opening bracket.
    ///
    /// # Errors
    /// If Go refuses the class.
    pub(super) fn bracketed_class(&mut self) -> Result<ClassUnicode, SyntaxError> {
        let start = self.pos();
        self.skip(1);
        let negated = self.take_if("^");
        let mut ranges: Vec<ClassUnicodeRange> = Vec::new();
        // A bracket at the start is a member.
        let mut first = true;
        while first || !self.rest().starts_with(']') {
            first = false;
            let members = if let Some(named) = self.named_class()? {
                named
            } else if let Some(escaped) = self.escaped_class()? {
                escaped
            } else {
                self.member_range(start)?
            };
            ranges.extend(members.iter());
            if self.class_ranges + ranges.len() > MAX_CLASS_RANGES {
                return Err(self.error_from(SyntaxErrorKind::TooLarge, start));
            }
        }
        self.skip(1);
        let class = ClassUnicode::new(ranges);
        Ok(if negated { set::negated(class) } else { class })
    }

    /// Reads `\d`, `\pL` and the like, inside or outside brackets; `None` if something else follows.
    ///
    /// # Errors
    /// A Unicode class that Go does not know.
    pub(super) fn escaped_class(&mut self) -> Result<Option<ClassUnicode>, SyntaxError> {
        let mut chars = self.rest().chars();
        if chars.next() != Some('\\') {
            return Ok(None);
        }
        let Some(kind) = chars.next() else { return Ok(None) };
        let members: &[(char, char)] = match kind {
            'p' | 'P' => return self.unicode_class().map(Some),
            'd' | 'D' => &[('0', '9')],
            // Without the vertical tab, unlike Rust's class.
            's' | 'S' => &[('\t', '\n'), ('\x0C', '\r'), (' ', ' ')],
            'w' | 'W' => &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
            _ => return Ok(None),
        };
        self.skip(2);
        Ok(Some(self.group_members(members, kind.is_ascii_uppercase())))
    }

    /// Reads `[:name:]` inside brackets.
    fn named_class(&mut self) -> Result<Option<ClassUnicode>, SyntaxError> {
        let Some(inner) = self.rest().strip_prefix("[:") else { return Ok(None) };
        // Go searches the rest of the pattern for the end, not only this class.
        let Some(length) = inner.find(":]") else { return Ok(None) };
        let start = self.pos();
        let name = inner.get(..length).unwrap_or_default();
        let (name, negated) =
            name.strip_prefix('^').map_or((name, false), |positive| (positive, true));
        let members = posix_members(name);
        self.skip(length + 4);
        let Some(members) = members else {
            return Err(self.error_from(SyntaxErrorKind::InvalidCharRange, start));
        };
        Ok(Some(self.group_members(members, negated)))
    }

    /// Reads `\pX`, `\p{Name}`, `\P...`, with an optional `^` before the name.
    fn unicode_class(&mut self) -> Result<ClassUnicode, SyntaxError> {
        let start = self.pos();
        let mut negated = self.rest().starts_with("\\P");
        self.skip(2);
        let rest = self.rest();
        let (name, length) = if let Some(braced) = rest.strip_prefix('{') {
            let Some(end) = braced.find('}') else {
                self.skip(rest.len());
                return Err(self.error_from(SyntaxErrorKind::InvalidCharRange, start));
            };
            (braced.get(..end).unwrap_or_default(), end + 2)
        } else {
            let length = rest.chars().next().map_or(0, char::len_utf8);
            (rest.get(..length).unwrap_or_default(), length)
        };
        let name = name.strip_prefix('^').map_or(name, |name| {
            negated = !negated;
            name
        });
        let class = unicode::class(name, self.flags.fold);
        self.skip(length);
        let Some(class) = class else {
            return Err(self.error_from(SyntaxErrorKind::InvalidCharRange, start));
        };
        Ok(if negated { set::negated(class) } else { class })
    }

    /// One character of a class, or a range `a-z`.
    fn member_range(&mut self, class_start: usize) -> Result<ClassUnicode, SyntaxError> {
        let start = self.pos();
        let low = self.member(class_start)?;
        let mut high = low;
        if self.rest().len() >= 2 && self.rest().starts_with('-') && !self.rest().starts_with("-]")
        {
            self.skip(1);
            high = self.member(class_start)?;
            if high < low {
                return Err(self.error_from(SyntaxErrorKind::InvalidCharRange, start));
            }
        }
        Ok(self.folded_if_asked(set::range(low, high)))
    }

    fn member(&mut self, class_start: usize) -> Result<u32, SyntaxError> {
        if self.rest().starts_with('\\') {
            return self.escape();
        }
        self.take_char()
            .map(u32::from)
            .ok_or_else(|| self.error_from(SyntaxErrorKind::MissingBracket, class_start))
    }

    fn group_members(&self, members: &[(char, char)], negated: bool) -> ClassUnicode {
        // Folding comes before negation: `(?i)\W` does not contain the Kelvin sign.
        let class = self.folded_if_asked(set::ascii(members));
        if negated { set::negated(class) } else { class }
    }

    fn folded_if_asked(&self, class: ClassUnicode) -> ClassUnicode {
        if self.flags.fold { fold::folded(&class) } else { class }
    }
}

/// The members of `[:name:]`.
fn posix_members(name: &str) -> Option<&'static [(char, char)]> {
    Some(match name {
        "alnum" => &[('0', '9'), ('A', 'Z'), ('a', 'z')],
        "alpha" => &[('A', 'Z'), ('a', 'z')],
        "ascii" => &[('\0', '\x7F')],
        "blank" => &[('\t', '\t'), (' ', ' ')],
        "cntrl" => &[('\0', '\x1F'), ('\x7F', '\x7F')],
        "digit" => &[('0', '9')],
        "graph" => &[('!', '~')],
        "lower" => &[('a', 'z')],
        "print" => &[(' ', '~')],
        "punct" => &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
        "space" => &[('\t', '\r'), (' ', ' ')],
        "upper" => &[('A', 'Z')],
        "word" => &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
        "xdigit" => &[('0', '9'), ('A', 'F'), ('a', 'f')],
        _ => return None,
    })
}
