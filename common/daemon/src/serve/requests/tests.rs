use super::*;

const REQUESTS: [&str; 11] = [
    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
    "\r\n\nPOST / HTTP/1.1\nContent-Length:2\n\n\n\n",
    "POST / HTTP/1.1\r\nHost: x\r\n\r\n",
    "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nx: y\r\n\r\n",
    "GET /a-target-that-is-longer-than-what-is-kept-of-a-line-whatever-it-may-be HTTP/1.1\r\n\
     CONTENT-LENGTH: 3 \r\n\r\n\n\n\n",
    "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1 \t\r\nx\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nContent-Length: 3\r\ncontent-length:\t003\t\r\nc: x\r\nt: x\r\n\r\nabc",
    "POST / HTTP/1.1\r\nContent-Type: x\r\nContent-Lengths: 7\r\nTransfer: chunked\r\n\r\n",
    // Only CR LF ends a trailer.
    "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nx: y\n\nGET / HTTP/1.1\r\n\r\n",
];

/// How many heads end in `bytes`, in parts of so many, and whether the last of them has not.
fn heads(bytes: &str, length: usize) -> (u64, bool) {
    let mut reader = RequestReader::new();
    for part in bytes.as_bytes().chunks(length) {
        let before = reader.heads();
        assert_eq!(reader.take(part), reader.heads() > before);
    }
    (reader.heads(), reader.is_within_head())
}

fn after(bytes: &str) -> RequestReader {
    let mut reader = RequestReader::new();
    reader.take(bytes.as_bytes());
    reader
}

#[test]
fn a_head_begins_behind_the_request_before_it_wherever_the_bytes_are_cut() {
    for request in REQUESTS {
        for next in REQUESTS {
            let bytes = [request, next].concat();
            for length in 1..=bytes.len() {
                assert_eq!(heads(&bytes, length), (2, false), "{bytes:?} by {length}");
            }
            assert!(heads(&[request, "P"].concat(), 1).1, "{request:?}");
            let next = next.trim_start();
            let ends = [next.find("\n\n").map(|at| at + 1), next.find("\r\n\r\n").map(|at| at + 3)];
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

/// A number was read as 0 if it was not in the first bytes of its line, and the body was taken for heads.
#[test]
fn a_number_is_read_to_its_end_however_long_its_line_is_and_however_it_arrives() {
    const BODY: &str = "POST / HTTP/1.1\r\ncontent-length: 999\r\n\r\n";
    let length = BODY.len();
    for width in (1..8).chain(40..80).chain([1000]) {
        for request in [
            format!("POST / HTTP/1.1\r\nContent-Length:{length:width$}\r\n\r\n{BODY}"),
            format!(
                "POST / HTTP/1.1\r\nContent-Length:{length:0width$}{:width$}\r\n\r\n{BODY}",
                ""
            ),
            format!(
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
                 {length:0width$x}{:width$}\r\n{BODY}\r\n{:0width$}\r\n\r\n",
                "", 0
            ),
        ] {
            for part in [1, 2, 7, 64, 65, request.len()] {
                assert_eq!(heads(&request, part), (1, false), "{request:?} by {part}");
                assert_eq!(heads(&[&request, "P"].concat(), part), (1, true), "{request:?}");
            }
        }
    }
}

#[test]
fn what_is_too_much_of_a_head_is_told_apart() {
    let excess = |head: &str| after(head).excess();
    let fields = "x: y\r\n".repeat(101);
    assert_eq!(excess(&format!("POST / HTTP/1.1\r\n{fields}")), Excess::Fields);
    assert_eq!(excess(&format!("POST / HTTP/1.1\r\n{}\r\n", &fields[6..])), Excess::Bytes);
    let length = |length: u64| excess(&format!("POST /\r\nContent-Length: {length}\r\n\r\n"));
    assert_eq!(length(u64::MAX), Excess::Length);
    assert_eq!(length(u64::MAX - 2), Excess::Bytes);
}

/// What the library refuses ends the connection. If it goes on all the same, the two are out of step.
#[test]
fn what_the_library_refuses_is_read_no_further() {
    let field = |field: &str| format!("POST / HTTP/1.1\r\n{field}\r\n\r\n");
    let body = |body: &str| field("Transfer-Encoding: chunked") + body;
    for refused in [
        field("Content-Length:"),
        field("Content-Length: -1"),
        field("Content-Length: +1"),
        field("Content-Length: 1 1"),
        field("Content-Length: 1, 1"),
        field("Content-Length: 1\r\nContent-Length: 2"),
        field("Content-Length: 99999999999999999999"),
        field("Content-Length: 18446744073709551614"),
        field("Content-Length: x\r\nTransfer-Encoding: chunked"),
        body("\r\n"),
        body(" 1\r\n"),
        body("+1\r\n"),
        body("1\n"),
        body("1 1\r\n"),
        body("1;x\n"),
        body("1\r\nxy"),
        body("1\r\nx\n"),
        body("1\r\nx\rx"),
        body("0\r\nx: y\rz"),
        body("0\r\n\rx"),
        body("10000000000000000"),
    ] {
        let next = "POST / HTTP/1.1\r\n\r\nPOST";
        assert_eq!(heads(&[&refused, next].concat(), 1), (1, false), "{refused:?}");
        assert!(!after(&refused).is_in_step(1), "{refused:?}");
    }
    for request in REQUESTS {
        let reader = after(request);
        assert_eq!([0, 1, 2].map(|begun| reader.is_in_step(begun)), [false, true, false]);
    }
}

/// Trailers and empty lines were counted nowhere.
#[test]
fn what_the_library_keeps_is_known_at_every_byte() {
    let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n";
    let kept = |bytes: &str| after(bytes).is_kept();
    for last in ["", "x", "x: y", "x: y\r", "x: y\r\n", "x: y\r\n\r"] {
        assert!(kept(&[chunked, last].concat()), "{last:?}");
    }
    for last in ["P", "\r", "\n", "\r\n\r\n", "\r\nP"] {
        assert!(kept(last), "{last:?}");
        assert!(kept(&[chunked, "\r\n", last].concat()), "{last:?}");
    }
    for nothing in ["", chunked.split_at(chunked.len() - 1).0, &[chunked, "\r\n"].concat()] {
        assert!(!kept(nothing), "{nothing:?}");
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
