//! What fields may contain (wire-api 6): characters and lengths. Servers check this, and clients too, to report
//! mistakes earlier.
//!
//! The characters are checked by code here, because upstream's expressions have another meaning in Rust's regex
//! dialect. `spike-policy` decides whether a pattern compiles and whether a policy may open a reserved path.

use super::Permission;

/// The longest path of a secret, and the longest path pattern, in bytes.
pub const MAX_PATH_BYTES: usize = 500;

/// The longest name of a policy or of a value, in bytes.
pub const MAX_NAME_BYTES: usize = 250;

/// Why a text is not valid in a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing was given.
    Empty,
    /// More bytes than the field may have.
    TooLong {
        /// Bytes given.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// A character that is not allowed.
    Character {
        /// The character.
        found: char,
        /// Its offset in bytes.
        offset: usize,
    },
}

/// Why a text is not a pattern of SPIFFE IDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpiffeIdPatternFault {
    /// It has a fault of any text.
    Text(Fault),
    /// It does not begin as a SPIFFE ID, or has no trust domain.
    NotSpiffeId,
}

/// Checks the path of a secret (wire-api 6.1): `^[a-zA-Z0-9._\-/()?+*|[\]{}\\]+$`, 1 to 500 bytes. Nothing is
/// normalized: `a/b`, `/a/b` and `a//b` are three paths.
///
/// # Errors
/// The first [`Fault`].
pub fn check_secret_path(text: &str) -> Result<(), Fault> {
    check_length(text, MAX_PATH_BYTES)?;
    check_characters(text, 0, is_secret_path_character)
}

/// Checks the name of a policy or a value (wire-api 6.2): `^[a-zA-Z0-9-_ ]+$`, 1 to 250 bytes.
///
/// # Errors
/// The first [`Fault`].
pub fn check_name(text: &str) -> Result<(), Fault> {
    check_length(text, MAX_NAME_BYTES)?;
    check_characters(text, 0, |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ' '))
}

/// Checks the text of a path pattern (wire-api 6.4): the characters of a path, `^` and `$`, 1 to 500 bytes.
///
/// # Errors
/// The first [`Fault`].
pub fn check_path_pattern(text: &str) -> Result<(), Fault> {
    check_length(text, MAX_PATH_BYTES)?;
    check_characters(text, 0, |c| is_secret_path_character(c) || matches!(c, '^' | '$'))
}

/// Checks the text of a SPIFFE ID pattern (wire-api 6.3), of any length:
/// `^\^?spiffe://[\\a-zA-Z0-9._\-*()+?\[\]]+(/[\\/a-zA-Z0-9._\-*()+?\[\]]+)*\$?$`.
///
/// Unlike upstream, the trust domain may contain an underscore, because peers of such trust domains are
/// accepted.
///
/// # Errors
/// The first [`SpiffeIdPatternFault`].
pub fn check_spiffe_id_pattern(text: &str) -> Result<(), SpiffeIdPatternFault> {
    if text.is_empty() {
        return Err(SpiffeIdPatternFault::Text(Fault::Empty));
    }
    let unanchored = text.strip_prefix('^').unwrap_or(text);
    let Some(rest) = unanchored.strip_prefix("spiffe://") else {
        return Err(SpiffeIdPatternFault::NotSpiffeId);
    };
    let start = text.len() - rest.len();
    let body = rest.strip_suffix('$').unwrap_or(rest);
    check_characters(body, start, is_spiffe_id_pattern_character)
        .map_err(SpiffeIdPatternFault::Text)?;
    let domain = body.split('/').next().unwrap_or_default();
    if domain.is_empty() {
        return Err(SpiffeIdPatternFault::NotSpiffeId);
    }
    // After the trust domain come slashes with text, but not a single slash alone.
    if body.len() == domain.len() + 1 {
        let slash = Fault::Character { found: '/', offset: start + domain.len() };
        return Err(SpiffeIdPatternFault::Text(slash));
    }
    Ok(())
}

/// Whether a secret can have this path: [`check_secret_path`].
pub fn is_secret_path(text: &str) -> bool {
    check_secret_path(text).is_ok()
}

/// Whether a policy or a value can have this name: [`check_name`].
pub fn is_name(text: &str) -> bool {
    check_name(text).is_ok()
}

/// Whether this has the form of a path pattern: [`check_path_pattern`].
pub fn is_path_pattern(text: &str) -> bool {
    check_path_pattern(text).is_ok()
}

/// Whether this has the form of a SPIFFE ID pattern: [`check_spiffe_id_pattern`].
pub fn is_spiffeid_pattern(text: &str) -> bool {
    check_spiffe_id_pattern(text).is_ok()
}

/// Whether this is the name of a permission (wire-api 6.5).
pub fn is_permission(text: &str) -> bool {
    Permission::from_word(text).is_some()
}

/// Whether the path of a secret may contain this character (wire-api 6.1).
pub const fn is_secret_path_character(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || matches!(c, '.' | '_' | '-' | '/' | '(' | ')' | '?' | '+' | '*' | '|')
        || matches!(c, '[' | ']' | '{' | '}' | '\\')
}

const fn is_spiffe_id_pattern_character(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || matches!(c, '\\' | '.' | '_' | '-' | '*' | '(' | ')' | '+' | '?' | '[' | ']' | '/')
}

const fn check_length(text: &str, limit: usize) -> Result<(), Fault> {
    match text.len() {
        0 => Err(Fault::Empty),
        length if length > limit => Err(Fault::TooLong { length, limit }),
        _ => Ok(()),
    }
}

/// Checks a text that begins `start` bytes after the start of its field.
fn check_characters(text: &str, start: usize, allowed: impl Fn(char) -> bool) -> Result<(), Fault> {
    match text.char_indices().find(|&(_, c)| !allowed(c)) {
        None => Ok(()),
        Some((at, found)) => Err(Fault::Character { found, offset: start + at }),
    }
}

#[cfg(test)]
mod tests;
