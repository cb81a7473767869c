//! The three paths that do not name secrets, but permissions (wire-api 5.5).
//!
//! `spike-policy` decides which patterns open them.

/// The permission to manage policies.
pub const ACL_PATH: &str = "spike/system/acl";

/// The permission to list all secrets.
pub const SECRET_PATH: &str = "spike/system/secret";

/// The permission to use the cipher.
pub const CIPHER_PATH: &str = "spike/system/cipher/exec";

/// Every reserved path, in the order of upstream's tests. They are compared exactly, not as prefixes.
pub const RESERVED_PATHS: [&str; 3] = [ACL_PATH, SECRET_PATH, CIPHER_PATH];
