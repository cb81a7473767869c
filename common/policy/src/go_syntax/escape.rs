//! Backslash sequences for one character, inside and outside of classes.

use super::error::{SyntaxError, SyntaxErrorKind};
use super::parser::Parser;

impl Parser<'_> {
    /// Reads `\x`; the next byte is the backslash. Returns the code point, which may be a surrogate.
    ///
    /// # Errors
    /// If Go refuses the sequence.
    pub(super) fn escape(&mut self) -> Result<u32, SyntaxError> {
        let start = self.pos();
        self.skip(1);
        let Some(c) = self.take_char() else {
            return Err(SyntaxError::new(SyntaxErrorKind::TrailingBackslash, start, "\\"));
        };
        let value = match c {
            '0' => Some(self.octal(0)),
            // A single digit would be a back reference, which Go does not have.
            '1'..='7' if self.peek_octal().is_some() => Some(self.octal(u32::from(c) - 0x30)),
            'x' => self.hexadecimal(),
            'a' => Some(0x07),
            'f' => Some(0x0C),
            'n' => Some(0x0A),
            'r' => Some(0x0D),
            't' => Some(0x09),
            'v' => Some(0x0B),
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(u32::from(c)),
            _ => None,
        };
        value.ok_or_else(|| self.error_from(SyntaxErrorKind::InvalidEscape, start))
    }

    /// Up to two more octal digits.
    fn octal(&mut self, first: u32) -> u32 {
        let mut value = first;
        for _ in 0..2 {
            let Some(digit) = self.peek_octal() else { break };
            self.skip(1);
            value = value * 8 + digit;
        }
        value
    }

    fn peek_octal(&self) -> Option<u32> {
        self.peek_char().and_then(|c| c.to_digit(8))
    }

    /// `\x` has been read: two digits, or any number in braces.
    fn hexadecimal(&mut self) -> Option<u32> {
        let first = self.take_char()?;
        if first != '{' {
            let high = first.to_digit(16)?;
            let low = self.take_char()?.to_digit(16)?;
            return Some(high * 16 + low);
        }
        let mut value = None;
        loop {
            match self.take_char()? {
                '}' => return value,
                digit => {
                    let next = value.unwrap_or(0) * 16 + digit.to_digit(16)?;
                    if next > u32::from(char::MAX) {
                        return None;
                    }
                    value = Some(next);
                }
            }
        }
    }
}
