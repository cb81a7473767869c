//! The id of a request.

use crate::unique::sixteen_digits;

/// The id of a request, in its audit line and in the answer's `X-Request-Id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId([u8; 16]);

impl RequestId {
    /// A new id.
    pub fn generate() -> Self {
        Self(sixteen_digits())
    }

    /// The id as the value of a header.
    pub fn header(&self) -> http::HeaderValue {
        // Digits are a valid value.
        http::HeaderValue::from_bytes(&self.0)
            .unwrap_or_else(|_not_digits| http::HeaderValue::from_static(""))
    }

    /// The id as text.
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
