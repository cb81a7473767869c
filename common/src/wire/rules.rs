//! What fields may contain (wire-api 6): byte classes and lengths, checked by servers and, to answer sooner, by clients.
//!
//! Whether a pattern compiles, and whether a policy may act on a system path, is decided elsewhere.

/// The longest path of a secret, and the longest path pattern, in bytes.
pub const MAX_PATH_LEN: usize = 500;

/// The longest name of a policy or of a value, in bytes.
pub const MAX_NAME_LEN: usize = 250;

/// The words that a policy's permissions are made of.
pub const PERMISSIONS: [&str; 5] = ["read", "write", "list", "execute", "super"];

/// The path that stands for the management of policies.
pub const SYSTEM_ACL_PATH: &str = "spike/system/acl";
/// The path that stands for the list of secrets.
pub const SYSTEM_SECRET_PATH: &str = "spike/system/secret";
/// The path that stands for the cipher.
pub const SYSTEM_CIPHER_PATH: &str = "spike/system/cipher/exec";

/// The three system paths, in the order in which upstream tests them. Compared as they are, never as prefixes.
pub const SYSTEM_PATHS: [&str; 3] = [SYSTEM_ACL_PATH, SYSTEM_SECRET_PATH, SYSTEM_CIPHER_PATH];

/// Whether a secret can have this path (6.1): `^[a-zA-Z0-9._\-/()?+*|[\]{}\\]+$`, 1 to 500 bytes. No normalisation:
/// `a/b`, `/a/b` and `a//b` are three paths.
pub fn is_secret_path(text: &str) -> bool {
    (1..=MAX_PATH_LEN).contains(&text.len()) && text.bytes().all(is_secret_path_byte)
}

/// Whether a policy or a value can have this name (6.2): `^[a-zA-Z0-9-_ ]+$`, 1 to 250 bytes.
pub fn is_name(text: &str) -> bool {
    (1..=MAX_NAME_LEN).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b' '))
}

/// Whether this has the form of a path pattern (6.4): the bytes of a path, `^` and `$`, 1 to 500 of them.
pub fn is_path_pattern(text: &str) -> bool {
    (1..=MAX_PATH_LEN).contains(&text.len())
        && text.bytes().all(|byte| is_secret_path_byte(byte) || matches!(byte, b'^' | b'$'))
}

/// Whether this has the form of a SPIFFE ID pattern (6.3), of any length:
/// `^\^?spiffe://[\\a-zA-Z0-9._\-*()+?\[\]]+(/[\\/a-zA-Z0-9._\-*()+?\[\]]+)*\$?$`. Upstream allows no `_` in the trust
/// domain; peers of such trust domains are let in here, so they can be named too.
pub fn is_spiffeid_pattern(text: &str) -> bool {
    let text = text.strip_prefix('^').unwrap_or(text);
    let text = text.strip_suffix('$').unwrap_or(text);
    let Some(rest) = text.strip_prefix("spiffe://") else {
        return false;
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    // The path's class contains the slash, so the expression's repetition comes to: nothing, or a slash and more.
    !authority.is_empty()
        && authority.bytes().all(is_authority_pattern_byte)
        && path.len() != 1
        && path.bytes().all(|byte| is_authority_pattern_byte(byte) || byte == b'/')
}

/// Whether this is one of the five words (6.5).
pub fn is_permission(text: &str) -> bool {
    PERMISSIONS.contains(&text)
}

/// Whether a secret path may contain this byte (6.1).
pub const fn is_secret_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'.' | b'_'
                | b'-'
                | b'/'
                | b'('
                | b')'
                | b'?'
                | b'+'
                | b'*'
                | b'|'
                | b'['
                | b']'
                | b'{'
                | b'}'
                | b'\\'
        )
}

const fn is_authority_pattern_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'\\' | b'.' | b'_' | b'-' | b'*' | b'(' | b')' | b'+' | b'?' | b'[' | b']'
        )
}

#[cfg(test)]
mod tests;
