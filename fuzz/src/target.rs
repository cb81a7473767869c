//! Request targets: the operations of paths and queries, and the redirects of unclean paths.

use spike_wire::{KeeperOperation, Operation, clean_path, decode_path};

/// See the module. Accepts the target of an operation.
pub fn check(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    cleans(text);
    escapes_are_undone(text);
    every_operation_is_found(data);

    let (sent, query) = match text.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (text, None),
    };
    cleans(sent);
    let Some(path) = decode_path(sent) else { return false };
    let nexus = Operation::from_request(&path, query);
    if let Some(operation) = nexus {
        assert_eq!(operation.path(), path);
        assert_asks(operation.action(), query.unwrap_or_default());
    }
    let keeper = KeeperOperation::from_request(&path, query);
    if let Some(operation) = keeper {
        assert_eq!(operation.path(), path);
        assert_asks(operation.action(), query.unwrap_or_default());
    }
    nexus.is_some() || keeper.is_some()
}

/// A redirect leads to a clean path, so no other redirect follows.
fn cleans(path: &str) {
    let cleaned = clean_path(path);
    let clean = cleaned.as_deref().unwrap_or(path);
    assert_eq!(clean_path(clean), None);
    assert!(clean.starts_with('/') && !clean.contains("//"), "{clean:?}");
    assert!(clean.split('/').all(|segment| !matches!(segment, "." | "..")), "{clean:?}");
    assert!(clean.len() <= path.len() + 1);
}

/// Decoding reverses escaping of every byte; a text without escapes decodes to itself.
fn escapes_are_undone(text: &str) {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).expect("four bits are one digit");
    let escaped: String =
        text.bytes().flat_map(|byte| ['%', digit(byte >> 4), digit(byte & 0xf)]).collect();
    assert_eq!(decode_path(&escaped).as_deref(), Some(text));
    if !text.contains('%') {
        assert_eq!(decode_path(text).as_deref(), Some(text));
    }
}

/// Each operation has its own target, whichever bytes of it are escaped.
fn every_operation_is_found(choices: &[u8]) {
    let mut choices = choices.iter().cycle();
    let mut escape_some = |text: &str| -> String {
        let piece = |byte: u8| match choices.next() {
            Some(choice) if choice & 1 == 1 && byte != b'/' => format!("%{byte:02X}"),
            _ => char::from(byte).to_string(),
        };
        text.bytes().map(piece).collect()
    };
    for &operation in Operation::ALL {
        let path = escape_some(operation.path());
        let query = format!("{}={}", escape_some("action"), escape_some(operation.action()));
        let path = decode_path(&path).expect("well-formed escapes");
        assert_eq!(Operation::from_request(&path, Some(&query)), Some(operation), "{query}");
    }
}

/// Whether a query has `action`, judged by its text if no part of it is escaped or ignored.
fn assert_asks(action: &str, query: &str) {
    if query.contains(['%', '+', ';']) {
        return;
    }
    let value = |part: &'_ str| match part.split_once('=') {
        Some(("action", value)) => Some(value.to_owned()),
        None if part == "action" => Some(String::new()),
        Some(_) | None => None,
    };
    assert_eq!(query.split('&').find_map(value).unwrap_or_default(), action, "{query}");
}
