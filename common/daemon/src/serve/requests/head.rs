//! The head of a request: where it ends, and how long the body behind it is.

use memchr::memchr;

use super::next;

/// The shortest length of a body that the library does not take.
const TOO_LONG: u64 = u64::MAX - 1;

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// There is none.
    Empty,
    Bytes(u64),
    Chunked,
    /// More than any body may have.
    TooLong,
    /// The library refuses it for another reason.
    Refused,
}

impl Length {
    /// With one more field that says how long the body is.
    const fn and(self, field: Self) -> Self {
        match (self, field) {
            (Self::TooLong | Self::Refused, _) => self,
            // The library refuses what is not chunked last.
            (_, Self::Chunked) | (Self::Chunked, _) => Self::Chunked,
            (Self::Empty, _) => field,
            (Self::Bytes(length), Self::Bytes(again)) if length == again => self,
            (Self::Bytes(_), _) => Self::Refused,
        }
    }
}

/// Reads one head.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeadReader {
    line: Line,
    /// Lines that have ended, the first among them.
    lines: usize,
    length: Length,
}

impl HeadReader {
    pub(super) const fn new() -> Self {
        Self { line: Line::Nothing, lines: 0, length: Length::Empty }
    }

    /// How the end of the body is found.
    pub(super) const fn length(&self) -> Length {
        self.length
    }

    /// How many lines have ended, without the empty one.
    pub(super) const fn lines(&self) -> usize {
        self.lines
    }

    /// Reads to the end of the head, and returns whether it was there.
    pub(super) fn take(&mut self, bytes: &mut &[u8]) -> bool {
        loop {
            if matches!(self.line, Line::Other) {
                let end = memchr(b'\n', bytes).unwrap_or(bytes.len());
                *bytes = bytes.get(end..).unwrap_or_default();
            }
            match (next(bytes), self.line) {
                (None, _) => return false,
                (Some(b'\n'), Line::Nothing | Line::Return) => return true,
                (Some(b'\n'), line) => {
                    self.length =
                        line.length().map_or(self.length, |length| self.length.and(length));
                    (self.line, self.lines) = (Line::Nothing, self.lines + 1);
                }
                (Some(byte), line) => self.line = line.with(byte),
            }
        }
    }
}

/// What of the current line was read.
#[derive(Clone, Copy, Debug)]
enum Line {
    Nothing,
    /// A CR alone.
    Return,
    /// So many bytes of the name of the field.
    Name(Field, usize),
    /// The whole name of `Content-Length`, and some of its value.
    Number(Number),
    /// The whole name of `Transfer-Encoding`.
    Encoding,
    /// It does not matter what follows.
    Other,
}

impl Line {
    /// With the next byte, which does not end it.
    fn with(self, byte: u8) -> Self {
        match self {
            Self::Nothing => match byte {
                b'\r' => Self::Return,
                b'c' | b'C' => Self::Name(Field::ContentLength, 1),
                b't' | b'T' => Self::Name(Field::TransferEncoding, 1),
                _ => Self::Other,
            },
            Self::Name(field, read) => match field.name().get(read..) {
                Some([byte_of_name, rest @ ..]) if byte.eq_ignore_ascii_case(byte_of_name) => {
                    match (rest, field) {
                        ([_, ..], _) => Self::Name(field, read + 1),
                        ([], Field::ContentLength) => Self::Number(Number::Blank),
                        ([], Field::TransferEncoding) => Self::Encoding,
                    }
                }
                Some(_) | None => Self::Other,
            },
            Self::Number(number) => Self::Number(number.with(byte)),
            Self::Encoding => Self::Encoding,
            Self::Return | Self::Other => Self::Other,
        }
    }

    /// What the whole line says of the body.
    const fn length(self) -> Option<Length> {
        match self {
            Self::Number(number) => Some(number.length()),
            Self::Encoding => Some(Length::Chunked),
            Self::Nothing | Self::Return | Self::Name(..) | Self::Other => None,
        }
    }
}

/// A field that says how long the body is.
#[derive(Clone, Copy, Debug)]
enum Field {
    ContentLength,
    TransferEncoding,
}

impl Field {
    const fn name(self) -> &'static [u8] {
        match self {
            Self::ContentLength => b"content-length:",
            Self::TransferEncoding => b"transfer-encoding:",
        }
    }
}

/// The value of a `Content-Length` so far. The library takes any number of digits, with blanks before and behind.
#[derive(Clone, Copy, Debug)]
enum Number {
    Blank,
    Digits(u64),
    Ended(u64),
    /// The library refuses it.
    Bad,
}

impl Number {
    fn with(self, byte: u8) -> Self {
        let is_blank = matches!(byte, b' ' | b'\t' | b'\r');
        match self {
            Self::Blank if is_blank => Self::Blank,
            Self::Blank => Self::Digits(0).with(byte),
            Self::Digits(number) | Self::Ended(number) if is_blank => Self::Ended(number),
            Self::Digits(number) if byte.is_ascii_digit() => number
                .checked_mul(10)
                .and_then(|tens| tens.checked_add(u64::from(byte - b'0')))
                .map_or(Self::Bad, Self::Digits),
            Self::Digits(_) | Self::Ended(_) | Self::Bad => Self::Bad,
        }
    }

    const fn length(self) -> Length {
        match self {
            Self::Digits(TOO_LONG..) | Self::Ended(TOO_LONG..) => Length::TooLong,
            Self::Digits(number) | Self::Ended(number) => Length::Bytes(number),
            Self::Blank | Self::Bad => Length::Refused,
        }
    }
}
