//! Strings: finding their end, decoding escapes, and comparing keys as Go does.

use std::borrow::Cow;

use zeroize::Zeroizing;

/// A string before decoding: its escapes are valid, its UTF-8 may not be.
#[derive(Clone, Copy)]
pub(super) struct RawText<'a> {
    raw: &'a [u8],
    escaped: bool,
}

impl<'a> RawText<'a> {
    /// Finds the end of the string whose opening quote is just before `input`. The error is the offset of the fault.
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

    /// The length between the quotes, before decoding.
    pub(super) fn raw_len(self) -> usize {
        self.raw.len()
    }

    /// The text itself, if there is nothing to decode or to replace.
    pub(super) fn plain(self) -> Option<&'a str> {
        if self.escaped {
            return None;
        }
        std::str::from_utf8(self.raw).ok()
    }

    /// The text, copied if necessary.
    pub(super) fn decode(self) -> Cow<'a, str> {
        match self.plain() {
            Some(text) => Cow::Borrowed(text),
            None => Cow::Owned(self.decode_sized()),
        }
    }

    /// The text in a scratch buffer that is wiped.
    pub(super) fn decode_wiped(self) -> Zeroizing<String> {
        Zeroizing::new(self.decode_sized())
    }

    /// The length after decoding, in bytes.
    pub(super) fn decoded_len(self) -> usize {
        if let Some(text) = self.plain() {
            return text.len();
        }
        let mut len = 0;
        self.pieces(|piece| len += piece.len());
        len
    }

    /// Appends the decoded text. It needs [`Self::decoded_len`] bytes.
    pub(super) fn append_to(self, out: &mut String) {
        match self.plain() {
            Some(text) => out.push_str(text),
            None => self.pieces(|piece| out.push_str(piece)),
        }
    }

    /// Measures first and fills then, so that no outgrown buffer is left.
    fn decode_sized(self) -> String {
        let mut text = String::with_capacity(self.decoded_len());
        self.append_to(&mut text);
        text
    }

    /// Calls `put` for each piece of the decoded text.
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

/// The key of a field, before decoding: most keys are compared with a few names and need no copy.
pub(crate) struct Key<'a>(RawText<'a>);

/// The most bytes of JSON for one character of the name of a field: an escape with four digits.
const RAW_PER_CHARACTER: usize = 6;

impl<'a> From<RawText<'a>> for Key<'a> {
    fn from(text: RawText<'a>) -> Self {
        Self(text)
    }
}

impl Key<'_> {
    /// Whether this is the key of the field `name`, which is ASCII. Go prefers an exact match over one that differs in
    /// case. That matters only for two fields whose names differ in case alone, and no body has such a pair.
    pub(crate) fn is(&self, name: &str) -> bool {
        let length = self.0.raw_len();
        // Also of a key of megabytes nothing is copied.
        if length < name.len() || length > name.len().saturating_mul(RAW_PER_CHARACTER) {
            return false;
        }
        match self.0.plain() {
            Some(key) if length == name.len() => key.eq_ignore_ascii_case(name),
            Some(key) => key.chars().map(fold).eq(name.chars().map(fold)),
            None => self.0.decode_sized().chars().map(fold).eq(name.chars().map(fold)),
        }
    }

    /// The length of the decoded key, in bytes.
    pub(super) fn decoded_len(&self) -> usize {
        self.0.decoded_len()
    }

    /// Appends the decoded key.
    pub(super) fn append_to(&self, out: &mut String) {
        self.0.append_to(out);
    }

    /// The key of a map with integer keys.
    pub(crate) fn integer(&self) -> Option<i64> {
        self.0.decode().parse().ok()
    }
}

/// Unicode's simple case folding, as far as it leads to ASCII: only U+017F and U+212A do, besides the letters
/// themselves.
fn fold(character: char) -> char {
    match character {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    }
}

/// The length of the escape at the start of `input`, in bytes, if it is valid.
fn escape_len(input: &[u8]) -> Option<usize> {
    match input.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => code_unit(input).map(|_| 6),
        _ => None,
    }
}

/// The character of the escape at the start of `input`, and its length in bytes.
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

/// Combines a surrogate pair; a lone surrogate becomes U+FFFD.
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
