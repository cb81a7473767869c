//! Strings: finding their end, undoing their escapes, and comparing keys as Go does.

use std::borrow::Cow;

use super::values::SecretText;
use zeroize::Zeroizing;

/// A string as it stands between its quotes: its escapes are well-formed, its UTF-8 need not be.
#[derive(Clone, Copy)]
pub(super) struct RawText<'a> {
    raw: &'a [u8],
    escaped: bool,
}

impl<'a> RawText<'a> {
    /// Finds the end of the string whose opening quote came just before `input`. The error is where it went wrong.
    pub(super) fn scan(input: &'a [u8]) -> Result<Self, usize> {
        let mut at = 0;
        let mut escaped = false;
        loop {
            let rest = input.get(at..).unwrap_or_default();
            let special = |&byte: &u8| byte == b'"' || byte == b'\\' || byte < b' ';
            at += rest.iter().position(special).unwrap_or(rest.len());
            match input.get(at) {
                Some(b'"') => {
                    let raw = input.get(..at).unwrap_or_default();
                    return Ok(Self { raw, escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    at += escape_len(input.get(at..).unwrap_or_default()).ok_or(at)?;
                }
                _ => return Err(at),
            }
        }
    }

    /// The length between the quotes, as it stands.
    pub(super) fn raw_len(self) -> usize {
        self.raw.len()
    }

    /// The text itself, when there is nothing to undo or to replace in it.
    pub(super) fn plain(self) -> Option<&'a str> {
        if self.escaped {
            return None;
        }
        std::str::from_utf8(self.raw).ok()
    }

    /// The text, copied where it must be.
    pub(super) fn decode(self) -> Cow<'a, str> {
        match self.plain() {
            Some(text) => Cow::Borrowed(text),
            None => Cow::Owned(self.decode_sized()),
        }
    }

    /// The text in a buffer that is wiped.
    pub(super) fn decode_secret(self) -> SecretText {
        match self.plain() {
            Some(text) => SecretText::from(text),
            None => SecretText::from(self.decode_sized()),
        }
    }

    /// The text in a scratch buffer that is wiped.
    pub(super) fn decode_wiped(self) -> Zeroizing<String> {
        Zeroizing::new(self.decode_sized())
    }

    /// Measures first, then fills, so that no outgrown buffer stays behind.
    fn decode_sized(self) -> String {
        let mut len = 0;
        self.pieces(|piece| len += piece.len());
        let mut text = String::with_capacity(len);
        self.pieces(|piece| text.push_str(piece));
        text
    }

    /// Hands out the decoded text piece by piece.
    fn pieces(self, mut put: impl FnMut(&str)) {
        let mut rest = self.raw;
        while let Some(at) = rest.iter().position(|&byte| byte == b'\\') {
            let (before, escape) = rest.split_at(at);
            put_replacing(before, &mut put);
            let (character, len) = unescape(escape);
            put(character.encode_utf8(&mut [0; 4]));
            rest = escape.get(len..).unwrap_or_default();
        }
        put_replacing(rest, &mut put);
    }
}

/// The key of a field.
#[derive(Debug)]
pub(crate) struct Key<'a>(Cow<'a, str>);

impl<'a> From<RawText<'a>> for Key<'a> {
    fn from(text: RawText<'a>) -> Self {
        Self(text.decode())
    }
}

impl Key<'_> {
    /// Whether this key names the field `name`, which is ASCII. Go prefers an exact match over one that differs in
    /// case; that matters only between two fields whose names differ in case alone, and no body has such a pair.
    pub(crate) fn is(&self, name: &str) -> bool {
        let key = self.0.as_ref();
        if key.len() == name.len() {
            return key.eq_ignore_ascii_case(name);
        }
        key.len() > name.len() && key.chars().map(fold).eq(name.chars().map(fold))
    }

    /// The key as it is.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The key of a map with integer keys.
    pub(crate) fn integer(&self) -> Option<i64> {
        self.0.parse().ok()
    }
}

/// Unicode's simple folding, as far as it ends in ASCII: only U+017F and U+212A join the letters there.
fn fold(character: char) -> char {
    match character {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    }
}

/// How many bytes the escape at the start of `input` takes, if it is a valid one.
fn escape_len(input: &[u8]) -> Option<usize> {
    match input.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => code_unit(input).map(|_| 6),
        _ => None,
    }
}

/// What the escape at the start of `input` stands for, and how many bytes it takes.
fn unescape(input: &[u8]) -> (char, usize) {
    match input.get(1) {
        Some(b'b') => ('\u{8}', 2),
        Some(b'f') => ('\u{c}', 2),
        Some(b'n') => ('\n', 2),
        Some(b'r') => ('\r', 2),
        Some(b't') => ('\t', 2),
        Some(b'u') => {
            let first = code_unit(input).unwrap_or_default();
            let second = input.get(6..).and_then(code_unit);
            unescape_utf16(first, second)
        }
        Some(&byte) => (char::from(byte), 2),
        None => (char::REPLACEMENT_CHARACTER, 1),
    }
}

/// Joins a surrogate pair; a surrogate on its own becomes U+FFFD.
fn unescape_utf16(first: u16, second: Option<u16>) -> (char, usize) {
    if let Some(character) = char::from_u32(u32::from(first)) {
        return (character, 6);
    }
    let pair = second.and_then(|second| char::decode_utf16([first, second]).next()?.ok());
    pair.map_or((char::REPLACEMENT_CHARACTER, 6), |character| (character, 12))
}

/// The four digits of a `\uXXXX` at the start of `input`.
fn code_unit(input: &[u8]) -> Option<u16> {
    let digits = input.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0_u16, |unit, &byte| {
        let digit = char::from(byte).to_digit(16)?;
        Some(unit << 4 | u16::try_from(digit).ok()?)
    })
}

/// Go replaces each byte of invalid UTF-8 by its own U+FFFD.
fn put_replacing(bytes: &[u8], put: &mut impl FnMut(&str)) {
    for chunk in bytes.utf8_chunks() {
        put(chunk.valid());
        for _ in chunk.invalid() {
            put("\u{fffd}");
        }
    }
}
