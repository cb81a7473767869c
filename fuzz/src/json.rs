//! Properties of every JSON body, checked with `serde_json` as an independent reader.

use std::fmt::Debug;

use serde::de::IgnoredAny;
use spike_wire::{Body, BodyKind, MAX_DEPTH, SecretValues, bodies};

/// Whether the bytes are valid JSON. Invalid UTF-8 within strings is accepted, as in Go.
pub(crate) fn is_json(body: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(body).is_ok()
}

/// The nesting depth of a JSON text.
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

/// The first line of an input, and the rest.
pub(crate) fn named(data: &[u8]) -> Option<(&str, &[u8])> {
    let end = data.iter().position(|&byte| byte == b'\n')?;
    let (name, rest) = data.split_at(end);
    Some((std::str::from_utf8(name).ok()?, rest.get(1..)?))
}

/// The example of every declared body of that kind, as an input: its name, and the body.
pub(crate) fn examples(kind: impl Fn(BodyKind) -> bool) -> Vec<Vec<u8>> {
    let of_kind = bodies().filter(|declared| kind(declared.kind));
    let input = |body: &Body| [body.name.as_bytes(), b"\n", &(body.example)()].concat();
    of_kind.map(input).collect()
}

/// As [`survives`], for the body of that name, if there is one of that kind.
pub(crate) fn survives_as_declared(
    name: &str,
    body: &[u8],
    kind: impl Fn(BodyKind) -> bool,
) -> bool {
    let declared = bodies().find(|declared| declared.name == name && kind(declared.kind));
    declared.is_some_and(|declared| survives(body, declared.rewrite, declared.same))
}

/// A body that was read is JSON within the bounds and can be sent: it reads back as the `same`, and is written again as
/// the same bytes. Returns whether `body` was accepted.
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

/// Whether two secrets are equal. Their type has no comparison, on purpose.
pub(crate) fn same_values(left: &SecretValues, right: &SecretValues) -> bool {
    let pairs = |values: &SecretValues| -> Vec<(String, String)> {
        values
            .iter()
            .map(|(name, value)| (name.to_owned(), value.expose_secret().to_owned()))
            .collect()
    };
    pairs(left) == pairs(right)
}
