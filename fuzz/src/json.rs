//! What holds for every JSON body, whichever it is: judged by `serde_json`, a reader that is not ours.

use std::fmt::Debug;

use serde::de::IgnoredAny;
use spike_wire::{BodyKind, MAX_DEPTH, SecretValues, bodies};

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

/// The first line of an input, and what follows it.
pub(crate) fn named(data: &[u8]) -> Option<(&str, &[u8])> {
    let end = data.iter().position(|&byte| byte == b'\n')?;
    let (name, rest) = data.split_at(end);
    Some((std::str::from_utf8(name).ok()?, rest.get(1..)?))
}

/// As [`survives`], for the body of that name, where there is one of that kind.
pub(crate) fn survives_as_declared(
    name: &str,
    body: &[u8],
    kind: impl Fn(BodyKind) -> bool,
) -> bool {
    let declared = bodies().find(|declared| declared.name == name && kind(declared.kind));
    declared.is_some_and(|declared| survives(body, declared.rewrite, declared.same))
}

/// What was read is JSON within the bounds, and survives being sent: read again it is the `same`, and written again it
/// is the same bytes. Answers whether `body` was accepted.
pub(crate) fn survives<E: Debug, B: AsRef<[u8]>>(
    body: &[u8],
    rewrite: impl Fn(&[u8]) -> Result<B, E>,
    same: impl Fn(&[u8], &[u8]) -> bool,
) -> bool {
    let Ok(sent) = rewrite(body) else { return false };
    let sent = sent.as_ref();
    assert!(is_json(body), "accepted what is not JSON");
    assert!(depth(body) <= MAX_DEPTH, "accepted what nests too deeply");

    assert!(std::str::from_utf8(sent).is_ok(), "sent what is not UTF-8");
    assert!(is_json(sent), "sent what is not JSON");
    let again = rewrite(sent).expect("what is sent can be read");
    assert!(same(body, sent), "what is read is not what was sent");
    assert_eq!(again.as_ref(), sent, "what is sent settles at once");
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
