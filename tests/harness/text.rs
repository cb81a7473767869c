//! Bytes as text.

/// Two lower-case digits for each byte.
pub fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect()
}

/// Numbers with `separator` between them.
pub fn list(bytes: &[u8], separator: &str) -> String {
    bytes.iter().map(ToString::to_string).collect::<Vec<_>>().join(separator)
}
