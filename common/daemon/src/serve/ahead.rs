//! Whether an HTTP/1.1 peer has sent more than its current request.
//!
//! Between two requests a connection may be idle for long, but the head of a request must arrive quickly. A head that
//! arrives in the same bytes as the end of the request before it stays in a buffer of the HTTP library, where its
//! arrival is not visible. So the bytes after each head are counted here and compared with the length of its body.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use axum::http::{HeaderMap, header};

/// The length of a chunked body.
const CHUNKED: u64 = u64::MAX;

/// What arrived of the current request, or of the last one.
#[derive(Debug, Default)]
pub(super) struct ReceivedRequest {
    /// Bytes after its head.
    behind_head: AtomicU64,
    /// The last bytes ended with an empty line, as chunked bodies do.
    ends_with_empty_line: AtomicBool,
    /// The length of its body.
    body: AtomicU64,
    /// More bytes arrived than it has. The start of the next request is unknown from then on.
    is_ahead: AtomicBool,
}

impl ReceivedRequest {
    /// A request with these headers begins.
    pub(super) fn begin(&self, headers: &HeaderMap) {
        let body = if headers.contains_key(header::TRANSFER_ENCODING) {
            CHUNKED
        } else {
            let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
            length.and_then(|length| length.parse().ok()).unwrap_or(0)
        };
        self.body.store(body, Relaxed);
    }

    /// The request has ended. Returns whether the peer has sent more, now or earlier.
    pub(super) fn is_ahead(&self) -> bool {
        let is_more = match self.body.load(Relaxed) {
            CHUNKED => !self.ends_with_empty_line.load(Relaxed),
            body => self.behind_head.load(Relaxed) > body,
        };
        if is_more {
            self.is_ahead.store(true, Relaxed);
        }
        is_more || self.is_ahead.load(Relaxed)
    }

    /// Whether the whole body of the last request has arrived.
    fn is_whole(&self) -> bool {
        match self.body.load(Relaxed) {
            CHUNKED => self.ends_with_empty_line.load(Relaxed),
            body => self.behind_head.load(Relaxed) >= body,
        }
    }
}

/// Finds the ends of heads in the received bytes.
#[derive(Debug, Default)]
pub(super) struct HeadReader {
    /// The end of the head has arrived.
    is_behind_head: bool,
    /// The head has begun: empty lines before it are skipped, as the HTTP library does.
    has_begun: bool,
    /// The current line is empty so far.
    is_line_empty: bool,
}

impl HeadReader {
    /// Processes received bytes; `is_idle`: no request is being carried out.
    pub(super) fn take(&mut self, bytes: &[u8], is_idle: bool, sent: &ReceivedRequest) {
        if sent.is_ahead.load(Relaxed) {
            return;
        }
        if self.is_behind_head && is_idle && sent.is_whole() {
            *self = Self::default();
        }
        // Only the connection itself writes these numbers, so nothing changes them in between.
        let length = |bytes: &[u8]| u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if self.is_behind_head {
            let before = sent.behind_head.load(Relaxed);
            sent.behind_head.store(before.saturating_add(length(bytes)), Relaxed);
        } else if let Some(behind) = self.find_end(bytes) {
            self.is_behind_head = true;
            sent.behind_head.store(length(behind), Relaxed);
        }
        let is_empty_line = bytes.ends_with(b"\n\r\n") || bytes.ends_with(b"\n\n");
        sent.ends_with_empty_line.store(is_empty_line, Relaxed);
    }

    /// The bytes after the empty line that ends a head.
    fn find_end<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        // Nearly every head arrives whole and first.
        if !self.has_begun
            && let [b'A'..=b'Z', ..] = bytes
            && let Some(behind) = behind_empty_line(bytes)
        {
            return Some(behind);
        }
        let mut rest = bytes;
        while let Some((byte, behind)) = rest.split_first() {
            rest = behind;
            match byte {
                b'\n' if self.has_begun && self.is_line_empty => return Some(behind),
                b'\n' => self.is_line_empty = true,
                b'\r' => {}
                _ => (self.has_begun, self.is_line_empty) = (true, false),
            }
        }
        None
    }
}

/// The bytes after the first empty line.
fn behind_empty_line(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        rest = rest.get(end + 1..)?;
        if let [b'\n', behind @ ..] | [b'\r', b'\n', behind @ ..] = rest {
            return Some(behind);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(name: header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    /// Sends a request in parts of every length, and more bytes after it. Returns for each length whether the peer
    /// counts as ahead.
    fn ahead(request: &str, body: &HeaderMap, more: &str) -> Vec<bool> {
        let bytes = [request, more].concat();
        let each = (1..=bytes.len()).map(|length| {
            let (sent, mut reader) = (ReceivedRequest::default(), HeadReader::default());
            for part in bytes.as_bytes().chunks(length) {
                reader.take(part, false, &sent);
            }
            sent.begin(body);
            sent.is_ahead()
        });
        each.collect()
    }

    #[test]
    fn what_comes_behind_a_request_is_noticed_wherever_the_bytes_are_cut() {
        let of_length = headers(header::CONTENT_LENGTH, "2");
        let chunked = headers(header::TRANSFER_ENCODING, "chunked");
        let none = HeaderMap::new();
        for (request, body) in [
            ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", &of_length),
            ("\r\n\r\nPOST / HTTP/1.1\nContent-Length:2\n\n\n\n", &of_length),
            ("POST / HTTP/1.1\r\nHost: x\r\n\r\n", &none),
        ] {
            assert!(ahead(request, body, "").iter().all(|is_ahead| !is_ahead), "{request:?}");
            assert!(ahead(request, body, "P").iter().all(|is_ahead| *is_ahead), "{request:?}");
        }
        let request = "POST / HTTP/1.1\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
        // Only the last part of the bytes is checked here.
        assert_eq!(ahead(request, &chunked, "").last(), Some(&false));
        assert!(ahead(request, &chunked, "POST / HT").iter().all(|is_ahead| *is_ahead));
    }

    #[test]
    fn one_request_after_the_other_is_not_ahead_and_a_body_that_comes_late_is_no_head() {
        let (sent, mut reader) = (ReceivedRequest::default(), HeadReader::default());
        let body = headers(header::CONTENT_LENGTH, "4");
        for _ in 0..3 {
            reader.take(b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n{", true, &sent);
            sent.begin(&body);
            reader.take(b" ", false, &sent);
            // Answered before the body arrives.
            assert!(!sent.is_ahead());
            reader.take(b" }", true, &sent);
            assert!(!sent.is_ahead());
        }
        reader.take(b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n{  }P", true, &sent);
        sent.begin(&body);
        assert!(sent.is_ahead());
    }
}
