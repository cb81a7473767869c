//! The name of a request.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    io::Write,
};

/// The name of a request, in the audit line and in the answer's `X-Request-Id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId([u8; 16]);

impl RequestId {
    /// A new name of 16 hexadecimal digits. It need not be secret, only differ from every other: the standard library's
    /// hash keys are random per thread and change with every use, and asking them costs no system call.
    pub fn generate() -> Self {
        let mut digits = [b'0'; 16];
        let number = RandomState::new().build_hasher().finish();
        // 64 bits fill 16 digits.
        write!(digits.as_mut_slice(), "{number:016x}").ok();
        Self(digits)
    }

    /// The name as the value of a header.
    pub fn header(&self) -> http::HeaderValue {
        // Digits are always a value.
        http::HeaderValue::from_bytes(&self.0)
            .unwrap_or_else(|_not_digits| http::HeaderValue::from_static(""))
    }

    /// The name as it is written.
    pub fn as_str(&self) -> &str {
        // Digits are ASCII.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_differ_also_between_threads() {
        let some =
            || (0..1000).map(|_| RequestId::generate().as_str().to_owned()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(some)).collect();
        let ids: Vec<String> =
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        let distinct: std::collections::HashSet<&String> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
        assert!(ids.iter().all(|id| id.len() == 16));
    }
}
