//! Whether an HTTP/1.1 peer has sent more than the request that it waits for.
//!
//! Between two requests a connection may idle for long, and the head of a request has to come soon. A head that begins in the
//! same bytes as the end of the request before it lies in a buffer of the HTTP library, and nobody sees it arrive. So the
//! bytes behind each head are counted here and held against the length of its body.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use axum::http::{HeaderMap, header};

/// The length of a body that comes in chunks.
const CHUNKED: u64 = u64::MAX;

/// What came of the request that is being carried out, or was the last one.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// Bytes behind its head.
    behind_head: AtomicU64,
    /// What came last ended with an empty line, as chunks do.
    ends_with_empty_line: AtomicBool,
    /// How long its body is.
    body: AtomicU64,
    /// More came than it has. Where the next one begins is not known from then on.
    is_ahead: AtomicBool,
}

impl Sent {
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

    /// The request has ended. Tells whether the peer has sent more, now or earlier.
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

    /// Whether the body of the last request is here.
    fn is_whole(&self) -> bool {
        match self.body.load(Relaxed) {
            CHUNKED => self.ends_with_empty_line.load(Relaxed),
            body => self.behind_head.load(Relaxed) >= body,
        }
    }
}

/// Looks for the ends of heads in what comes.
#[derive(Debug, Default)]
pub(super) struct HeadReader {
    /// The end of the head was there.
    is_behind_head: bool,
    /// The head has begun: empty lines before it are passed over, as the HTTP library does.
    has_begun: bool,
    /// The line so far is empty.
    is_line_empty: bool,
}

impl HeadReader {
    /// Takes bytes that came; `is_idle` tells that no request is being carried out.
    pub(super) fn take(&mut self, bytes: &[u8], is_idle: bool, sent: &Sent) {
        if sent.is_ahead.load(Relaxed) {
            return;
        }
        if self.is_behind_head && is_idle && sent.is_whole() {
            *self = Self::default();
        }
        // Only the connection itself writes these numbers, so that nothing comes in between.
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

    /// What is behind the empty line that ends a head.
    fn find_end<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        // Nearly every head comes as a whole and at the beginning of what comes.
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

/// What is behind the first empty line.
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

    /// Sends a request in parts of every length, and more behind it. Tells after which lengths it counts as being ahead.
    fn ahead(request: &str, body: &HeaderMap, more: &str) -> Vec<bool> {
        let bytes = [request, more].concat();
        let each = (1..=bytes.len()).map(|length| {
            let (sent, mut reader) = (Sent::default(), HeadReader::default());
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
        // Only the last part of what comes is looked at here.
        assert_eq!(ahead(request, &chunked, "").last(), Some(&false));
        assert!(ahead(request, &chunked, "POST / HT").iter().all(|is_ahead| *is_ahead));
    }

    #[test]
    fn one_request_after_the_other_is_not_ahead_and_a_body_that_comes_late_is_no_head() {
        let (sent, mut reader) = (Sent::default(), HeadReader::default());
        let body = headers(header::CONTENT_LENGTH, "4");
        for _ in 0..3 {
            reader.take(b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n{", true, &sent);
            sent.begin(&body);
            reader.take(b" ", false, &sent);
            // Answered before the body is here.
            assert!(!sent.is_ahead());
            reader.take(b" }", true, &sent);
            assert!(!sent.is_ahead());
        }
        reader.take(b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n{  }P", true, &sent);
        sent.begin(&body);
        assert!(sent.is_ahead());
    }
}
