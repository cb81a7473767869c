//! Bytes as text.

/// Two lower-case digits for each byte.
pub fn hex(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(bytes)
}

/// Numbers with `separator` between them.
pub fn list(bytes: &[u8], separator: &str) -> String {
    bytes.iter().map(ToString::to_string).collect::<Vec<_>>().join(separator)
}
