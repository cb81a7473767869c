//! Writes JSON as Go's encoder does: no white space, and `<`, `>`, `&`, U+2028 and U+2029 escaped.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use zeroize::Zeroizing;

/// The bytes that `write` writes, in a buffer of exactly that size. It is wiped with its last reference.
pub(crate) fn body(write: impl Fn(&mut Writer)) -> Bytes {
    Bytes::from_owner(secret_json(write))
}

/// As [`body`], for bytes that are not sent.
pub(crate) fn secret_json(write: impl Fn(&mut Writer)) -> Zeroizing<Vec<u8>> {
    let mut measured = Writer { buffer: None, len: 0, first: true };
    write(&mut measured);
    let buffer = Zeroizing::new(Vec::with_capacity(measured.len));
    let mut writer = Writer { buffer: Some(buffer), len: 0, first: true };
    write(&mut writer);
    debug_assert_eq!(writer.len, measured.len, "both passes write the same");
    writer.buffer.unwrap_or_default()
}

/// Writes JSON, or only measures it. Every body is written twice, so that its buffer never grows and leaves no copy of
/// a secret.
#[derive(Debug)]
pub(crate) struct Writer {
    buffer: Option<Zeroizing<Vec<u8>>>,
    len: usize,
    /// Whether the next name or element is the first one.
    first: bool,
}

impl Writer {
    /// Writes an object; `fields` writes its fields.
    pub(crate) fn object(&mut self, fields: impl FnOnce(&mut Self)) {
        self.nested(b"{", fields, b"}");
    }

    /// Writes an array; `elements` starts each element with [`Writer::element`].
    pub(crate) fn array(&mut self, elements: impl FnOnce(&mut Self)) {
        self.nested(b"[", elements, b"]");
    }

    /// Starts a field.
    pub(crate) fn name(&mut self, name: &str) -> &mut Self {
        self.element().text(name);
        self.put(b":");
        self
    }

    /// Starts an element.
    pub(crate) fn element(&mut self) -> &mut Self {
        if !self.first {
            self.put(b",");
        }
        self.first = false;
        self
    }

    /// Writes a string.
    pub(crate) fn text(&mut self, text: &str) {
        self.put(b"\"");
        let mut rest = text.as_bytes();
        while let Some((at, escape)) = next_escape(rest) {
            let (before, after) = rest.split_at(at);
            self.put(before);
            match escape {
                Escape::Short(letter) => self.put(&[b'\\', letter]),
                Escape::Hex(byte) => {
                    self.put(&[b'\\', b'u', b'0', b'0', hex(byte >> 4), hex(byte & 15)]);
                }
                Escape::Separator(last) => self.put(&[b'\\', b'u', b'2', b'0', b'2', last]),
            }
            rest = after.get(escape.len()..).unwrap_or_default();
        }
        self.put(rest);
        self.put(b"\"");
    }

    /// Writes an integer.
    pub(crate) fn integer(&mut self, value: i64) {
        if value < 0 {
            self.put(b"-");
        }
        self.unsigned(value.unsigned_abs());
    }

    /// Writes an integer of an unsigned type.
    pub(crate) fn unsigned(&mut self, value: impl TryInto<u64>) {
        let mut rest = value.try_into().unwrap_or(u64::MAX);
        let mut divisor = 1;
        while rest / divisor >= 10 {
            divisor *= 10;
        }
        while divisor > 0 {
            self.put(&[decimal(rest / divisor)]);
            rest %= divisor;
            divisor /= 10;
        }
    }

    /// Writes `null`.
    pub(crate) fn null(&mut self) {
        self.put(b"null");
    }

    /// Writes a byte string as padded standard base64.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.put(b"\"");
        let len = bytes.len().div_ceil(3) * 4;
        self.len += len;
        if let Some(buffer) = &mut self.buffer {
            let from = buffer.len();
            buffer.resize(from + len, b'=');
            if let Some(space) = buffer.get_mut(from..) {
                let written = STANDARD.encode_slice(bytes, space);
                debug_assert_eq!(written, Ok(len), "base64 takes four bytes for three");
            }
        }
        self.put(b"\"");
    }

    /// Writes bytes as a list of numbers.
    pub(crate) fn byte_list(&mut self, bytes: &[u8]) {
        self.array(|list| {
            for &byte in bytes {
                list.element().unsigned(byte);
            }
        });
    }

    /// Writes bytes that are JSON already.
    pub(crate) fn put(&mut self, json: &[u8]) {
        self.len += json.len();
        if let Some(buffer) = &mut self.buffer {
            buffer.extend_from_slice(json);
        }
    }

    fn nested(&mut self, open: &[u8], content: impl FnOnce(&mut Self), close: &[u8]) {
        self.put(open);
        self.first = true;
        content(self);
        self.first = false;
        self.put(close);
    }
}

#[derive(Clone, Copy)]
enum Escape {
    /// A backslash and this letter.
    Short(u8),
    /// The code of an ASCII character.
    Hex(u8),
    /// U+2028 or U+2029, by their last digit.
    Separator(u8),
}

impl Escape {
    /// The length of the text that it replaces, in bytes.
    const fn len(self) -> usize {
        match self {
            Self::Short(_) | Self::Hex(_) => 1,
            Self::Separator(_) => 3,
        }
    }
}

/// The first byte in `text` that needs an escape.
fn next_escape(text: &[u8]) -> Option<(usize, Escape)> {
    let mut from = 0;
    loop {
        let rest = text.get(from..)?;
        let at = from + rest.iter().position(|&byte| suspect(byte))?;
        match text.get(at..)? {
            [0xe2, 0x80, 0xa8, ..] => return Some((at, Escape::Separator(b'8'))),
            [0xe2, 0x80, 0xa9, ..] => return Some((at, Escape::Separator(b'9'))),
            [0xe2, ..] | [] => from = at + 1,
            [byte, ..] => return Some((at, escape(*byte))),
        }
    }
}

const fn escape(byte: u8) -> Escape {
    match byte {
        b'"' | b'\\' => Escape::Short(byte),
        0x08 => Escape::Short(b'b'),
        0x0c => Escape::Short(b'f'),
        b'\n' => Escape::Short(b'n'),
        b'\r' => Escape::Short(b'r'),
        b'\t' => Escape::Short(b't'),
        other => Escape::Hex(other),
    }
}

/// Whether a byte needs an escape, or is 0xE2, the first byte of U+2028 and U+2029.
fn suspect(byte: u8) -> bool {
    SUSPECT.get(usize::from(byte)).is_none_or(|&suspect| suspect)
}

/// A table, because every byte of every value is looked up in it.
const SUSPECT: &[bool; 256] = &{
    let mut table = [false; 256];
    let mut rest: &mut [bool] = &mut table;
    let mut byte = 0_u8;
    while let Some((entry, after)) = rest.split_first_mut() {
        *entry = matches!(byte, 0..=0x1f | b'"' | b'\\' | b'<' | b'>' | b'&' | 0xe2);
        rest = after;
        byte = byte.wrapping_add(1);
    }
    table
};

const fn hex(digit: u8) -> u8 {
    if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }
}

const fn decimal(digit: u64) -> u8 {
    b'0' + (digit % 10) as u8
}
