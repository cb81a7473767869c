//! What holds for every JSON body, whichever it is: judged by `serde_json`, a reader that is not ours.

use std::fmt::Debug;

use serde::de::IgnoredAny;
use spike_common::wire::{MAX_DEPTH, SecretValues};

/// Whether the bytes are JSON by its grammar. Invalid UTF-8 within strings passes, as it does in Go.
pub(crate) fn is_json(body: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(body).is_ok()
}

/// How deep a JSON text nests.
pub(crate) fn depth(json: &[u8]) -> usize {
    let (mut now, mut most) = (0_usize, 0);
    let (mut within_text, mut escaped) = (false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => within_text = !within_text,
            _ if within_text => {}
            b'{' | b'[' => {
                now += 1;
                most = most.max(now);
            }
            b'}' | b']' => now -= 1,
            _ => {}
        }
    }
    most
}

/// What was decoded is JSON within the bounds, and survives being sent: encoded and decoded it is the `same`, and
/// encoded again it is the same bytes. Answers whether `body` was accepted.
pub(crate) fn survives<T, E: Debug, B: AsRef<[u8]>>(
    body: &[u8],
    decode: fn(&[u8]) -> Result<T, E>,
    encode: fn(&T) -> B,
    same: fn(&T, &T) -> bool,
) -> bool {
    let Ok(received) = decode(body) else { return false };
    assert!(is_json(body), "accepted what is not JSON");
    assert!(depth(body) <= MAX_DEPTH, "accepted what nests too deeply");

    let sent = encode(&received);
    assert!(std::str::from_utf8(sent.as_ref()).is_ok(), "sent what is not UTF-8");
    assert!(is_json(sent.as_ref()), "sent what is not JSON");
    let again = decode(sent.as_ref()).expect("what is sent can be read");
    assert!(same(&received, &again), "what is read is not what was sent");
    assert_eq!(encode(&again).as_ref(), sent.as_ref(), "what is sent settles at once");
    true
}

/// Whether two secrets are the same. Their type has no such comparison, on purpose.
pub(crate) fn same_values(left: &SecretValues, right: &SecretValues) -> bool {
    let pairs = |values: &SecretValues| -> Vec<(String, String)> {
        values
            .iter()
            .map(|(name, value)| (name.to_owned(), value.expose_secret().to_owned()))
            .collect()
    };
    pairs(left) == pairs(right)
}
