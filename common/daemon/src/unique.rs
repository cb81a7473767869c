//! Names that need not be secret, only unique.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    io::Write,
};

/// A name for this process that no other has, as text: 16 hexadecimal digits.
pub fn random_name() -> String {
    String::from_utf8_lossy(&sixteen_digits()).into_owned()
}

/// A new name of 16 hexadecimal digits. The standard library's hash keys are random for each thread, change with every use, and
/// need no system call.
pub(crate) fn sixteen_digits() -> [u8; 16] {
    let mut digits = [b'0'; 16];
    let number = RandomState::new().build_hasher().finish();
    // 64 bits are 16 digits.
    write!(digits.as_mut_slice(), "{number:016x}").ok();
    digits
}
