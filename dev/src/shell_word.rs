//! Words for a POSIX shell, for files that a shell reads and for commands that a person copies.

/// A word, quoted.
pub(crate) fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A word, quoted only if necessary.
pub(crate) fn word(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/.-_".contains(&byte);
    if word.bytes().all(plain) { word.to_owned() } else { quoted(word) }
}
