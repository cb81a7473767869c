//! The readers that follow a connection while its bytes arrive: HTTP/2 frames with their header blocks, and HTTP/1.1
//! requests. Where the network cuts the bytes makes no difference to what they find.

use spike_daemon::serve::fuzzing::{frames, requests};

/// The length of the client preface of HTTP/2, which is skipped.
const PREFACE: usize = 24;

/// See the module. The first byte says how the others are cut. Accepts what has a whole head for either protocol.
pub fn check(data: &[u8]) -> bool {
    let Some((cut, bytes)) = data.split_first() else { return false };
    let length = usize::from(*cut) + 1;

    let with_preface = [&[0; PREFACE], bytes].concat();
    let whole = frames([&with_preface[..]].into_iter());
    assert_eq!(frames(with_preface.chunks(length)), whole, "in parts of {length} bytes");
    assert_eq!(frames(with_preface.chunks(1)), whole, "byte by byte");
    assert!(whole.large_blocks as usize <= bytes.len() / 100, "a field takes a byte or more");
    assert!(
        whole.heads + whole.other_frames <= (bytes.len() / 9) as u64,
        "a frame takes nine bytes"
    );

    let read = requests([bytes].into_iter());
    assert_eq!(requests(bytes.chunks(length)), read, "in parts of {length} bytes");
    assert_eq!(requests(bytes.chunks(1)), read, "byte by byte");
    whole.heads > 0 || read.heads > 0
}
