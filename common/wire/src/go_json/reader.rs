//! The grammar: objects, arrays, literals and numbers, read from bytes in one pass.

use super::text::{Key, RawText};
use super::{JsonError, MAX_DEPTH};

/// A position in a JSON body. Each method consumes one value.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    input: &'a [u8],
    at: usize,
    depth: usize,
}

/// Reads a whole body that is one object. `field` is called for each field and must consume its value. `null` counts as
/// `{}`; anything but white space after the value is an error.
pub(crate) fn decode_object<'a>(
    input: &'a [u8],
    field: impl FnMut(&Key<'a>, &mut Reader<'a>) -> Result<(), JsonError>,
) -> Result<(), JsonError> {
    decode(input, |reader| reader.object(field)).map(drop)
}

/// Reads a whole body that is one value, with `read`.
pub(crate) fn decode<'a, T>(
    input: &'a [u8],
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, JsonError>,
) -> Result<T, JsonError> {
    let mut reader = Reader { input, at: 0, depth: 0 };
    let value = read(&mut reader)?;
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(reader.error("expected the end")),
    }
}

impl<'a> Reader<'a> {
    /// Reads an object. Returns `false` for `null`.
    pub(crate) fn object(
        &mut self,
        mut field: impl FnMut(&Key<'a>, &mut Self) -> Result<(), JsonError>,
    ) -> Result<bool, JsonError> {
        if self.null()? {
            return Ok(false);
        }
        self.open(b'{', "expected an object")?;
        let mut more = !self.closes_at_once(b'}');
        while more {
            let key = Key::from(self.string()?);
            if self.peek() != Some(b':') {
                return Err(self.error("expected a colon"));
            }
            self.at += 1;
            field(&key, self)?;
            more = self.continues(b'}')?;
        }
        Ok(true)
    }

    /// Reads an array. `element` is called before each element. Returns `false` for `null`.
    pub(crate) fn array(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<(), JsonError>,
    ) -> Result<bool, JsonError> {
        if self.null()? {
            return Ok(false);
        }
        self.open(b'[', "expected an array")?;
        let mut more = !self.closes_at_once(b']');
        while more {
            element(self)?;
            more = self.continues(b']')?;
        }
        Ok(true)
    }

    /// Skips one value of any kind.
    pub(crate) fn skip(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            Some(b'{') => self.object(|_, value| value.skip()).map(drop),
            Some(b'[') => self.array(Self::skip).map(drop),
            Some(b'"') => self.string().map(drop),
            Some(b't') => self.literal(b"true"),
            Some(b'f') => self.literal(b"false"),
            Some(b'n') => self.literal(b"null"),
            _ => self.number().map(drop),
        }
    }

    /// Consumes `null` if it is next.
    pub(super) fn null(&mut self) -> Result<bool, JsonError> {
        if self.peek() != Some(b'n') {
            return Ok(false);
        }
        self.literal(b"null")?;
        Ok(true)
    }

    /// Reads a string, without decoding it.
    pub(super) fn string(&mut self) -> Result<RawText<'a>, JsonError> {
        if self.peek() != Some(b'"') {
            return Err(self.error("expected a string"));
        }
        self.at += 1;
        match RawText::scan(self.rest()) {
            Ok(text) => {
                self.at += text.raw_len() + 1;
                Ok(text)
            }
            Err(within) => {
                self.at += within;
                Err(self.error("not a valid string"))
            }
        }
    }

    /// Reads a number of any form, without decoding it.
    pub(super) fn number(&mut self) -> Result<&'a [u8], JsonError> {
        if !matches!(self.peek(), Some(b'-' | b'0'..=b'9')) {
            return Err(self.error("expected a value of another kind"));
        }
        let rest = self.rest();
        let len = number_len(rest).ok_or_else(|| self.error("not a valid number"))?;
        self.at += len;
        Ok(rest.split_at_checked(len).map_or(rest, |(number, _)| number))
    }

    /// Consumes `word`; anything else is an error.
    pub(super) fn literal(&mut self, word: &[u8]) -> Result<(), JsonError> {
        if !self.rest().starts_with(word) {
            return Err(self.error("not a valid literal"));
        }
        self.at += word.len();
        Ok(())
    }

    /// The first byte of the next token, after white space.
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            match self.input.get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    /// Runs `read`, and returns to the position before.
    pub(super) fn look_ahead<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, JsonError>,
    ) -> Result<T, JsonError> {
        let mut ahead = Self { input: self.input, at: self.at, depth: self.depth };
        read(&mut ahead)
    }

    /// An error at this position.
    pub(crate) fn error(&self, problem: &'static str) -> JsonError {
        JsonError { offset: self.at, problem }
    }

    fn rest(&self) -> &'a [u8] {
        self.input.get(self.at..).unwrap_or_default()
    }

    fn open(&mut self, bracket: u8, otherwise: &'static str) -> Result<(), JsonError> {
        if self.peek() != Some(bracket) {
            return Err(self.error(otherwise));
        }
        if self.depth == MAX_DEPTH {
            return Err(self.error("nested too deeply"));
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    fn closes_at_once(&mut self, bracket: u8) -> bool {
        let closes = self.peek() == Some(bracket);
        if closes {
            self.close();
        }
        closes
    }

    /// After an element: `true` past a comma, `false` past the closing bracket.
    fn continues(&mut self, bracket: u8) -> Result<bool, JsonError> {
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(byte) if byte == bracket => {
                self.close();
                Ok(false)
            }
            _ => Err(self.error("expected a comma or the end of the list")),
        }
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.at += 1;
    }
}

/// The length of the number at the start of `text`, in bytes.
fn number_len(text: &[u8]) -> Option<usize> {
    let digits = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
    };
    let at = |place: usize| text.get(place).copied();

    let mut len = usize::from(at(0) == Some(b'-'));
    len += match at(len)? {
        b'0' => 1,
        b'1'..=b'9' => digits(len),
        _ => return None,
    };
    if at(len) == Some(b'.') {
        len += 1 + some(digits(len + 1))?;
    }
    if matches!(at(len), Some(b'e' | b'E')) {
        len += 1;
        len += usize::from(matches!(at(len), Some(b'+' | b'-')));
        len += some(digits(len))?;
    }
    Some(len)
}

fn some(count: usize) -> Option<usize> {
    (count > 0).then_some(count)
}
