//! Follows the requests of an HTTP/1.1 peer as their bytes arrive.
//!
//! Between two requests a connection may be idle for long, but the head of a request must arrive quickly. A head that
//! arrives while an earlier request is carried out stays in a buffer of the HTTP library, where its arrival is not visible.
//! So the bytes are read here too, only as far as it takes to know where a head begins and ends. What the library refuses
//! ends the connection, so it does not matter what is read here behind it.

use memchr::memchr;

use super::limits::{MAX_FIELDS, MAX_HEAD};

/// The shortest length of a body that the library does not take.
const TOO_LONG: u64 = u64::MAX - 1;

/// So much of each line is read: more than the two fields need that say how long a body is.
const LINE: usize = 64;

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Empty lines before a head, which the library skips, or the head itself.
    Before,
    Head,
    Body(u64),
    /// The line before a chunk.
    ChunkSize,
    /// A chunk, with the end of its line.
    Chunk(u64),
    Trailers,
}

/// How the end of a body is found.
#[derive(Clone, Copy, Debug)]
enum Length {
    Bytes(u64),
    Chunked,
}

/// What of a head is more than the library takes. It does not tell by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Excess {
    /// Its bytes, as far as it is known here.
    Bytes,
    /// More than [`MAX_FIELDS`].
    Fields,
    /// The length of the body.
    Length,
}

impl Excess {
    /// The reason for the audit log.
    pub(super) fn reason(self) -> String {
        match self {
            Self::Bytes => format!("the head of the request has more than {MAX_HEAD} bytes"),
            Self::Fields => format!("the head of the request has more than {MAX_FIELDS} fields"),
            Self::Length => "the Content-Length is more than any body may have".to_owned(),
        }
    }
}

/// Where a peer is in its requests.
#[derive(Debug)]
pub(super) struct RequestReader {
    place: Place,
    /// The beginning of the current line.
    line: [u8; LINE],
    line_len: usize,
    length: Length,
    /// Lines of the current head, the first among them.
    lines: usize,
}

impl RequestReader {
    pub(super) const fn new() -> Self {
        Self {
            place: Place::Before,
            line: [0; LINE],
            line_len: 0,
            length: Length::Bytes(0),
            lines: 0,
        }
    }

    /// Whether a head has begun and not ended.
    pub(super) const fn is_within_head(&self) -> bool {
        matches!(self.place, Place::Head)
    }

    /// What is too much of the last head, if the library says that something is.
    pub(super) const fn excess(&self) -> Excess {
        match self.length {
            _ if self.lines > MAX_FIELDS + 1 => Excess::Fields,
            Length::Bytes(TOO_LONG..) => Excess::Length,
            Length::Bytes(_) | Length::Chunked => Excess::Bytes,
        }
    }

    /// Reads the next bytes, and returns whether a head has ended in them.
    pub(super) fn take(&mut self, mut bytes: &[u8]) -> bool {
        let mut has_ended = false;
        while let Some(first) = bytes.first() {
            match self.place {
                Place::Before if matches!(first, b'\r' | b'\n') => {
                    bytes = bytes.get(1..).unwrap_or_default();
                }
                Place::Before => {
                    (self.place, self.length, self.lines) = (Place::Head, Length::Bytes(0), 0);
                }
                Place::Head => {
                    let length = self.length;
                    if let Some(line) = self.line(&mut bytes) {
                        if line.is_empty() {
                            self.place = behind_head(length);
                            has_ended = true;
                        } else {
                            self.length = length_after(line, length);
                            self.lines += 1;
                        }
                    }
                }
                Place::Body(left) => {
                    let left = skip(&mut bytes, left);
                    self.place = if left == 0 { Place::Before } else { Place::Body(left) };
                }
                Place::ChunkSize => {
                    if let Some(size) = self.line(&mut bytes).map(chunk_size) {
                        self.place = match size {
                            0 => Place::Trailers,
                            size => Place::Chunk(size.saturating_add(2)),
                        };
                    }
                }
                Place::Chunk(left) => {
                    let left = skip(&mut bytes, left);
                    self.place = if left == 0 { Place::ChunkSize } else { Place::Chunk(left) };
                }
                Place::Trailers => {
                    if self.line(&mut bytes).is_some_and(<[u8]>::is_empty) {
                        self.place = Place::Before;
                    }
                }
            }
        }
        has_ended
    }

    /// Reads to the end of the current line. Returns it, or its beginning, without what ends it, if the end was there.
    fn line<'a, 'b: 'a>(&'a mut self, bytes: &mut &'b [u8]) -> Option<&'a [u8]> {
        let end = memchr(b'\n', bytes);
        let (read, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
        *bytes = rest;
        // Nearly every line arrives whole.
        if end.is_some() && self.line_len == 0 {
            return Some(without_end(read.get(..LINE).unwrap_or(read)));
        }
        let kept = self.line.get_mut(self.line_len..).unwrap_or_default();
        let new = kept.len().min(read.len());
        if let (Some(kept), Some(read)) = (kept.get_mut(..new), read.get(..new)) {
            kept.copy_from_slice(read);
        }
        self.line_len += new;
        end?;
        let length = std::mem::take(&mut self.line_len);
        self.line.get(..length).map(without_end)
    }
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// What follows a head.
const fn behind_head(length: Length) -> Place {
    match length {
        Length::Bytes(0) => Place::Before,
        Length::Bytes(length) => Place::Body(length),
        Length::Chunked => Place::ChunkSize,
    }
}

/// How the end of the body is found, once this line of the head is read.
fn length_after(line: &[u8], before: Length) -> Length {
    match (line.first(), before) {
        (Some(b't' | b'T'), _) if field(line, b"transfer-encoding:").is_some() => Length::Chunked,
        (Some(b'c' | b'C'), Length::Bytes(_)) => {
            field(line, b"content-length:").map_or(before, |value| Length::Bytes(number(value, 10)))
        }
        _ => before,
    }
}

/// Skips `left` bytes, and returns how many are still to come.
fn skip(bytes: &mut &[u8], left: u64) -> u64 {
    let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
    *bytes = bytes.get(here..).unwrap_or_default();
    left - here as u64
}

/// The value of the field, if the line is this one.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (start, value) = line.split_at_checked(name.len())?;
    start.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

fn chunk_size(line: &[u8]) -> u64 {
    let size = line.split(|byte| matches!(byte, b';' | b' ' | b'\t' | b'\r')).next();
    number(size.unwrap_or_default(), 16)
}

/// 0 if it is no number: the library refuses it.
fn number(text: &[u8], radix: u32) -> u64 {
    let text = str::from_utf8(text).unwrap_or_default();
    u64::from_str_radix(text, radix).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUESTS: [&str; 6] = [
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
        "\r\n\nPOST / HTTP/1.1\nContent-Length:2\n\n\n\n",
        "POST / HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nx: y\r\n\r\n",
        "GET /a-target-that-is-longer-than-what-is-kept-of-a-line-whatever-it-may-be HTTP/1.1\r\n\
         CONTENT-LENGTH: 3 \r\n\r\n\n\n\n",
    ];

    /// How many heads end in `bytes`, in parts of so many, and whether the last of them has not.
    fn heads(bytes: &str, length: usize) -> (usize, bool) {
        let mut reader = RequestReader::new();
        let parts = bytes.as_bytes().chunks(length);
        let ended = parts.filter(|part| reader.take(part)).count();
        (ended, reader.is_within_head())
    }

    #[test]
    fn a_head_begins_behind_the_request_before_it_wherever_the_bytes_are_cut() {
        for request in REQUESTS {
            for next in REQUESTS {
                let bytes = [request, next].concat();
                for length in 1..=bytes.len() {
                    let (ended, is_within) = heads(&bytes, length);
                    assert!(length > 1 || ended == 2, "{bytes:?}");
                    assert!(!is_within, "{bytes:?} by {length}");
                }
                assert!(heads(&[request, "P"].concat(), 1).1, "{request:?}");
                let next = next.trim_start();
                let ends =
                    [next.find("\n\n").map(|at| at + 1), next.find("\r\n\r\n").map(|at| at + 3)];
                let head = &next[..ends.into_iter().flatten().min().unwrap()];
                let cut = [request, head].concat();
                assert!(heads(&cut, 7).1, "{cut:?}");
            }
        }
    }

    #[test]
    fn empty_lines_behind_a_request_are_no_head() {
        for request in REQUESTS {
            assert_eq!(heads(&[request, "\r\n\r\n"].concat(), 1), (1, false), "{request:?}");
        }
    }

    #[test]
    fn what_is_too_much_of_a_head_is_told_apart() {
        let excess = |head: &str| {
            let mut reader = RequestReader::new();
            reader.take(head.as_bytes());
            reader.excess()
        };
        let fields = "x: y\r\n".repeat(101);
        assert_eq!(excess(&format!("POST / HTTP/1.1\r\n{fields}")), Excess::Fields);
        assert_eq!(excess(&format!("POST / HTTP/1.1\r\n{}\r\n", &fields[6..])), Excess::Bytes);
        let length = |length: u64| excess(&format!("POST /\r\nContent-Length: {length}\r\n\r\n"));
        assert_eq!(length(u64::MAX), Excess::Length);
        assert_eq!(length(u64::MAX - 2), Excess::Bytes);
    }

    // Found by fuzzing: a length behind many spaces was read only if its line arrived in one part.
    #[test]
    fn a_long_line_is_read_alike_however_it_arrives() {
        for spaces in 40..80 {
            let head = format!("POST / HTTP/1.1\r\nContent-Length:{:spaces$}5\r\n\r\nabc", "");
            let whole = heads(&head, head.len());
            for length in 1..head.len() {
                assert_eq!(heads(&head, length).1, whole.1, "{head:?} by {length}");
            }
        }
    }

    #[test]
    fn nonsense_ends_in_no_panic() {
        for text in ["\r\r\n\r\n", "Content-Length: -1\n\n", "x\nTransfer-Encoding:\n\nzz\n\n\n"] {
            for length in 1..4 {
                heads(&text.repeat(3), length);
            }
        }
    }
}
