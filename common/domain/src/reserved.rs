//! The three paths that stand for something other than a secret (wire-api 5.5).
//!
//! Which patterns open them is decided in `spike-policy`.

/// Stands for the management of policies.
pub const ACL_PATH: &str = "spike/system/acl";

/// Stands for the list of all secrets.
pub const SECRET_PATH: &str = "spike/system/secret";

/// Stands for the cipher.
pub const CIPHER_PATH: &str = "spike/system/cipher/exec";

/// Every reserved path, in the order in which upstream tests them. They are compared as they are, never as prefixes.
pub const RESERVED_PATHS: [&str; 3] = [ACL_PATH, SECRET_PATH, CIPHER_PATH];
